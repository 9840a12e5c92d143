"""Sums of losses: arithmetic, names, weights, and terms of different shapes."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_losses import (
    AbsoluteErrorLoss,
    CompositeLoss,
    CrossentropyLoss,
    HuberLoss,
    KerasLoss,
    RegularizedLoss,
    SquaredErrorLoss,
    UncertaintyWeightedLoss,
)
from tests.backends import numpy, value, value_and_gradient
from tests.test_regressions import WorstOfImage

Y, PRED = np.array([[1.0], [0.0]]), np.array([[3.0], [-1.0]], "float32")  # errors of 2 and 1


@keras.saving.register_keras_serializable("tests")
def quartic(y_true, y_pred):
    return ops.mean((y_true - y_pred) ** 4, axis=-1)


SQUARE, SIZE = SquaredErrorLoss(), AbsoluteErrorLoss()
SUMS = {
    "a + b": (SQUARE + SIZE, [4 + 2, 1 + 1]),
    "a - b": (SQUARE - SIZE, [4 - 2, 1 - 1]),
    "-a": (-SQUARE, [-4, -1]),
    "a * 2": (SQUARE * 2, [8, 2]),
    "0.5 * a": (0.5 * SQUARE, [2, 0.5]),
    "NumPy's 0.5 * a": (np.float32(0.5) * SQUARE, [2, 0.5]),
    "a / 4": (SQUARE / 4, [1, 0.25]),
    "2 * (a + b / 2) - a": (2 * (SQUARE + SIZE / 2) - SQUARE, [4 + 2, 1 + 1]),
    "sum of one": (sum([SQUARE]), [4, 1]),
    "sum of three": (sum([SQUARE, SIZE, 2 * SIZE]), [4 + 2 + 4, 1 + 1 + 2]),
    "Keras's + a": (keras.losses.MeanSquaredError() + SIZE, [4 + 2, 1 + 1]),
    "a + Keras's": (SIZE + keras.losses.MeanSquaredError(), [4 + 2, 1 + 1]),
    "a - Keras's": (SIZE - keras.losses.MeanSquaredError(), [2 - 4, 1 - 1]),
    "Keras's - a": (keras.losses.MeanSquaredError() - SIZE, [4 - 2, 1 - 1]),
    "function + a": (quartic + SIZE, [16 + 2, 1 + 1]),
    "a - function": (SIZE - quartic, [2 - 16, 1 - 1]),
}


@pytest.mark.parametrize("name", SUMS)
def test_arithmetic(name):
    """The value is the mean of the samples' sums, with weights, and when it was saved and loaded."""
    loss, each = SUMS[name]
    np.testing.assert_allclose(value(loss, Y, PRED), np.mean(each), rtol=1e-6, atol=1e-6)
    weights = np.array([0.0, 3.0])
    np.testing.assert_allclose(value(loss, Y, PRED, weights), 3 * each[1] / 2, rtol=1e-6, atol=1e-6)
    again = keras.losses.deserialize(keras.losses.serialize(loss))
    np.testing.assert_array_equal(value(again, Y, PRED), value(loss, Y, PRED))


ONES, HALVES = np.ones((2, 2, 2, 1)), np.full((2, 2, 2, 1), 0.5, "float32")  # Dice: 1 - 2 * 0.5 / 1.5 = 1/3


@pytest.mark.parametrize("kind", [keras.losses.Dice, keras.losses.Tversky])
def test_a_loss_of_the_whole_batch_is_refused_with_advice(kind):
    with pytest.raises(
        ValueError, match=rf"loss `{kind.__name__.lower()}` must return one value per sample"
    ) as of:
        (SQUARE + kind())(ONES, HALVES)
    assert f"Pass axis=(1, 2, 3) to keras.losses.{kind.__name__}, or" in str(of.value)
    assert "KerasLoss(loss, allow_scalar=True)" in str(of.value)
    per_image = SQUARE + 3 * KerasLoss(kind(axis=(1, 2, 3)))
    np.testing.assert_allclose(value(per_image, ONES, HALVES), 0.25 + 3 / 3, rtol=1e-5)
    np.testing.assert_allclose(
        value(per_image, ONES, HALVES, np.array([1.0, 3.0])), 2 * (0.25 + 1), rtol=1e-5
    )


