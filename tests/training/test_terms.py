"""The terms of a loss in the logs: by LossAwareModel and on plain models, where they add up to the loss."""

import warnings

import keras
import numpy as np
import pytest
from keras import ops

from keras_losses import (
    AbsoluteErrorLoss,
    CompositeLoss,
    GaussianKLLoss,
    GaussianNLLLoss,
    HuberLoss,
    LossAwareModel,
    SquaredErrorLoss,
)
from keras_losses.training.terms import LossTerms
from keras_losses.training.watch import WatchTerms
from tests.backends import BACKEND

R = np.random.default_rng(0)
X = R.normal(0, 1, (70, 3)).astype("float32")
Y = (X @ np.array([[1.0], [2.0], [-1.0]]) + R.normal(0, 0.3, (70, 1))).astype("float32")
WEIGHTS = R.uniform(0, 2, 70) * (R.uniform(size=70) > 0.2)
TERMS = ("squared_error_loss", "absolute_error_loss", "regularization")


def sum_of_two():
    return SquaredErrorLoss() + 0.5 * AbsoluteErrorLoss()


def layers():
    return [
        keras.Input((3,)),
        keras.layers.Dense(4, activation="tanh", kernel_regularizer=keras.regularizers.L2(0.1)),
        keras.layers.Dense(1),
    ]


