"""Labels whose axes are unknown while a graph is traced; tests/contract has the laws of all others."""

import keras
import numpy as np
import pytest

from keras_losses import CrossentropyLoss, KLDivergenceLoss, SquaredErrorLoss

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="only TensorFlow traces graphs of unknown axes"
)

# What is given, what would be broadcast to it, and the predictions.
LABELS = [
    (SquaredErrorLoss(), np.ones((4, 3)), np.ones((4, 1)), np.zeros((4, 3))),
    (KLDivergenceLoss(), np.full((4, 2), 0.5), np.ones((4, 1)), np.full((4, 2), 0.5)),
    (
        CrossentropyLoss(from_logits=True),
        np.ones((4, 3), "int64"),
        np.ones((4, 1), "int64"),
        np.zeros((4, 3, 2)),
    ),
    (
        CrossentropyLoss(from_logits=True),
        np.full((4, 3, 2), [0.25, 0.75]),
        np.full((4, 1, 2), [0.25, 0.75]),
        np.zeros((4, 3, 2)),
    ),
]


@pytest.mark.parametrize(("loss", "fitting", "short", "predictions"), LABELS)
def test_what_cannot_be_seen_while_tracing_fails_when_it_runs(loss, fitting, short, predictions):
    """The value is that of eager mode, and nothing broadcasts silently."""
    import tensorflow as tf

    def unknown(x):
        # Classes must be known; the axes between are not.
        known = x.shape[-1] if x.ndim == 3 else None
        return tf.TensorSpec([None] * (x.ndim - 1) + [known], tf.as_dtype(x.dtype))

    traced = tf.function(loss, input_signature=[unknown(fitting), unknown(predictions)])
    np.testing.assert_allclose(traced(fitting, predictions), loss(fitting, predictions), rtol=1e-6)
    with pytest.raises(tf.errors.InvalidArgumentError):
        traced(short, predictions)


def test_a_number_of_axes_that_is_unknown_is_refused():
    import tensorflow as tf

    loss = CrossentropyLoss(from_logits=True)
    traced = tf.function(loss, input_signature=[tf.TensorSpec(None, "int64"), tf.TensorSpec([None, 3])])
    with pytest.raises(ValueError, match=r"the number of axes of `y_true` must be known.*tf\.ensure_shape"):
        traced(np.array([1]), np.zeros((1, 3), "float32"))