def test_a_function_of_the_whole_batch_is_refused_with_advice():
    def worst(y_true, y_pred):
        return ops.max(ops.abs(y_true - y_pred))

    with pytest.raises(ValueError, match=r"loss `worst` must .*Take means over all axes but the first, or"):
        (SQUARE + worst)(Y, PRED)
    allowed = SQUARE + 0.5 * KerasLoss(worst, allow_scalar=True)
    assert list(allowed.losses) == ["squared_error_loss", "worst"]
    np.testing.assert_allclose(value(allowed, Y, PRED), (4 + 1) / 2 + 0.5 * 2, rtol=1e-6)
    # A weight of 0 takes the error of 2 out; the mean weight of the others is 1/2.
    np.testing.assert_allclose(value(allowed, Y, PRED, np.array([0.0, 1.0])), 1 / 2 + 0.5 * 1 / 2, rtol=1e-6)


def test_keras_losses_can_be_multiplied():
    loss = 0.5 * KerasLoss(keras.losses.MeanSquaredError()) - KerasLoss("mean_absolute_error") / 2
    assert loss.weights == {"mean_squared_error": 0.5, "mean_absolute_error": -0.5}
    np.testing.assert_allclose(value(loss, Y, PRED), (0.5 * (4 + 1) - 0.5 * (2 + 1)) / 2, rtol=1e-6)
    again = keras.losses.deserialize(keras.losses.serialize(loss))
    assert list(again.losses) == list(loss.losses)
    np.testing.assert_array_equal(value(again, Y, PRED), value(loss, Y, PRED))
    assert KerasLoss(quartic, name="mine").name == "mine"


def test_gradients_add_up():
    _, found = value_and_gradient(SQUARE - 3 * SIZE, Y, PRED)
    np.testing.assert_allclose(found, np.array([[2 * 2 - 3], [-2 * 1 + 3]]) / 2, rtol=1e-6)


@pytest.mark.parametrize("other", [1, 0.0, "mean_squared_error", None, HuberLoss])
def test_what_cannot_be_added(other):
    for add in (lambda: SQUARE + other, lambda: other + SQUARE, lambda: SQUARE - other):
        with pytest.raises(TypeError):
            add()


@pytest.mark.parametrize("factor", ["2", None, SIZE, True, 1j])
def test_what_cannot_be_multiplied(factor):
    for multiply in (lambda: SQUARE * factor, lambda: factor * SQUARE, lambda: SQUARE / factor):
        with pytest.raises(TypeError):
            multiply()


@pytest.mark.parametrize("factor", [float("nan"), float("inf")])
def test_weights_are_finite(factor):
    with pytest.raises(ValueError, match="`weights` must be"):
        SQUARE * factor


def test_names():
    """Those of the losses, the second of a name with _2; given ones with those of the terms inside."""
    assert list((SQUARE + SIZE + SQUARE).losses) == [
        "squared_error_loss",
        "absolute_error_loss",
        "squared_error_loss_2",
    ]
    inner = SQUARE + 0.5 * SIZE
    nested = CompositeLoss({"box": inner, "class": CrossentropyLoss()}, weights={"box": 4})
    assert nested.weights == {"box_squared_error_loss": 4.0, "box_absolute_error_loss": 2.0, "class": 1.0}
    assert (inner + inner).weights == {
        "squared_error_loss": 1.0,
        "absolute_error_loss": 0.5,
        "squared_error_loss_2": 1.0,
        "absolute_error_loss_2": 0.5,
    }
    named = CompositeLoss({"a": "mse", "a_2": "mae"}) + CompositeLoss({"a": quartic})
    assert list(named.losses) == ["a", "a_2", "a_3"]
    assert list((quartic + SquaredErrorLoss(name="mine")).losses) == ["quartic", "mine"]


def called(name):
    """A function with the name that Keras's users give to the inner one."""

    def function(y_true, y_pred):
        return ops.mean(ops.abs(y_true - y_pred), axis=-1)

    function.__name__ = name
    return function


