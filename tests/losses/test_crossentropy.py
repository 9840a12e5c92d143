"""Second derivatives of focal losses where the model is confident and right, and weights of the label 1."""

import math

import keras
import numpy as np
import pytest

from keras_losses import (
    ActivePassiveLoss,
    AsymmetricLoss,
    CrossentropyLoss,
    EqualizedFocalLoss,
    FocalLoss,
    InputGradientPenalty,
    LossAwareModel,
)
from tests import thorough
from tests.backends import second_derivative, value_and_gradient

SURE = np.array([20.0, 40.0, 47.0, 51.0, 60.0, 70.0, 80.0, 87.0, 88.0, 95.0, 103.0, 110.0, 1e4], "float32")
"""Logits of samples that the model has right; from 88 on, 1 - p is below the smallest normal float32."""

BOTH = np.stack([SURE, -SURE], axis=-1)
ONES = np.ones(len(SURE), "int32")
ROWS = np.stack([ONES, 0 * ONES], axis=-1)

FOCAL = [
    pytest.param(FocalLoss(0.1, from_logits=True), ONES, SURE, id="focal, one output"),
    pytest.param(FocalLoss(0.25, from_logits=True), 0 * ONES, BOTH, id="focal, class ids"),
    pytest.param(FocalLoss(0.5, from_logits=True), ROWS, BOTH, id="focal, one-hot"),
    pytest.param(FocalLoss(0.5, from_logits=True, multi_label=True), ROWS, BOTH, id="focal, multi-label"),
    pytest.param(
        AsymmetricLoss(gamma_positive=0.1, gamma_negative=0.25, clip=0.0, from_logits=True),
        ROWS,
        BOTH,
        id="asymmetric",
    ),
    pytest.param(
        EqualizedFocalLoss([1, 2], gamma=0.1, scale=0.2, from_logits=True), ROWS, BOTH, id="equalized"
    ),
    pytest.param(
        ActivePassiveLoss(active="normalized_focal", gamma=0.1, from_logits=True),
        0 * ONES,
        BOTH,
        id="normalised",
    ),
]


@pytest.mark.parametrize(("loss", "y_true", "y_pred"), thorough.few(FOCAL, 2))
def test_derivatives_of_sure_samples_are_finite(loss, y_true, y_pred):
    """With an exponent below 1, base^(exponent - 2) overflows, and the derivatives must not."""
    found = second_derivative(loss, y_true, y_pred, np.ones_like(y_pred))
    assert np.isfinite(found).all()
    assert (np.abs(found) < 1e-4).all()
    _, gradient = value_and_gradient(loss, y_true, y_pred)
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize("gamma", thorough.few([0.1, 0.5, 0.9], 1))
def test_second_derivative_of_a_nearly_sure_sample(gamma):
    """For a large logit z the loss is e^(-(1 + gamma) z), with (1 + gamma)^2 of it as second derivative."""
    loss = FocalLoss(gamma, from_logits=True, reduction="sum")
    z = np.array([12.0, 15.0], "float32")
    found = second_derivative(loss, np.ones(2, "int32"), z, np.ones_like(z))
    exact = [(1 + gamma) ** 2 * math.exp(-(1 + gamma) * x) for x in z]
    np.testing.assert_allclose(found, exact, rtol=1e-4)


def test_a_step_with_a_gradient_penalty_leaves_a_finite_kernel():
    """A sample with a logit of 70: the penalty's gradient is a second derivative of the focal loss."""
    loss = FocalLoss(0.5, from_logits=True)
    model = LossAwareModel.from_model(keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)]))
    penalty = InputGradientPenalty(FocalLoss(0.5, from_logits=True))
    model.compile(keras.optimizers.SGD(0.1), loss=loss + 0.1 * penalty, run_eagerly=True)
    model.set_weights([np.array([[70.0]]), np.zeros(1), *model.get_weights()[2:]])
    model.fit(np.ones((2, 1), "float32"), np.array([[1.0], [0.0]], "float32"), verbose=0)
    kernel = model.get_weights()[0]
    assert np.isfinite(kernel).all()
    assert kernel[0, 0] != 70.0


# Weights of the label 1 ----------------------------------------------------------------------------------


def test_focal_loss_with_a_second_weight():
    """Alpha on positives and beta (1 - alpha) on negatives, written out."""
    alpha, beta, gamma = 0.25, 3.0, 2.0
    y, p = np.array([1, 0]), np.array([0.75, 0.625], "float32")
    exact = [alpha * 0.25**gamma * -math.log(0.75), beta * (1 - alpha) * 0.625**gamma * -math.log(0.375)]
    loss = FocalLoss(gamma=gamma, alpha=alpha, class_weight={0: beta}, reduction="none")
    np.testing.assert_allclose(value_and_gradient(loss, y, p)[0], exact, rtol=2e-6)


@pytest.mark.parametrize("loss", [CrossentropyLoss, FocalLoss])
@pytest.mark.parametrize("y_true", [np.array([2]), np.array([[0.0, 0.0, 1.0]])], ids=["ids", "one-hot"])
def test_pos_weight_is_refused_for_exclusive_classes(loss, y_true):
    """A softmax has no label 1; class_weight is for its classes."""
    with pytest.raises(ValueError, match=r"`pos_weight` must be None .* pos_weight=2.0. Pass class_weight"):
        loss(pos_weight=2.0)(y_true, np.array([[0.2, 0.3, 0.5]]))


@pytest.mark.parametrize("loss", [CrossentropyLoss, FocalLoss])
def test_pos_weight_has_one_number_for_each_output(loss):
    """Two weights for three outputs are refused."""
    weighted = loss(pos_weight=[1.0, 2.0], multi_label=True)
    with pytest.raises(ValueError, match="`pos_weight` must have a number for each of the 3 classes"):
        weighted(np.array([[0, 1, 1]]), np.array([[0.2, 0.3, 0.5]]))
