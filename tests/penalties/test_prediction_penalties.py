"""`RegularizedLoss`: penalties on predictions as terms of a sum, and total variation over time and space."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from keras_losses import (
    AbsoluteErrorLoss,
    CompositeLoss,
    CornLoss,
    CrossentropyLoss,
    FocalLoss,
    LossAwareModel,
    RegularizedLoss,
    SquaredErrorLoss,
    WeightedKappaLoss,
)
from keras_losses.training.terms import LossTerms
from tests.backends import COMPILED, compiled, double_precision, numpy, value, value_and_gradient
from tests.contract.test_gradients import differences

R = np.random.default_rng(0)
PENALTIES = ("confidence_penalty", "activity_l1", "activity_l2", "smoothness")
STEPS = np.array([[[1.0], [3.0], [2.0], [6.0]]], "float32")  # differences of 2, 1 and 4


def smooth(inner=None, **given):
    return RegularizedLoss(inner or SquaredErrorLoss(), **{"smoothness": 1.0, **given})


# Terms ------------------------------------------------------------------------------------------------


def test_each_penalty_is_a_term():
    """Its value is the penalty before its weight, -H of the confidence penalty; of weight 0 it is 0."""
    p = np.array([[[0.5, 0.5], [0.25, 0.75]]], "float32")
    loss = RegularizedLoss(CrossentropyLoss(), confidence_penalty=0.5, activity_l2=3.0, smoothness=2.0)
    found = {name: float(numpy(x)) for name, x in loss.terms(np.array([[0, 1]]), p).items()}
    assert list(found) == ["crossentropy_loss", *PENALTIES]
    assert loss.weights == dict(zip(found, (1.0, 0.5, 0.0, 3.0, 2.0), strict=True))
    entropy = (np.log(2) + 0.25 * np.log(4) + 0.75 * np.log(4 / 3)) / 2
    exact = [(np.log(2) - np.log(0.75)) / 2, -entropy, 0, (2 / 4 + 10 / 16) / 2, 0.25 / 2]
    np.testing.assert_allclose(list(found.values()), exact, rtol=1e-6)
    total = sum(weight * found[name] for name, weight in loss.weights.items())
    np.testing.assert_allclose(value(loss, np.array([[0, 1]]), p), total, rtol=1e-6)


def test_in_a_sum_the_terms_are_those_of_the_sum():
    inner = RegularizedLoss(CrossentropyLoss(), confidence_penalty=0.5, activity_l1=0.25)
    loss = FocalLoss() + 2 * inner
    assert loss.weights == {
        "focal_loss": 1.0,
        "crossentropy_loss": 2.0,
        "confidence_penalty": 1.0,
        "activity_l1": 0.5,
        "activity_l2": 0.0,
        "smoothness": 0.0,
    }
    y, p = np.array([0, 1]), np.array([[0.5, 0.5], [0.25, 0.75]], "float32")
    exact = value(FocalLoss(), y, p) + 2 * value(inner, y, p)
    again = keras.losses.deserialize(keras.losses.serialize(loss))
    assert again.weights == loss.weights
    for one in (loss, again):
        np.testing.assert_allclose(value(one, y, p), exact, rtol=1e-6)
    named = CompositeLoss({"a": inner, "b": inner})
    assert {"a_crossentropy_loss", "a_smoothness", "b_activity_l1"} < set(named.losses)
    twice = inner + inner
    assert {"activity_l1", "activity_l1_2"} < set(twice.losses)


def test_around_a_sum_probabilities_are_those_of_the_first_that_has_them():
    y, p = np.array([[0.0, 1.0]]), np.array([[0.25, 0.75]], "float32")
    loss = RegularizedLoss(SquaredErrorLoss() + 2 * CrossentropyLoss(), confidence_penalty=0.5)
    entropy = 0.25 * np.log(4) + 0.75 * np.log(4 / 3)
    np.testing.assert_allclose(value(loss, y, p), 0.25**2 - 2 * np.log(0.75) - 0.5 * entropy, rtol=1e-6)
    with pytest.raises(ValueError, match="needs an inner loss of probabilities"):
        RegularizedLoss(SquaredErrorLoss() + AbsoluteErrorLoss(), confidence_penalty=0.5)


def test_weights_are_the_hyper_parameters_as_they_are_now():
    loss, y = RegularizedLoss(SquaredErrorLoss(), activity_l2=0.5), np.array([[3.0]])
    assert value(loss, y, y) == 0.5 * 9
    loss.activity_l2, loss.activity_l1 = 0.0, 2.0
    assert value(loss, y, y) == 2 * 3
    assert loss.get_config()["activity_l1"] == 2.0


def test_only_a_plain_0_is_not_computed():
    """A number that a graph may change is no plain one."""
    loss, y = RegularizedLoss(SquaredErrorLoss()), np.array([[3.0]])
    assert float(numpy(loss.terms(y, y)["activity_l2"])) == 0
    loss.activity_l2 = ops.convert_to_tensor(0.0)
    assert float(numpy(loss.terms(y, y)["activity_l2"])) == 9
    sum_of_it = RegularizedLoss(SquaredErrorLoss()) + AbsoluteErrorLoss()
    huge = np.array([[1e30]], "float32")
    found, slope = value_and_gradient(
        RegularizedLoss(AbsoluteErrorLoss()) + AbsoluteErrorLoss(), 0 * huge, huge
    )
    np.testing.assert_allclose(found, 2e30, rtol=1e-6)
    np.testing.assert_allclose(slope, [[2.0]])
    assert value(sum_of_it, y, y) == 0  # smoothness has no axis here, and is not asked for one


@pytest.mark.parametrize("inner", [CornLoss(3), WeightedKappaLoss(3)], ids=["of shares", "of the batch"])
def test_around_losses_with_divisors_of_their_own(inner):
    """The total is that of the values: the mean divides penalties by what it divides the loss by."""
    y = np.array([0, 2, 1, 1])
    p = np.array([[0.2, 0.3, 0.5], [0.1, 0.1, 0.8], [0.3, 0.4, 0.3], [0.5, 0.25, 0.25]], "float32")
    p = p[:, :2] if isinstance(inner, CornLoss) else p
    loss = RegularizedLoss(inner, activity_l1=0.5)
    total = value(RegularizedLoss(inner, activity_l1=0.5, reduction="sum"), y, p)
    tasks = sum([1, 2, 2, 2]) if isinstance(inner, CornLoss) else 4
    np.testing.assert_allclose(value(loss, y, p), total / tasks, rtol=2e-6)


# In models --------------------------------------------------------------------------------------------


def sequences(wrap):
    keras.utils.set_random_seed(0)
    x = keras.Input((None, 2))
    masked = layers.Masking(-1.0)(x)
    model = wrap(keras.Model(x, layers.Dense(3, activation="softmax")(masked)))
    loss = RegularizedLoss(CrossentropyLoss(), confidence_penalty=0.1, activity_l2=0.25, smoothness=0.5)
    model.compile(keras.optimizers.SGD(0.1), loss=loss, run_eagerly=True)
    LossTerms.attach(model, log_weighted_terms=True)
    return model


@pytest.mark.parametrize(
    "wrap",
    [
        pytest.param(LossAwareModel.from_model, id="aware"),
        pytest.param(lambda model: model, id="plain", marks=pytest.mark.thorough),
    ],
)
def test_the_penalties_are_in_the_logs(wrap, tmp_path):
    """Raw, weighted and as shares, in training and validation, with masks; saved, and trained on."""
    model = sequences(wrap)
    x = R.normal(0, 1, (12, 5, 2)).astype("float32")
    x[:4, 3:] = -1.0  # masked
    y = R.integers(0, 3, (12, 5))
    given = {"batch_size": 4, "epochs": 2, "verbose": 0, "shuffle": False, "validation_data": (x, y)}
    history = model.fit(x, y, **given).history
    names = ["crossentropy_loss", *PENALTIES]
    assert set(history) == {
        "loss",
        "val_loss",
        *(
            f"{side}{name}{end}"
            for side in ("", "val_")
            for name in names
            for end in ("", "_weighted", "_share")
        ),
    }
    for name, weight in zip(names, (1, 0.1, 0, 0.25, 0.5), strict=True):
        np.testing.assert_allclose(history[f"{name}_weighted"], weight * np.array(history[name]), rtol=1e-6)
    weighted = sum(np.array(history[f"val_{name}_weighted"]) for name in names)
    np.testing.assert_allclose(weighted, history["val_loss"], rtol=1e-6)
    # A mean over the steps that count of each difference between two of them, by hand.
    p = numpy(model(x))
    seen = np.ones((12, 5), bool)
    seen[:4, 3:] = False
    jumps = np.abs(np.diff(p, axis=1)).mean(-1) * (seen[:, 1:] & seen[:, :-1])
    by_batch = [jumps[k : k + 4].sum() / seen[k : k + 4].sum() for k in (0, 4, 8)]
    logs = model.evaluate(x, y, batch_size=4, verbose=0, return_dict=True)
    np.testing.assert_allclose(logs["smoothness"], np.mean(by_batch), rtol=1e-5)
    assert logs["confidence_penalty"] < 0 < logs["activity_l2"]

    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    if wrap is not LossAwareModel.from_model:
        LossTerms.attach(again)
    assert again.loss.get_config() == model.loss.get_config()
    histories = [one.fit(x, y, **given).history for one in (model, again)]
    for name, values in histories[0].items():
        np.testing.assert_allclose(histories[1][name], values, rtol=1e-5, atol=1e-7, err_msg=name)


# Total variation --------------------------------------------------------------------------------------


def test_a_sum_is_the_total_variation():
    """And a mean that divided by the steps that count."""
    assert value(smooth(reduction="sum"), STEPS, STEPS) == 2 + 1 + 4
    assert value(smooth(), STEPS, STEPS) == (2 + 1 + 4) / 4
    assert value(smooth(), STEPS[:, :1], STEPS[:, :1]) == 0  # one step has no neighbour


BROKEN = STEPS * np.array([1, 1, np.nan, 1], "float32")[:, None]


@pytest.mark.parametrize(
    "how",
    [{"sample_weight": np.array([[1.0, 1.0, 0.0, 1.0]])}, {"mask": np.array([[1, 1, 0, 1]], bool)}],
    ids=str,
)
def test_no_difference_leads_into_a_step_that_does_not_count(how):
    """Of four steps the third is gone, NaN and all: one difference is left, of 2 between the first two."""
    each, slope = value_and_gradient(smooth(reduction="none"), STEPS, BROKEN, **how)
    assert each.tolist() == [[1, 1, 0, 0]]
    assert slope.ravel().tolist() == [-1, 1, 0, 0]
    steps = 4 if "sample_weight" in how else 3
    assert value(smooth(), STEPS, BROKEN, **how) == pytest.approx(2 / steps)


def test_a_difference_has_the_mean_weight_of_its_steps():
    weights = np.array([[1.0, 3.0, 5.0, 2.0]])
    found = value(smooth(reduction="sum"), STEPS, STEPS, weights)
    assert found == 2 * (1 + 3) / 2 + 1 * (3 + 5) / 2 + 4 * (5 + 2) / 2
    found = value(smooth(reduction="mean_with_sample_weight"), STEPS, STEPS, weights)
    np.testing.assert_allclose(found, (4 + 4 + 14) / 11, rtol=1e-6)
    assert value(smooth(reduction="sum"), STEPS, STEPS, np.array([0.5])) == 0.5 * 7  # of the sequence


def test_ignored_labels_are_no_neighbours():
    """Of a class that is ignored the step, of several labels the one output."""
    p = np.array([[[0.2, 0.8], [0.6, 0.4], [0.1, 0.9]]], "float32")
    loss = smooth(CrossentropyLoss(ignore_class=-1), reduction="none")
    found = loss.terms(np.array([[0, 1, -1]]), p)["smoothness"]
    np.testing.assert_allclose(numpy(found), [[0.2, 0.2, 0]], rtol=1e-6)
    loss = smooth(CrossentropyLoss(multi_label=True, ignore_class=-1), reduction="none")
    found = loss.terms(np.array([[[0, 1], [1, -1], [0, 1]]]), p)["smoothness"]
    # The first output jumps by 0.4 and 0.5, the second by nothing that counts; each half, over two outputs.
    np.testing.assert_allclose(numpy(found), [[0.4 / 4, 0.9 / 4, 0.5 / 4]], rtol=1e-6)


def test_axes_are_those_of_the_predictions_as_they_are_given():
    """Channels first: the class axis is moved, the axes of space are named as they are."""
    p = R.dirichlet(np.ones(3), (2, 4, 5)).astype("float32")
    y, first = R.integers(0, 3, (2, 4, 5)), np.moveaxis(p, -1, 1)
    inner = CrossentropyLoss(axis=1)
    rows = np.abs(np.diff(p, axis=1)).mean(-1).sum()
    columns = np.abs(np.diff(p, axis=2)).mean(-1).sum()
    channels = np.abs(np.diff(p, axis=3)).sum() / 3
    for axes, exact in (
        (None, rows + columns),
        ((2, 3), rows + columns),
        (2, rows),
        (-1, columns),
        ((3, -1), columns),
        (1, channels),
    ):
        loss = smooth(inner, smoothness_axes=axes, reduction="sum")
        np.testing.assert_allclose(numpy(loss.terms(y, first)["smoothness"]), exact, rtol=1e-5)
    loss = smooth(smoothness_axes=[1], reduction="sum")
    np.testing.assert_allclose(numpy(loss.terms(p, p)["smoothness"]), rows, rtol=1e-5)


@pytest.mark.parametrize("shape", [(2, 4, 2), (2, 2, 3, 1)], ids=str)
@pytest.mark.parametrize("weighted", [False, True])
def test_gradient(shape, weighted):
    """That of the arithmetic in NumPy, by central differences."""
    y, p = R.normal(0, 1, shape), R.normal(0, 1, shape)
    weights = R.uniform(0.5, 2, shape[:-1]) * (R.uniform(size=shape[:-1]) > 0.2) if weighted else None
    w = np.ones(shape[:-1]) if weights is None else weights

    def total(x):
        found = (w * ((x - y) ** 2).mean(-1)).sum()
        for axis in range(1, len(shape) - 1):
            jumps = np.abs(np.diff(x, axis=axis)).mean(-1)
            ends = [np.delete(w, at, axis=axis) for at in (-1, 0)]
            found += 0.5 * (jumps * np.where(ends[0] * ends[1] > 0, ends[0] + ends[1], 0) / 2).sum()
        return found

    with double_precision():
        loss = smooth(SquaredErrorLoss(dtype="float64"), smoothness=0.5, reduction="sum", dtype="float64")
        found, slope = value_and_gradient(loss, y, p, weights)
    np.testing.assert_allclose(found, total(p), rtol=1e-12)
    exact = differences(lambda x: np.array([total(x)]), p, pools=True)
    np.testing.assert_allclose(slope, exact, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(
    "mode", [*COMPILED[:1], *(pytest.param(mode, marks=pytest.mark.thorough) for mode in COMPILED[1:])]
)
def test_compiled(mode):
    weights = np.array([[1.0, 0.0, 2.0, 1.0]], "float32")
    loss = smooth(activity_l1=0.5)
    for exact, found in zip(
        value_and_gradient(loss, 0 * STEPS, STEPS, weights),
        compiled(loss, mode)(0 * STEPS, STEPS, weights),
        strict=True,
    ):
        np.testing.assert_allclose(found, exact, rtol=1e-6)


def test_a_batch_is_its_halves():
    x = R.normal(0, 1, (4, 5, 2)).astype("float32")
    loss = smooth(reduction="none")
    parts = [value(loss, x[k : k + 2], x[k : k + 2]) for k in (0, 2)]
    np.testing.assert_allclose(np.concatenate(parts), value(loss, x, x), rtol=1e-6)


def test_half_precision_is_computed_in_float32():
    steps = np.array([[[0.0], [1e-3], [3e4], [-3e4]]], "float16")
    found = value(smooth(reduction="sum"), steps, steps)
    assert found.dtype == "float32"
    np.testing.assert_allclose(found, 3e4 + 6e4, rtol=1e-6)


def test_smoothness_without_an_axis():
    with pytest.raises(ValueError, match=r"axes of time or space .* shape \(2, 3\).*smoothness_axes=-1"):
        smooth()(np.zeros((2, 3)), np.zeros((2, 3)))
    with pytest.raises(ValueError, match=r"smoothness_axes=\(1, 2\), y_pred of shape \(2, 3\)"):
        smooth(smoothness_axes=(1, 2))(np.zeros((2, 3)), np.zeros((2, 3)))
    with pytest.raises(ValueError, match=r"`smoothness_axes` must be an axis .*Received: smoothness_axes=0"):
        smooth(smoothness_axes=0)