@pytest.mark.parametrize("name", ["loss", "regularization", "learning_rate", "epoch", "val_accuracy"])
def test_names_that_the_logs_have_for_something_else(name):
    loss = SQUARE + called(name) + called(name)
    assert list(loss.losses) == ["squared_error_loss", f"term_{name}", f"term_{name}_2"]
    with pytest.raises(ValueError, match=f"`losses`.*the logs use the name '{name}' for something else"):
        CompositeLoss({name: SQUARE})
    again = keras.losses.deserialize(keras.losses.serialize(SQUARE + SquaredErrorLoss(name=name)))
    assert list(again.losses) == ["squared_error_loss", f"term_{name}"]


def test_names_of_weighted_terms_and_shares():
    loss = (
        SquaredErrorLoss(name="a_weighted") + SquaredErrorLoss(name="a") + SquaredErrorLoss(name="a_2_share")
    )
    assert list(loss.losses) == ["a_weighted", "a_2", "a_2_share_2"]
    with pytest.raises(ValueError, match="the name 'a_share'"):
        CompositeLoss({"a": SQUARE, "a_share": SIZE})
    assert list(UncertaintyWeightedLoss([called("log_noise")], noise=1.0).names) == [
        "term_log_noise",
        "log_noise",
    ]


def test_terms():
    """Each term before its weight, under the weights and the reduction of the whole."""
    loss = SQUARE + 0.5 * SIZE
    found = {name: float(numpy(x)) for name, x in loss.terms(Y, PRED, np.array([2.0, 0.0])).items()}
    assert found == {"squared_error_loss": 2 * 4 / 2, "absolute_error_loss": 2 * 2 / 2}
    assert float(value(loss, Y, PRED, np.array([2.0, 0.0]))) == 4 + 0.5 * 2


def test_values_of_pixels_and_of_images():
    """Each term is a mean over what it has values of; without a reduction they cannot be added."""
    loss = SQUARE + 0.5 * WorstOfImage()
    y, pred = np.zeros((2, 1, 2, 1)), np.array([1.0, 3.0, 2.0, 0.0], "float32").reshape(2, 1, 2, 1)
    np.testing.assert_allclose(value(loss, y, pred), (1 + 9 + 4 + 0) / 4 + 0.5 * (3 + 2) / 2, rtol=1e-6)
    np.testing.assert_allclose(
        value(loss, y, pred, np.array([0.0, 2.0])), 2 * (4 + 0) / 4 + 0.5 * 2 * 2 / 2, rtol=1e-6
    )
    each = CompositeLoss([SQUARE, WorstOfImage()], reduction="none")
    with pytest.raises(ValueError, match=r"squared_error_loss \(2, 1, 2\), worst_of_image \(2,\)"):
        each(y, pred)


def test_reductions_are_the_sums():
    """That of the losses added, which must be one; that of terms inside a CompositeLoss is not used."""
    total = SquaredErrorLoss(reduction="sum") + AbsoluteErrorLoss(reduction="sum")
    np.testing.assert_allclose(value(total, Y, PRED), 4 + 1 + 2 + 1)
    with pytest.raises(ValueError, match=r"the same `reduction`.*squared_error_loss 'sum', huber_loss"):
        SquaredErrorLoss(reduction="sum") + HuberLoss()
    with pytest.raises(ValueError, match="the same `dtype`"):
        SquaredErrorLoss(dtype="float64") + HuberLoss()
    mixed = CompositeLoss([SquaredErrorLoss(reduction="sum"), AbsoluteErrorLoss()])
    np.testing.assert_allclose(value(mixed, Y, PRED), (4 + 1 + 2 + 1) / 2)


def test_each_term_ignores_its_own_class():
    """A mean is over the samples that the term counts."""
    some, all_ = CrossentropyLoss(ignore_class=1), CrossentropyLoss()
    y, p = np.array([0, 1]), np.array([[0.5, 0.5], [0.75, 0.25]], "float32")
    exact = np.log(2) / 1 + (np.log(2) + np.log(4)) / 2
    np.testing.assert_allclose(value(some + all_, y, p), exact, rtol=1e-6)


