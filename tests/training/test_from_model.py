"""Models of another class that become loss-aware: they keep their own training, weights and files."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_losses import AbsoluteErrorLoss, AdaptiveBarronLoss, LossAwareModel, SquaredErrorLoss
from keras_losses.callbacks import LossCurves, Writer

R = np.random.default_rng(0)
X = R.normal(0, 1, (16, 3)).astype("float32")
Y = R.normal(0, 1, (16, 2)).astype("float32")
FIT = {"batch_size": 8, "epochs": 2, "verbose": 0, "shuffle": False}


def student():
    return keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])


@keras.saving.register_keras_serializable("tests")
class Distiller(keras.Model):
    """The pattern of keras.io: its loss asks a teacher."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.student, self.teacher = student(), student()
        self.teacher.trainable = False

    def compile(self, optimizer, metrics=None, student_loss=None, alpha=0.5, **kwargs):
        super().compile(optimizer=optimizer, metrics=metrics, **kwargs)
        self.student_loss, self.alpha = student_loss, alpha

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, allow_empty=False):
        assert not allow_empty
        distance = ops.mean(ops.square(self.teacher(x) - y_pred))
        return self.alpha * self.student_loss(y, y_pred) + (1 - self.alpha) * distance

    def call(self, x):
        return self.student(x)


def trained(model, **given):
    model.compile(keras.optimizers.SGD(0.1), run_eagerly=True, **given)
    return model.fit(X, Y, **FIT).history


@pytest.mark.filterwarnings("ignore:.*does not have.*`training`|Model.*compute_loss")
def test_a_distiller_trains_with_its_teacher():
    histories, weights = [], []
    for wrap in (lambda model: model, LossAwareModel.from_model):
        keras.utils.set_random_seed(0)
        model = wrap(Distiller())
        histories.append(trained(model, student_loss=SquaredErrorLoss() + AbsoluteErrorLoss()))
        weights.append(model.get_weights())
    assert isinstance(model, Distiller)
    assert isinstance(model, LossAwareModel)
    np.testing.assert_allclose(histories[1]["loss"], histories[0]["loss"], rtol=1e-6)
    for one, other in zip(*weights, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6)


@keras.saving.register_keras_serializable("tests")
class Counts(keras.Model):
    """A model with its own steps."""

    def __init__(self, units=2, **kwargs):
        super().__init__(**kwargs)
        self.steps = []
        self.last = keras.layers.Dense(units)

    def call(self, x):
        return self.last(x)

    def train_step(self, *args, **kwargs):
        self.steps.append("train")
        return super().train_step(*args, **kwargs)

    def test_step(self, *args, **kwargs):
        self.steps.append("test")
        return super().test_step(*args, **kwargs)

    def predict_step(self, *args, **kwargs):
        self.steps.append("predict")
        return super().predict_step(*args, **kwargs)

    def double(self):
        return 2 * self.count_params()


