"""Special cases of the losses for wrong labels that take several predictions of a sample."""

import numpy as np
import pytest

from keras_losses import EarlyLearningLoss, JensenShannonConsistencyLoss
from tests.backends import thorough_on_jax, value_and_gradient


@thorough_on_jax
def test_a_wrong_label_is_not_memorised():
    """Once the means prefer the other class, a step no longer follows a label that contradicts them."""
    # Logits of 2 and 0, with means of 0 and with means that prefer the first class.
    outputs = np.array([[2.0, 0.0, 0.0, 0.0], [2.0, 0.0, 0.95, 0.05]], "float32")
    loss = EarlyLearningLoss(from_logits=True, reduction="sum")
    _, gradient = value_and_gradient(loss, np.array([1, 1]), outputs)
    steps = -gradient[:, 1]
    # By hand: p = 1 / (1 + e^-2) is the probability of the first class. Cross-entropy moves the logit of the
    # label up by p; the second term moves it down by 3 p (1 - p) (q_1 - q_2) / (1 - <p, q>).
    p = 1 / (1 + np.exp(-2.0))
    pull = 3 * p * (1 - p) * 0.9 / (1 - (0.95 * p + 0.05 * (1 - p)))
    np.testing.assert_allclose(steps, [p, p - pull], rtol=1e-5)
    assert steps[1] < 0 < steps[0]


@pytest.mark.parametrize("loss", [EarlyLearningLoss(), JensenShannonConsistencyLoss(views=2)])
def test_predictions_that_cannot_be_told_apart(loss):
    """An odd number of outputs is not two predictions, and the message says what to join."""
    with pytest.raises(ValueError, match=r"must hold 2 predictions .* y_pred of shape \(4, 5\)"):
        loss(np.zeros(4, "int32"), np.full((4, 5), 0.2, "float32"))