def test_a_term_of_weight_0_is_not_trained_on():
    huge = np.array([[1e30], [0.0]], "float32")
    found, slopes = value_and_gradient(0 * SQUARE + SIZE, np.zeros((2, 1)), huge)
    np.testing.assert_allclose(found, 5e29, rtol=1e-6)
    np.testing.assert_allclose(slopes, [[0.5], [0.0]])
    assert value(0 * SQUARE, Y, PRED) == 0


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        ({"square": 2.0}, "must have the names of the losses, mse, mae. Received: 'square'."),
        ([1.0], "must have one number for each of the 2 losses"),
    ],
)
def test_weights_of_other_terms(weights, words):
    with pytest.raises(ValueError, match=words):
        CompositeLoss({"mse": "mse", "mae": "mae"}, weights=weights)


def test_penalties_around_a_sum_are_added_once():
    loss = RegularizedLoss(SQUARE + 0.5 * SIZE, activity_l2=0.1)
    np.testing.assert_allclose(
        value(loss, Y, PRED), (4 + 1 + 0.5 * (2 + 1) + 0.1 * (3**2 + 1)) / 2, rtol=1e-6
    )
    assert list(loss.weights.items())[:2] == [("squared_error_loss", 1.0), ("absolute_error_loss", 0.5)]
    again = keras.losses.deserialize(keras.losses.serialize(loss))
    assert again.weights == loss.weights


def test_trained_saved_and_trained_on(tmp_path):
    """compile, fit, save, load_model without custom_objects, fit: as one loss that is the same sum."""
    x, y = np.arange(8.0).reshape(8, 1) / 8, np.arange(8.0).reshape(8, 1) / 4 + 1
    loss = quartic + SQUARE + 0.5 * SIZE + keras.losses.Huber()
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.01, momentum=0.9), loss=loss, run_eagerly=True)
    model.fit(x, y, epochs=2, verbose=0, shuffle=False)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert again.loss.weights == loss.weights
    histories = [m.fit(x, y, epochs=2, verbose=0, shuffle=False).history["loss"] for m in (model, again)]
    np.testing.assert_allclose(histories[1], histories[0], rtol=1e-6)
    assert histories[0][1] < histories[0][0]


def masked(tail):
    """A model of sequences of 4 steps and 3 classes whose predictions have a mask."""
    inputs = keras.Input((4, 3))
    outputs = keras.layers.Masking()(inputs)
    return keras.Model(inputs, outputs if tail is None else tail(outputs))


CTC_LABELS = np.array([[1, 2], [1, 2]])


def test_a_mask_that_does_not_fit_the_labels_of_a_term():
    model = masked(None)
    model.compile("sgd", loss=CompositeLoss({"ctc": keras.losses.CTC()}))
    message = (
        r"`KerasLoss`: the loss `ctc` has labels of shape \((2|None), 2\), to which the mask of shape "
        r"\((2|None), 4\) cannot be applied\. Remove the mask, for example with "
        r"keras\.layers\.ZeroPadding1D\(0\) as the last layer"
    )
    with pytest.raises(ValueError, match=message):
        model.evaluate(np.ones((2, 4, 3)), CTC_LABELS, verbose=0)


@pytest.mark.filterwarnings("ignore:.*destroy the mask:UserWarning")
def test_the_loss_of_sequences_without_their_mask():
    """Of the 81 equally likely paths of 4 steps, 15 are read as the labels 1, 2."""
    model = masked(keras.layers.ZeroPadding1D(0))
    model.compile("sgd", loss=CompositeLoss({"ctc": keras.losses.CTC()}))
    found = model.evaluate(np.ones((2, 4, 3)), CTC_LABELS, verbose=0)
    assert found == pytest.approx(np.log(81 / 15), rel=1e-5)


def test_weights_of_steps_that_do_not_fit_the_labels_of_a_loss():
    with pytest.raises(ValueError, match=r"sample_weight of shape \(2, 4\) cannot be applied\. Give one"):
        KerasLoss(keras.losses.CTC())(CTC_LABELS, np.zeros((2, 4, 3), "float32"), np.ones((2, 4)))
    found = KerasLoss(keras.losses.CTC())(CTC_LABELS, np.zeros((2, 4, 3), "float32"), np.array([2.0, 0.0]))
    assert float(found) == pytest.approx(np.log(81 / 15), rel=1e-5)
