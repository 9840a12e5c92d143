"""Invalid labels and predictions in compiled steps, which cannot raise an error: the value is NaN."""

import numpy as np
import pytest

from keras_losses import (
    CrossentropyLoss,
    FocalLoss,
    HingeLoss,
    KLDivergenceLoss,
    LDAMLoss,
    SeesawLoss,
    config,
)
from tests.backends import BACKEND, numpy, tensor, unchecked, value
from tests.contract.cases import about
from tests.contract.test_bad_input import bad_values, outputs_of
from tests.every_loss import LOSSES, build
from tests.kinds.classes import THIRDS


@pytest.fixture
def no_checks():
    """Let eager mode mark invalid values as compiled steps do."""
    with unchecked():
        yield


def is_exception(message, y_true, y_pred):
    """Return whether a compiled step does not notice the mistake (docs/decisions/0038-invalid-labels.md).

    Sums of rows and comparisons of neighbours take another pass over memory. With class ids, only the
    probability of the true class is looked at.
    """
    of_ids = np.ndim(y_true) < np.ndim(y_pred) and "must hold probabilities" in message
    return of_ids or any(
        words in message for words in ("must add up to 1", "add up to at most 1", "must increase")
    )


@pytest.mark.parametrize("loss", [name for name in LOSSES if list(bad_values(name))])
def test_values_outside_the_domain_are_nan_without_checks(loss, no_checks):
    for options, y_true, y_pred, _ in bad_values(loss):
        with about((options, y_true, y_pred)):
            built = build(loss, options, outputs_of(y_pred))
            y_true, y_pred = np.asarray(y_true), np.asarray(y_pred, "float32")
            config.validate_values(True)
            with pytest.raises(ValueError) as caught:
                value(built, y_true, y_pred)
            config.validate_values(False)
            marked = np.isnan(numpy(built(y_true, tensor(y_pred, "float32"))))
            assert marked.all() or is_exception(str(caught.value), y_true, y_pred), caught.value


def compiled(loss, y_true, y_pred, jit=True):
    """Return the value and the gradient of a loss in a compiled step; on PyTorch in eager mode."""
    y_true, y_pred = np.asarray(y_true), np.asarray(y_pred, "float32")
    if BACKEND == "tensorflow":
        import tensorflow as tf

        @tf.function(jit_compile=jit)
        def step(y_true, y_pred):
            with tf.GradientTape() as tape:
                tape.watch(y_pred)
                loss_value = loss(y_true, y_pred)
            return loss_value, tape.gradient(loss_value, y_pred)

        return [x.numpy() for x in step(tf.constant(y_true), tf.constant(y_pred))]
    if BACKEND == "jax":
        import jax

        step = jax.jit(jax.value_and_grad(lambda y_pred, y_true: loss(y_true, y_pred)))
        return [np.asarray(x) for x in step(y_pred, y_true)]
    y_pred = tensor(y_pred, "float32").requires_grad_()
    loss_value = loss(y_true, y_pred)
    loss_value.backward()
    return numpy(loss_value), numpy(y_pred.grad)


VALID_AND_INVALID = [
    (HingeLoss(), [[1.0], [0.0]], [[0.5], [0.5]]),  # 0/1 labels with labels="signed"
    (CrossentropyLoss(), [[0], [255]], [[0.5], [0.5]]),  # a mask of 0 and 255
    (FocalLoss(), [[1.0], [-1.0]], [[0.5], [0.5]]),  # signed labels
    (FocalLoss(multi_label=True), [[1.0, 0.0], [255.0, 0.0]], [[0.5, 0.5], [0.5, 0.5]]),
    (CrossentropyLoss(), [[1.0], [0.0]], [[0.5], [-3.0]]),  # linear outputs with from_logits=False
    (KLDivergenceLoss(), [[0.5, 0.5], [1.5, -0.5]], [[0.5, 0.5], [0.5, 0.5]]),
]


@pytest.mark.parametrize(("loss", "y_true", "y_pred"), VALID_AND_INVALID, ids=lambda x: type(x).__name__)
def test_the_invalid_sample_alone_is_nan_in_a_compiled_step(loss, y_true, y_pred, no_checks):
    each = numpy(
        type(loss).from_config({**loss.get_config(), "reduction": "none"})(
            np.asarray(y_true), tensor(y_pred, "float32")
        )
    )
    assert np.isnan(each).tolist() == [False, True]
    value, gradient = compiled(loss, y_true, y_pred)
    assert np.isnan(value)
    assert np.isfinite(gradient[0]).all()


@pytest.mark.parametrize("jit", [True, False] if BACKEND == "tensorflow" else [True])
@pytest.mark.parametrize(
    "loss",
    [
        CrossentropyLoss(class_weight=[1.0, 2.0, 3.0]),
        FocalLoss(alpha=[0.2, 0.3, 0.5]),
        LDAMLoss(class_counts=[1, 2, 3]),
        SeesawLoss(class_counts=[1, 2, 3], from_logits=True),
    ],
    ids=lambda loss: type(loss).__name__,
)
def test_ids_beyond_the_classes_are_nan_beside_weights_of_classes(loss, jit, no_checks):
    """TensorFlow without XLA raised an InvalidArgumentError of its gather."""
    value, gradient = compiled(loss, [0, 3, 1], THIRDS * 3, jit)
    assert np.isnan(value)
    assert np.isfinite(gradient[[0, 2]]).all()