@keras.saving.register_keras_serializable("tests")
class OfItsOwn(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.first, self.last = layers()[1:]

    def call(self, x):
        return self.last(self.first(x))


class LossAware(LossAwareModel):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.first, self.last = layers()[1:]

    def call(self, x):
        return self.last(self.first(x))


def functional():
    x, *rest = layers()
    y = x
    for layer in rest:
        y = layer(y)
    return LossAwareModel(x, y)


def plain():
    return keras.Sequential(layers())


MODELS = {
    "from inputs and outputs": functional,
    "of a class of one's own": LossAware,
    "from_model of a Sequential": lambda: LossAwareModel.from_model(keras.Sequential(layers())),
    "from_model of another class": lambda: LossAwareModel.from_model(OfItsOwn()),
    "plain": plain,
}


# XLA compiles for longer than these models train; JAX without its compiler would not trace.
TRACED = {"run_eagerly": False, "jit_compile": BACKEND == "jax"}


def compiled(make, loss=None, **given):
    """Eager unless it is `TRACED`: a handful of steps costs less than tracing one."""
    keras.utils.set_random_seed(0)
    model = make()
    given = {"run_eagerly": True, **given}
    if make is not plain:
        given = {"log_weighted_terms": True, **given}
    model.compile(keras.optimizers.SGD(0.01), loss=loss or sum_of_two(), **given)
    if make is plain:
        LossTerms.attach(model, log_weighted_terms=True)
    return model


def fitted(model, **given):
    given = {"batch_size": 32, "epochs": 2, "verbose": 0, "shuffle": False, **given}
    return model.fit(X, Y, validation_data=(X[:20], Y[:20]), **given).history


def add_up(history):
    for prefix in ("", "val_"):
        of = {name.removeprefix(prefix): np.array(values) for name, values in history.items()}
        if not prefix:
            of = {name: values for name, values in of.items() if not name.startswith("val_")}
        else:
            of = {name: of[name.removeprefix(prefix)] for name in of if f"val_{name}" in history}
        for kind, total in (("_weighted", of["loss"]), ("_share", 1.0)):
            parts = [values for name, values in of.items() if name.endswith(kind)]
            assert len(parts) > 1
            np.testing.assert_allclose(np.sum(parts, axis=0), total, rtol=1e-6)


@pytest.mark.parametrize("make", MODELS.values(), ids=MODELS)
def test_terms_add_up_to_the_loss(make):
    """Each as it is, as it is weighted, and as a share, in training and validation, under weights."""
    how = TRACED if make is functional else {}
    history = fitted(compiled(make, **how), sample_weight=WEIGHTS)
    assert set(history) == {
        *(
            f"{side}{name}{kind}"
            for side in ("", "val_")
            for name in TERMS
            for kind in ("", "_weighted", "_share")
        ),
        "loss",
        "val_loss",
    }
    add_up(history)
    for name, weight in zip(TERMS, (1, 0.5, 1), strict=True):
        np.testing.assert_allclose(history[f"{name}_weighted"], weight * np.array(history[name]), rtol=1e-6)


def test_terms_are_those_of_separate_models():
    """A term is logged as Keras logs a model's only loss, and the penalties as what they add to it."""
    model = compiled(functional)
    logs = model.evaluate(X, Y, sample_weight=WEIGHTS, verbose=0, return_dict=True, batch_size=32)
    for loss in (SquaredErrorLoss(), AbsoluteErrorLoss()):
        model.compile(loss=loss, run_eagerly=True)
        alone = model.evaluate(X, Y, sample_weight=WEIGHTS, verbose=0, return_dict=True, batch_size=32)
        np.testing.assert_allclose(logs[loss.name], alone["loss"] - alone["regularization"], rtol=1e-6)
    penalty = 0.1 * np.square(ops.convert_to_numpy(model.layers[1].kernel)).sum()
    np.testing.assert_allclose(logs["regularization"], penalty, rtol=1e-6)


@pytest.mark.parametrize("given", [{"steps_per_execution": 2, **TRACED}, {"jit_compile": True}], ids=str)
def test_however_it_is_run(given):
    """As step by step."""
    if BACKEND == "torch":
        pytest.skip("Keras runs PyTorch step by step")
    plainly = fitted(compiled(functional))
    history = fitted(compiled(functional, **{"run_eagerly": False, **given}))
    add_up(history)
    for name, values in plainly.items():
        np.testing.assert_allclose(history[name], values, rtol=1e-5)


def test_training_is_not_changed():
    """The same weights as without the terms."""
    keras.utils.set_random_seed(0)
    without = plain()
    without.compile(keras.optimizers.SGD(0.01), loss=sum_of_two(), run_eagerly=True)
    fitted(without)
    for make in (plain, functional):
        model = compiled(make)
        fitted(model)
        for one, other in zip(model.get_weights(), without.get_weights(), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-6)


@pytest.mark.parametrize("same", [True, False], ids=["one loss for both", "a loss for each"])
def test_outputs_have_terms_of_their_own(same):
    """<output>_<term>, weighted with the weight of the output, also where one loss object serves both."""

    def two():
        x, hidden, _ = layers()
        y = hidden(x)
        return LossAwareModel(
            x, {"a": keras.layers.Dense(1, name="a")(y), "b": keras.layers.Dense(1, name="b")(y)}
        )

    loss = sum_of_two()
    keras.utils.set_random_seed(0)
    model = two()
    model.compile(
        "sgd",
        loss={"a": loss, "b": loss if same else HuberLoss() + SquaredErrorLoss()},
        loss_weights={"a": 0.25, "b": 2},
        run_eagerly=True,
        log_weighted_terms=True,
    )
    targets = {"a": Y, "b": 0 * Y}
    given = {"validation_data": (X, targets), "epochs": 2, "batch_size": 35, "verbose": 0}
    history = model.fit(X, targets, **given).history
    add_up(history)
    np.testing.assert_allclose(
        history["a_absolute_error_loss_weighted"],
        0.25 * 0.5 * np.array(history["a_absolute_error_loss"]),
        rtol=1e-6,
    )
    assert history["a_squared_error_loss"] != history["b_squared_error_loss"]


@pytest.mark.parametrize("structure", [dict, list])
@pytest.mark.parametrize("given", ["one loss", "in order", "the other way round", "one object"])
def test_terms_are_of_their_output(structure, given):
    """In whatever way the losses and outputs are given: r is 1 at a, and 3 at b."""
    x = keras.Input((3,))
    y = {
        name: keras.layers.Dense(1, name=name, kernel_initializer="zeros", bias_initializer=bias)(x)
        for name, bias in (("a", "zeros"), ("b", keras.initializers.Constant(2.0)))
    }
    model = LossAwareModel(x, structure(y.values()) if structure is list else y)
    one = sum_of_two()
    loss = {
        "one loss": one,
        "in order": {"a": one, "b": sum_of_two()},
        "the other way round": {"b": one, "a": sum_of_two()},
        "one object": {"b": one, "a": one},
    }[given]
    weights = None if given == "one loss" else {name: {"a": 2.0, "b": 10.0}[name] for name in loss}
    model.compile("sgd", loss=loss, loss_weights=weights, run_eagerly=True, log_weighted_terms=True)
    targets = {"a": np.full((70, 1), -1.0), "b": np.full((70, 1), -1.0)}
    targets = list(targets.values()) if structure is list else targets
    logs = model.evaluate(X, targets, verbose=0, return_dict=True, batch_size=70)
    a, b = (1.0, 1.0) if weights is None else (2.0, 10.0)
    expected = {
        "a_squared_error_loss": 1.0,
        "a_absolute_error_loss": 1.0,
        "b_squared_error_loss": 9.0,
        "b_absolute_error_loss": 3.0,
        "a_squared_error_loss_weighted": a,
        "a_absolute_error_loss_weighted": a * 0.5,
        "b_squared_error_loss_weighted": b * 9,
        "b_absolute_error_loss_weighted": b * 0.5 * 3,
        "loss": a * 1.5 + b * 10.5,
    }
    assert {name: logs[name] for name in expected} == pytest.approx(expected, rel=1e-6)


# Names in the logs -------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [functional, plain], ids=["aware", "plain"])
def test_the_terms_alone_are_in_the_logs_by_default(make):
    model = make()
    model.compile("sgd", loss=sum_of_two(), run_eagerly=True)
    if make is plain:
        LossTerms.attach(model)
    assert set(fitted(model)) == {f"{side}{name}" for side in ("", "val_") for name in ("loss", *TERMS)}


def make_loss(k):
    def loss(y_true, y_pred):
        return k * ops.mean(ops.abs(y_true - y_pred), axis=-1)

    return loss


@pytest.mark.parametrize("make", [functional, plain], ids=["aware", "plain"])
def test_a_term_called_loss_does_not_replace_the_total(make):
    model = compiled(make, SquaredErrorLoss() + make_loss(3.0))
    history = fitted(model)
    added = np.add(history["squared_error_loss"], history["term_loss"]) + history["regularization"]
    np.testing.assert_allclose(added, history["loss"], rtol=1e-6)
    assert history["term_loss"] != history["loss"]


@pytest.mark.parametrize("make", [functional, plain], ids=["aware", "plain"])
@pytest.mark.parametrize("metric", [str, keras.metrics.MeanAbsoluteError], ids=["by name", "as an object"])
def test_a_term_called_like_a_metric(make, metric):
    loss = SquaredErrorLoss(name="mae") + AbsoluteErrorLoss()
    metrics = ["mae"] if metric is str else [metric(name="mae")]
    history = fitted(compiled(make, loss, weighted_metrics=metrics), sample_weight=np.ones(70))
    np.testing.assert_allclose(history["mae"], history["absolute_error_loss"], rtol=1e-5)
    assert "term_mae" in history
    assert history["term_mae"] != history["mae"]


def test_terms_called_like_those_of_other_outputs():
    """And like the metric of an output, or its loss."""
    x = keras.Input((3,))
    model = LossAwareModel(x, {name: keras.layers.Dense(1, name=name)(x) for name in ("a", "a_b")})
    loss = {
        "a": CompositeLoss({"b_c": SquaredErrorLoss(), "b_loss": "mae"}),
        "a_b": CompositeLoss({"c": AbsoluteErrorLoss(), "mse": HuberLoss()}),
    }
    model.compile("sgd", loss=loss, metrics={"a_b": ["mse"]}, run_eagerly=True)
    logs = model.evaluate(X, {"a": Y, "a_b": Y}, verbose=0, return_dict=True)
    assert {"a_b_c", "term_a_b_loss", "a_b_c_2", "a_b_mse", "term_a_b_mse"} <= set(logs)
    found = model.predict(X, verbose=0)
    assert logs["a_b_c"] == pytest.approx(np.mean((found["a"] - Y) ** 2), rel=1e-5)
    assert logs["a_b_c_2"] == pytest.approx(np.mean(np.abs(found["a_b"] - Y)), rel=1e-5)
    assert logs["a_b_mse"] == pytest.approx(np.mean((found["a_b"] - Y) ** 2), rel=1e-5)


def test_an_output_without_a_loss_has_no_terms():
    x = keras.Input((3,))
    y = {name: keras.layers.Dense(1, name=name)(x) for name in "ab"}
    model = LossAwareModel(x, y)
    model.compile("sgd", loss={"b": sum_of_two()}, run_eagerly=True)
    found = model.predict(X, verbose=0)["b"]
    logs = model.evaluate(X, {"b": Y}, batch_size=70, verbose=0, return_dict=True)
    assert logs["absolute_error_loss"] == pytest.approx(np.mean(np.abs(Y - found)), rel=1e-5)


def test_a_model_of_ones_own_with_one_loss_for_several_outputs():
    class Two(LossAware):
        def call(self, x):
            return {"a": super().call(x), "b": super().call(x)}

    model = Two()
    model.compile("sgd", loss=sum_of_two())
    with pytest.raises(ValueError, match="Give each output of the model its loss by name"):
        model.fit(X, {"a": Y, "b": Y}, verbose=0)

    class PlainTwo(OfItsOwn):
        def call(self, x):
            return {"a": super().call(x), "b": super().call(x)}

    model = PlainTwo()
    model.compile(keras.optimizers.SGD(0.0), loss=sum_of_two(), run_eagerly=True)
    LossTerms.attach(model, log_weighted_terms=True)
    history = model.fit(X, {"a": Y, "b": Y}, batch_size=70, verbose=0).history
    residuals = Y - model.predict(X, verbose=0)["a"]
    # The terms of both outputs are added up.
    assert history["squared_error_loss"] == pytest.approx([2 * np.mean(residuals**2)], rel=1e-5)
    add_up({**history, **{f"val_{name}": values for name, values in history.items()}})


def test_compiled_when_it_is_built():
    """A model of a class of one's own takes no layers any more when it has its weights."""
    plainly, model = compiled(LossAware), LossAware()
    model(X)
    plainly(X)
    model.set_weights(plainly.get_weights())
    model.compile(keras.optimizers.SGD(0.01), loss=sum_of_two(), run_eagerly=True)
    expected = fitted(plainly)
    for name, values in fitted(model).items():
        np.testing.assert_allclose(values, expected[name], rtol=1e-6)


# What is warned of ------------------------------------------------------------------------------------


def still(loss, outputs=None, **given):
    """Predictions of 0 that stay there."""
    x = keras.Input((3,))
    kinds = {"kernel_initializer": "zeros", "trainable": False}
    if outputs:
        y = {name: keras.layers.Dense(1, name=name, **kinds)(x) for name in outputs}
    else:
        y = keras.layers.Dense(1, **kinds)(x)
    model = LossAwareModel(x, y)
    model.compile("sgd", loss=loss, run_eagerly=True, **given)
    return model


def warnings_of(model, targets, **given):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(
            np.zeros((len(keras.tree.flatten(targets)[0]), 3)),
            targets,
            **{"batch_size": 1, "epochs": 2, "verbose": 0, "shuffle": False, **given},
        )
    words = ("of the loss in epoch", "infinite or NaN")
    return [str(each.message) for each in caught if any(word in str(each.message) for word in words)]


def test_a_term_beside_which_the_others_vanish():
    """r = 40: 1600 of 1600 + 40 is 97.6%; it is said once, and r = 10 is no reason: 100 of 110."""
    model = still(SquaredErrorLoss() + AbsoluteErrorLoss())
    (said,) = warnings_of(model, np.full((4, 1), 40.0), batch_size=4)
    assert "The term squared_error_loss was 97.6% of the loss in epoch 0" in said
    assert warnings_of(model, np.full((4, 1), 40.0), batch_size=4) == []
    assert (
        warnings_of(still(SquaredErrorLoss() + AbsoluteErrorLoss()), np.full((4, 1), 10.0), batch_size=4)
        == []
    )


def test_a_validation_is_no_reason():
    """r = 40 in training, 1 in validation: 1600 of 1640, and the other way round 1 of 2."""
    large, small = (np.zeros((4, 3)), np.full((4, 1), 40.0)), (np.zeros((4, 3)), np.ones((4, 1)))
    model = still(SquaredErrorLoss() + AbsoluteErrorLoss())
    (said,) = warnings_of(model, large[1], batch_size=4, validation_data=small)
    assert "was 97.6% of the loss in epoch 0" in said
    model = still(SquaredErrorLoss() + AbsoluteErrorLoss())
    assert warnings_of(model, small[1], batch_size=4, validation_data=large) == []


def test_terms_that_are_not_meant_are_no_reason():
    """Of weight 0, alone, or negative: a size is a size."""
    assert (
        warnings_of(still(SquaredErrorLoss() + 0 * AbsoluteErrorLoss()), np.full((4, 1), 40.0), batch_size=4)
        == []
    )
    assert warnings_of(still(1.0 * SquaredErrorLoss()), np.full((4, 1), 40.0), batch_size=4) == []
    (said,) = warnings_of(
        still(AbsoluteErrorLoss() - SquaredErrorLoss()), np.full((4, 1), 40.0), batch_size=4
    )
    assert said.startswith("The term squared_error_loss was 97.6%")


def test_outputs_are_weighed_together():
    """b: 0.01 * 1600 = 16 of 16 + 40 is no reason; with a weight of 1 it is one."""
    targets = {"a": np.full((4, 1), 40.0), "b": np.full((4, 1), 40.0)}
    losses = {"a": 1.0 * AbsoluteErrorLoss(), "b": 1.0 * SquaredErrorLoss()}
    assert warnings_of(still(losses, "ab", loss_weights={"a": 1.0, "b": 0.01}), targets, batch_size=4) == []
    (said,) = warnings_of(still(losses, "ab"), targets, batch_size=4)
    assert said.startswith("The term b_squared_error_loss was 97.6%")


def test_the_batch_in_which_a_nan_begins():
    """The label of batch 2 of epoch 1 is one: the first is 0, and epochs begin at 0 as well."""
    label = keras.Variable(0.0, trainable=False)

    class Poison(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            label.assign(np.nan if epoch == 1 else 0.0)

    class AtTwo(keras.losses.Loss):
        """A loss that is no number where the label is 2, while it is poisoned."""

        def call(self, y_true, y_pred):
            poisoned = ops.where(ops.equal(y_true, 2.0), ops.convert_to_tensor(label), 0.0)
            return ops.mean(ops.abs(y_true - y_pred) + poisoned, axis=-1)

    model = still(SquaredErrorLoss() + AtTwo(name="at_two"))
    (said,) = warnings_of(model, np.arange(5.0)[:, None], callbacks=[Poison()])
    assert said.startswith("at_two became infinite or NaN in batch 2 of epoch 1")
    assert "squared_error_loss" not in said


def test_every_term_that_breaks_at_once_is_named():
    """A label that is NaN or infinite breaks both terms; of two outputs only its own."""
    for wrong in (np.nan, np.inf):
        targets = np.array([[1.0], [2.0], [1.0], [wrong], [1.0]])
        (said,) = warnings_of(still(SquaredErrorLoss() + AbsoluteErrorLoss()), targets)
        names = "squared_error_loss and absolute_error_loss"
        assert said.startswith(f"{names} became infinite or NaN in batch 3 of epoch 0")
        given = {"a": np.ones((5, 1)), "b": targets}
        losses = {name: 1.0 * SquaredErrorLoss() for name in "ab"}
        (said,) = warnings_of(still(losses, "ab"), given)
        assert said.startswith("b_squared_error_loss became infinite or NaN in batch 3 of epoch 0")


def test_a_loss_without_terms_is_called_loss():
    (said,) = warnings_of(still("mean_squared_error"), np.array([[1.0], [np.nan]]))
    assert said.startswith("loss became infinite or NaN in batch 1 of epoch 0")


def test_compiled_anew():
    """A plain model that was trained is traced again, and one that is compiled again has the new terms."""
    model = plain()
    model.compile("sgd", loss=sum_of_two(), **TRACED)
    assert set(fitted(model, epochs=1)) == {"loss", "val_loss"}
    LossTerms.attach(model, log_weighted_terms=True)
    add_up(fitted(model))
    model.compile("sgd", loss=HuberLoss() + SquaredErrorLoss() + AbsoluteErrorLoss(), **TRACED)
    LossTerms.attach(model)
    history = fitted(model)
    add_up(history)
    assert {"huber_loss", "absolute_error_loss"} < set(history)


def test_what_is_called_outside_a_step_is_not_counted():
    model = compiled(functional)
    before = model.evaluate(X, Y, verbose=0, return_dict=True)

    class Calls(keras.callbacks.Callback):
        def on_test_batch_end(self, batch, logs=None):
            self.model.loss(np.ones((4, 1)), np.zeros((4, 1)))

    assert model.evaluate(X, Y, verbose=0, return_dict=True, callbacks=[Calls()]) == before


@pytest.mark.parametrize(
    "name",
    [
        "from inputs and outputs",
        "from_model of another class",
        pytest.param("from_model of a Sequential", marks=pytest.mark.thorough),
    ],
)
def test_saved_and_trained_on(name, tmp_path):
    """Without custom_objects; the optimizer goes on where it was."""
    model = compiled(MODELS[name])
    fitted(model)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    histories = [fitted(one) for one in (model, again)]
    assert histories[0].keys() == histories[1].keys()
    for name, values in histories[0].items():
        np.testing.assert_allclose(histories[1][name], values, rtol=1e-6)


def test_from_model_keeps_weights_and_names():
    inner = plain()
    model = LossAwareModel.from_model(inner)
    assert [layer.name for layer in model.layers[1:]] == [layer.name for layer in inner.layers]
    np.testing.assert_array_equal(model.predict(X, verbose=0), inner.predict(X, verbose=0))
    assert model.trainable_variables[0] is inner.trainable_variables[0]
    with pytest.raises(TypeError, match=r"`model` must be a keras.Model. Received: int"):
        LossAwareModel.from_model(3)
    with pytest.raises(ValueError, match=r"`model` must be built.*without weights"):
        LossAwareModel.from_model(keras.Sequential([keras.layers.Dense(1)]))


@pytest.mark.skipif(BACKEND != "tensorflow", reason="a facility of TensorFlow's")
@pytest.mark.parametrize("make", [pytest.param(functional, marks=pytest.mark.thorough), plain])
def test_two_replicas_log_what_one_does(make):
    import tensorflow as tf

    to_one_device = tf.distribute.ReductionToOneDevice()
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"], cross_device_ops=to_one_device)
    histories = []
    for scope in (tf.distribute.get_strategy(), strategy):
        with scope.scope():
            model = make()
            model.compile(keras.optimizers.SGD(0.01), loss=sum_of_two(), **TRACED)
        LossTerms.attach(model)  # out of the scope, as callbacks do
        broken = np.array([[1.0]] * 6 + [[np.nan]] + [[1.0]])
        (said,) = warnings_of(model, broken, batch_size=2, callbacks=[WatchTerms()])
        assert "in batch 3 of epoch 0" in said
        with scope.scope():
            model = compiled(make, **TRACED)
        data = {"x": X[:64], "y": Y[:64], "batch_size": 32, "shuffle": False, "verbose": 0, "epochs": 2}
        histories.append(model.fit(**data).history)
    for name, values in histories[0].items():
        np.testing.assert_allclose(histories[1][name], values, rtol=1e-5)


def test_one_term_and_no_penalty():
    """A loss without terms has nothing to show but itself."""
    keras.utils.set_random_seed(0)
    model = LossAwareModel.from_model(keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)]))
    model.compile("sgd", loss=CompositeLoss([SquaredErrorLoss()]), run_eagerly=True, log_weighted_terms=True)
    history = fitted(model)
    np.testing.assert_allclose(history["squared_error_loss_share"], 1.0, rtol=1e-6)
    assert "regularization" not in history
    model.compile("sgd", loss="mse", run_eagerly=True)
    assert set(fitted(model)) == {"loss", "val_loss"}


