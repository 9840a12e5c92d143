"""The gradients, against differences of the references, and the second derivatives, against the first."""

import numpy as np
import pytest

from keras_losses import (
    AbsoluteErrorLoss,
    CrossentropyLoss,
    FocalLoss,
    HingeLoss,
    HuberLoss,
    KLDivergenceLoss,
    MulticlassHingeLoss,
    RegularizedLoss,
)
from tests.backends import double_precision, second_derivative, value_and_gradient
from tests.contract import samples
from tests.oracles import expected

STEP = 1e-4


def differences(values, x, axis=-1):
    """The derivative of each sample's value in each output: central differences of the fourth order."""
    result, steps = np.empty_like(x), step_sizes(x)
    for j in range(x.shape[axis]) if x.ndim > 1 else [slice(None)]:
        where = (j,) if x.ndim == 1 else (slice(None),) * (axis % x.ndim) + (j,)
        moved = np.zeros_like(x)
        moved[where] = steps[where]
        ahead, behind = values(x + moved), values(x - moved)
        far_ahead, far_behind = values(x + 2 * moved), values(x - 2 * moved)
        result[where] = (8 * (ahead - behind) - (far_ahead - far_behind)) / (12 * steps[where])
    return result


def step_sizes(x):
    """Small where the predictions are probabilities near 0 or 1, where logarithms are steep."""
    if (x > 0).all() and (x < 1).all():
        return 1e-3 * np.minimum(x, 1 - x)
    return np.full_like(x, STEP)


def gradient(loss, y_true, y_pred):
    return value_and_gradient(loss, y_true, y_pred)[1]


# Each penalty by itself adds nothing here to all of them at once, nor do more axes or columns of labels.
CASES = samples.all_cases(
    lambda case: (
        (case.loss != "RegularizedLoss" or len(case.options) > 1)
        and (samples.simple(case.batch) or (not case.options and "column" not in case.batch.name))
    )
)


@pytest.mark.parametrize("case", CASES, ids=repr)
def test_first_derivative(case):
    """In float64 the gradient is the reference's fourth-order central difference to 1e-6."""
    batch = case.batch
    with double_precision():
        loss = case.build(reduction="none", dtype="float64")
        found = gradient(loss, batch.y_true, batch.y_pred)
    exact = differences(lambda pred: expected(loss, batch.y_true, pred), batch.y_pred, batch.axis)
    # What the differences themselves lose to rounding: the values' last digits over the step.
    rounding = 1e-15 * np.abs(expected(loss, batch.y_true, batch.y_pred)).max() / step_sizes(batch.y_pred)
    error = np.abs(found - exact)
    assert (error <= 1e-6 * np.abs(exact) + 10 * rounding).all(), (found, exact)


# One sample a row, close to a kink on each of its sides, and farther from it than the differences reach.
NEAR = 0.01
BESIDE_KINKS = [
    (HingeLoss(), np.array([1.0, 1, -1, -1]), np.array([1 - NEAR, 1 + NEAR, -1 + NEAR, -1 - NEAR])),
    (HingeLoss(power=2.0, margin=0.5), np.array([1.0, 1]), np.array([0.5 - NEAR, 0.5 + NEAR])),
    (HingeLoss(power=1.5), np.array([1.0, -1]), np.array([1 - NEAR, -1 + NEAR])),
    (AbsoluteErrorLoss(), np.zeros(2), np.array([NEAR, -NEAR])),
    (HuberLoss(delta=0.7), np.zeros(4), np.array([0.7 - NEAR, 0.7 + NEAR, -0.7 - NEAR, -0.7 + NEAR])),
    *(
        (
            MulticlassHingeLoss(kind=kind, power=power),
            np.array([0, 0, 0, 0]),
            # At the margin of the best wrong class, and where the best wrong class changes.
            np.array(
                [[1.0 - NEAR, 0, -1], [1.0 + NEAR, 0, -1], [0.0, 0.5 + NEAR, 0.5], [0.0, 0.5 - NEAR, 0.5]]
            ),
        )
        for kind in ("crammer_singer", "weston_watkins")
        for power in (1.0, 2.0)
    ),
    (RegularizedLoss(AbsoluteErrorLoss(), activity_l1=2.0), np.ones((2, 1)), np.array([[NEAR], [-NEAR]])),
]