@keras.saving.register_keras_serializable("tests")
class Functional(keras.Model):
    """A model from inputs and outputs with its own loss."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        return 1000.0 + super().compute_loss(x, y, y_pred, sample_weight, training)

    def double(self):
        return "functional"


@keras.saving.register_keras_serializable("tests")
class Stack(keras.Sequential):
    def double(self):
        return "sequential"


def functional():
    x = keras.Input((3,))
    return Functional(x, keras.layers.Dense(2)(x))


def sequential():
    return Stack([keras.Input((3,)), keras.layers.Dense(2)])


def counts():
    model = Counts()
    model(X[:1])
    return model


def test_steps_and_methods_are_kept():
    inner = counts()
    before = inner.get_weights()
    model = LossAwareModel.from_model(inner)
    assert model is inner
    assert LossAwareModel.from_model(model) is model
    for one, other in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    with pytest.raises(ValueError, match="compile"):
        model.fit(X, Y, verbose=0)
    history = trained(model, loss=SquaredErrorLoss() + 0.5 * AbsoluteErrorLoss())
    model.evaluate(X, Y, verbose=0)
    model.predict(X, verbose=0)
    assert [model.steps.count(kind) > 0 for kind in ("train", "test", "predict")] == [True] * 3
    assert {"loss", "squared_error_loss", "absolute_error_loss"} == set(history)
    assert model.double() == 2 * model.count_params()


@pytest.mark.parametrize("kind", ["subclass", "functional", "sequential"])
def test_saved_with_its_class_and_trained_on(kind, tmp_path):
    keras.utils.set_random_seed(0)
    make = {"subclass": counts, "functional": functional, "sequential": sequential}[kind]
    model = LossAwareModel.from_model(make())
    loss = SquaredErrorLoss() + AdaptiveBarronLoss(outputs=2)
    model.compile(keras.optimizers.Adam(0.1), loss=loss, run_eagerly=True, log_weighted_terms=True)
    model.fit(X, Y, **FIT)
    model.save(tmp_path / "model.keras")
    LossAwareModel.from_model(Distiller())  # another class that is saved under the same name
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert isinstance(again, type(make()))
    assert isinstance(again, LossAwareModel)
    assert again.double() == model.double()
    one, other = (each.fit(X, Y, **FIT).history for each in (model, again))
    assert one.keys() == other.keys() >= {"squared_error_loss_share"}
    assert (one["loss"][0] > 1000) == (kind == "functional")
    for name, values in one.items():
        np.testing.assert_allclose(other[name], values, rtol=1e-5)


@pytest.mark.parametrize("kind", ["subclass", "functional"])
def test_the_plain_model_loads_the_weights_and_the_other_way_round(kind, tmp_path):
    make = {"subclass": counts, "functional": student}[kind]
    aware = LossAwareModel.from_model(make())
    aware.compile("sgd", loss=SquaredErrorLoss() + AbsoluteErrorLoss(), run_eagerly=True)
    aware.fit(X, Y, **FIT)
    aware.save_weights(tmp_path / "aware.weights.h5")
    plain = make()
    plain.load_weights(tmp_path / "aware.weights.h5")
    np.testing.assert_array_equal(plain.predict(X, verbose=0), aware.predict(X, verbose=0))
    plain = make()
    plain.save_weights(tmp_path / "plain.weights.h5")
    aware = LossAwareModel.from_model(make())
    aware.load_weights(tmp_path / "plain.weights.h5")
    np.testing.assert_array_equal(plain.predict(X, verbose=0), aware.predict(X, verbose=0))


class OwnLoss(keras.Model):
    """A VAE of keras.io: its own list of metrics, and a step that computes no compiled loss."""

    def __init__(self):
        super().__init__()
        self.last = keras.layers.Dense(2)
        self.tracker = keras.metrics.Mean(name="tracked")

    @property
    def metrics(self):
        return [self.tracker]

    def call(self, x):
        return self.last(x)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        total = ops.mean(ops.square(y - self(x)))
        self.tracker.update_state(total)
        return total


@pytest.mark.parametrize("aware", [True, False])
def test_a_model_with_its_own_metrics(aware):
    """Whatever the model has, the terms that it does not compute are not in the logs."""

    class Nowhere(Writer):
        def scalar(self, *args):
            pass

    model = LossAwareModel.from_model(OwnLoss()) if aware else OwnLoss()
    model.compile("sgd", run_eagerly=True)
    history = model.fit(X, Y, callbacks=[LossCurves(writers=[Nowhere()])], **FIT).history
    assert set(history) == {"tracked"}


def test_terms_of_a_model_that_lists_its_metrics_are_means_of_one_epoch():
    class Listed(Counts):
        @property
        def metrics(self):
            return [super().metrics[0]]

    model = LossAwareModel.from_model(Listed())
    model.compile(keras.optimizers.SGD(0.1), loss=SquaredErrorLoss() + AbsoluteErrorLoss(), run_eagerly=True)
    history = model.fit(X, Y, **FIT).history
    added = np.add(history["squared_error_loss"], history["absolute_error_loss"])
    np.testing.assert_allclose(added, history["loss"], rtol=1e-6)


@keras.saving.register_keras_serializable("tests")
class OfInputsAndOutputs(LossAwareModel):
    pass


def test_a_subclass_made_of_inputs_and_outputs_leaves_its_base_as_it_is(tmp_path):
    """Keras changes the bases of such a class, and those of its bases; other subclasses must not notice."""

    class Student(LossAwareModel):
        def __init__(self):
            super().__init__()
            self.dense = keras.layers.Dense(2)

        def call(self, x):
            return self.dense(x)

    plain = student()
    for model in (OfInputsAndOutputs(plain.inputs, plain.outputs), Student()):
        history = trained(model, loss=SquaredErrorLoss() + AbsoluteErrorLoss())
        np.testing.assert_allclose(
            history["loss"],
            np.add(history["squared_error_loss"], history["absolute_error_loss"]),
            rtol=1e-6,
        )
        assert LossAwareModel.__bases__[-1] is keras.Model
    model = OfInputsAndOutputs(plain.inputs, plain.outputs)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert type(loaded) is OfInputsAndOutputs
    np.testing.assert_array_equal(loaded.predict(X, verbose=0), plain.predict(X, verbose=0))
