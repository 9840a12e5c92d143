"""The first batch of `fit` is checked in eager mode, which changes no training."""

import keras
import numpy as np
import pytest

from keras_losses import CrossentropyLoss, HingeLoss, LossAwareModel, SquaredErrorLoss, config

X = np.linspace(-1, 1, 12, dtype="float32").reshape(6, 2)
ZEROS_AND_ONES = np.array([0, 1, 0, 1, 0, 1], "float32")


def compiled(loss, outputs=1, **options):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((2,))
    hidden = keras.layers.Dropout(0.5)(keras.layers.Dense(4)(inputs))
    model = LossAwareModel(inputs, keras.layers.Dense(outputs)(keras.layers.BatchNormalization()(hidden)))
    model.compile("sgd", loss=loss, jit_compile=False, **options)
    return model


def test_invalid_labels_of_the_first_batch_raise():
    """0/1 labels in a loss of signed ones, which a compiled step gives a number for."""
    with pytest.raises(ValueError, match="Received: 0"):
        compiled(HingeLoss() + SquaredErrorLoss()).fit(X, ZEROS_AND_ONES, verbose=0)


def test_invalid_predictions_of_the_first_batch_raise():
    """Linear outputs that should be probabilities, of one output among several."""
    inputs = keras.Input((2,))
    share = keras.layers.Dense(1, bias_initializer="ones")(inputs)
    model = LossAwareModel(inputs, {"number": keras.layers.Dense(1)(inputs), "share": share})
    model.compile("sgd", loss={"number": SquaredErrorLoss(), "share": CrossentropyLoss()})
    with pytest.raises(ValueError, match="from_logits=True"):
        model.fit(4 * X, {"number": ZEROS_AND_ONES, "share": ZEROS_AND_ONES}, verbose=0)


def test_samples_that_do_not_count_may_be_invalid():
    """A weight of 0 takes a sample out, whatever its label is."""
    labels, weights = 2 * ZEROS_AND_ONES - 1, np.ones(6, "float32")
    labels[1], weights[1] = 7, 0
    compiled(HingeLoss()).fit(X, labels, sample_weight=weights, verbose=0)


@pytest.fixture
def without_checks():
    """Turn the checks off when called."""
    yield lambda: config.validate_values(False)
    config.validate_values(True)


@pytest.mark.filterwarnings("ignore:loss became infinite or NaN")
def test_checks_can_be_turned_off(without_checks):
    """`validate_values(False)` turns this check off as well."""
    without_checks()
    compiled(HingeLoss()).fit(X, ZEROS_AND_ONES, verbose=0)


def test_training_is_the_same(without_checks):
    """The check changes neither weights nor random numbers nor statistics."""
    checked = compiled(SquaredErrorLoss()).fit(X, ZEROS_AND_ONES, epochs=2, batch_size=2, verbose=0)
    without_checks()
    plain = compiled(SquaredErrorLoss()).fit(X, ZEROS_AND_ONES, epochs=2, batch_size=2, verbose=0)
    assert checked.history == plain.history


@keras.saving.register_keras_serializable("tests")
class OwnStep(LossAwareModel):
    """Its `compute_loss` turns 0/1 labels into signed ones, so the labels that `fit` gets are no mistake."""

    def __init__(self, **options):
        super().__init__(**options)
        self.last = keras.layers.Dense(1)

    def call(self, x):
        return self.last(x)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        return super().compute_loss(x, 2 * y - 1, y_pred, sample_weight, training)


def test_models_with_their_own_loss_are_left_alone():
    """What a model's own `compute_loss` does with the labels is not known."""
    model = OwnStep()
    model.compile("sgd", loss=HingeLoss(), jit_compile=False)
    model.fit(X, ZEROS_AND_ONES, verbose=0)


def test_generators_are_not_read(without_checks):
    """A batch taken from a generator would be missing in the training."""
    read = []

    def batches():
        while True:
            read.append(len(read))
            yield X, ZEROS_AND_ONES

    counts = []
    for prepare in (lambda: None, without_checks):
        prepare()
        read.clear()
        compiled(SquaredErrorLoss()).fit(batches(), steps_per_epoch=2, shuffle=False, verbose=0)
        counts.append(len(read))
    assert counts[0] == counts[1]