@pytest.mark.parametrize(
    "weights",
    [pytest.param(None, id="plain", marks=pytest.mark.thorough), pytest.param(WEIGHTS, id="weighted")],
)
def test_three_ways_have_the_same_numbers(weights):
    """Metrics, attached terms, and LossAwareModel, with the model saved and loaded."""
    loss = sum_of_two()
    metrics = (
        {"metrics": loss.term_metrics()} if weights is None else {"weighted_metrics": loss.term_metrics()}
    )
    keras.utils.set_random_seed(0)
    model = plain()
    model.compile(keras.optimizers.SGD(0.01), loss=loss, run_eagerly=True, **metrics)
    found = [fitted(model, sample_weight=weights)]
    found += [fitted(compiled(make), sample_weight=weights) for make in (plain, functional)]
    for kind in ("", "_weighted"):
        for name in (f"{side}{term}{kind}" for side in ("", "val_") for term in TERMS[:2]):
            for other in found[1:]:
                np.testing.assert_allclose(other[name], found[0][name], rtol=1e-6)


def test_metrics_of_terms_are_saved(tmp_path):
    loss = sum_of_two()
    model = plain()
    model.compile("sgd", loss=loss, metrics=loss.term_metrics(), run_eagerly=True)
    before = fitted(model, epochs=1)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert set(fitted(again, epochs=1)) == set(before)


@pytest.mark.filterwarnings("ignore:The term .* of the loss in epoch")
def test_terms_of_packed_predictions():
    """A likelihood among them, whose predictions are not of the shape of the targets."""
    keras.utils.set_random_seed(0)
    model = LossAwareModel.from_model(keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)]))
    model.compile(
        "sgd", loss=GaussianNLLLoss() + 0.5 * GaussianKLLoss(), run_eagerly=True, log_weighted_terms=True
    )
    history = fitted(model)
    add_up(history)
    np.testing.assert_allclose(
        history["gaussian_klloss_weighted"], 0.5 * np.array(history["gaussian_klloss"]), rtol=1e-6
    )