@pytest.mark.parametrize(("loss", "y_true", "y_pred"), BESIDE_KINKS, ids=repr)
def test_beside_kinks(loss, y_true, y_pred):
    """Just before and just after a kink the gradient is that of its own side."""
    with double_precision():
        config = {**loss.get_config(), "dtype": "float64", "reduction": "none"}
        if hasattr(loss, "loss"):
            config["loss"] = type(loss.loss)(dtype="float64")
        loss = type(loss)(**config)
        found = gradient(loss, y_true, y_pred)
    exact = differences(lambda pred: expected(loss, y_true, pred), y_pred)
    np.testing.assert_allclose(found, exact, rtol=1e-6, atol=1e-9)
    # The sides differ, or this would prove nothing.
    assert len(np.unique(np.round(exact, 6), axis=0)) > 1


@pytest.mark.parametrize("at", [0.7, -0.7, 0.0])
def test_at_the_joints_of_huber(at):
    """Huber's gradient is continuous: delta at the joints, not half of it, and 0 where there is no error."""
    with double_precision():
        loss = HuberLoss(delta=0.7, dtype="float64")
        np.testing.assert_allclose(gradient(loss, np.zeros(1), np.array([at])), [at], rtol=1e-12)


LOGITS, IDS = samples.rng("curvature").normal(0, 1.5, (4, 3)), np.array([0, 1, 2, 1])
SOFT = np.array([[0.2, 0.3, 0.5], [0.7, 0.2, 0.1], [0.0, 1.0, 0.0], [0.25, 0.5, 0.25]])
PROBABILITIES = np.exp(LOGITS) / np.exp(LOGITS).sum(-1, keepdims=True)
CURVED = [
    *(
        (loss, options, y_true, LOGITS if options["from_logits"] else PROBABILITIES)
        for loss, more in (
            (CrossentropyLoss, {}),
            (CrossentropyLoss, {"label_smoothing": 0.1}),
            (FocalLoss, {"gamma": 2.0}),
            (FocalLoss, {"gamma": 0.5}),
        )
        for options in ({**more, "from_logits": True}, {**more, "from_logits": False})
        for y_true in (IDS, SOFT)
    ),
    (CrossentropyLoss, {"from_logits": True, "z_loss": 0.3}, IDS, LOGITS),
    (CrossentropyLoss, {"from_logits": True, "multi_label": True}, np.round(SOFT), LOGITS),
    (FocalLoss, {"from_logits": True, "multi_label": True, "gamma": 0.5}, np.round(SOFT), LOGITS),
    (FocalLoss, {"from_logits": False, "multi_label": True, "gamma": 2.0}, np.round(SOFT), PROBABILITIES),
    (KLDivergenceLoss, {"from_logits": True}, SOFT, LOGITS),
    (KLDivergenceLoss, {"from_logits": True, "temperature": 2.0}, SOFT, LOGITS),
    (KLDivergenceLoss, {}, SOFT, PROBABILITIES),
    (KLDivergenceLoss, {"direction": "reverse"}, SOFT[[0, 1, 3, 3]], PROBABILITIES),
    (HuberLoss, {"delta": 1.0}, np.zeros((4, 3)), LOGITS),
]


@pytest.mark.parametrize(("kind", "options", "y_true", "y_pred"), CURVED)
def test_second_derivative(kind, options, y_true, y_pred):
    """The derivative of the gradient, by the backend, is the gradient's central difference to 1e-6."""
    with double_precision():
        loss = kind(**options, reduction="none", dtype="float64")
        found = second_derivative(loss, y_true, y_pred)
        for j in range(y_pred.shape[-1]):
            exact = differences(lambda pred, j=j: gradient(loss, y_true, pred)[:, j], y_pred)
            np.testing.assert_allclose(found[:, j], exact, rtol=1e-6, atol=1e-8)
