"""The gradients, against differences of the references, and the second derivatives, against the first."""

import numpy as np
import pytest

from keras_losses import HuberLoss
from tests import thorough
from tests.backends import double_precision, second_derivative, value_and_gradient
from tests.cases import BESIDE_KINKS
from tests.contract.cases import about, cases, double, every_loss, first
from tests.every_loss import ALONE
from tests.oracles import REGISTRY, differentiated

STEP = 1e-4


def differences(values, x, axis=-1, pools=False):
    """The derivative of each sample's value in each output: central differences of the fourth order.

    With `pools`, that of the sum of the values in each element. A sample may be an image of many outputs.
    """
    result, steps = np.empty_like(x), step_sizes(x)
    if pools:
        for where in np.ndindex(x.shape):
            moved = np.zeros_like(x)
            moved[where] = steps[where]
            near, far = (values(x + k * moved).sum() - values(x - k * moved).sum() for k in (1, 2))
            result[where] = (8 * near - far) / (12 * steps[where])
        return result
    for where in outputs_of(values(x), x, axis):
        moved = np.zeros_like(x)
        moved[where] = steps[where]
        ahead, behind = values(x + moved), values(x - moved)
        far_ahead, far_behind = values(x + 2 * moved), values(x - 2 * moved)
        result[where] = (8 * (ahead - behind) - (far_ahead - far_behind)) / (12 * steps[where])
    return result


def outputs_of(values, x, axis):
    """Where each output of the samples is in the predictions x."""
    if values.ndim < x.ndim - 1:
        return [(..., *where) for where in np.ndindex(x.shape[values.ndim :])]
    if x.ndim == 1:
        return [(slice(None),)]
    return [(slice(None),) * (axis % x.ndim) + (j,) for j in range(x.shape[axis])]


def step_sizes(x):
    """Small where the predictions are probabilities near 0 or 1, where logarithms are steep."""
    if (x > 0).all() and (x < 1).all():
        return 1e-3 * np.minimum(x, 1 - x)
    return np.full_like(x, STEP)


def gradient(loss, y_true, y_pred):
    return value_and_gradient(loss, y_true, y_pred)[1]


@every_loss
def test_first_derivative(loss):
    """In float64 the gradient is the reference's fourth-order central difference to 1e-6."""
    for case in thorough.few(cases(loss), 1):
        with about(case):
            built, batch, found = case.build(), case.batch, double(case).gradient
            values = differentiated(built, batch.y_true, batch.y_pred)
            exact = differences(values, batch.y_pred, batch.axis, built.pools_batch)
            # What the differences themselves lose to rounding: the values' last digits over the step.
            largest = np.abs(double(case).exact).max()
            summed = len(batch.y_pred) if built.pools_batch else 1
            rounding = 1e-15 * summed * largest / step_sizes(batch.y_pred)
            error = np.abs(found - exact)
            wrong = error > 1e-6 * np.abs(exact) + 10 * rounding
            assert not wrong.any(), (batch.y_pred[wrong], found[wrong], exact[wrong])


@pytest.mark.parametrize(("loss", "y_true", "y_pred"), BESIDE_KINKS, ids=repr)
def test_beside_kinks(loss, y_true, y_pred):
    """Just before and just after a kink the gradient is that of its own side."""
    with double_precision():
        config = {**loss.get_config(), "dtype": "float64", "reduction": "none"}
        if hasattr(loss, "loss"):
            config["loss"] = type(loss.loss)(dtype="float64")
        loss = type(loss)(**config)
        found = gradient(loss, y_true, y_pred)
    exact = differences(differentiated(loss, y_true, y_pred), y_pred)
    np.testing.assert_allclose(found, exact, rtol=1e-6, atol=1e-9)
    # The sides differ, or this would prove nothing.
    assert len(np.unique(np.round(exact, 6), axis=0)) > 1


@pytest.mark.parametrize("at", [0.7, -0.7, 0.0])
def test_at_the_joints_of_huber(at):
    """Huber's gradient is continuous: delta at the joints, not half of it, and 0 where there is no error."""
    with double_precision():
        loss = HuberLoss(delta=0.7, dtype="float64")
        np.testing.assert_allclose(gradient(loss, np.zeros(1), np.array([at])), [at], rtol=1e-12)


# The gradient of a loss that holds something constant is no derivative of its value, and the law says
# nothing of it: differences of it would move what is held, which the second derivative does not.
CURVED = thorough.few([name for name in ALONE if REGISTRY[name].held is None], 12)


@pytest.mark.parametrize("loss", CURVED)
def test_second_derivative(loss):
    """The gradient's derivative along a direction, by the backend, is its central difference to 1e-6."""
    case = first(loss)
    y_true, y_pred = case.batch.y_true, case.batch.y_pred
    along = np.random.default_rng(0).uniform(0.5, 1.5, y_pred.shape) * step_sizes(y_pred) / STEP
    with double_precision():
        built = case.build(reduction="none", dtype="float64")
        found = second_derivative(built, y_true, y_pred, along)
        near, far = (
            gradient(built, y_true, y_pred + k * STEP * along)
            - gradient(built, y_true, y_pred - k * STEP * along)
            for k in (1, 2)
        )
    exact = (8 * near - far) / (12 * STEP)
    rounding = 1e-15 * np.abs(double(case).gradient).max() / STEP
    error = np.abs(found - exact)
    assert (error <= 1e-6 * np.abs(exact) + 10 * rounding).all(), (found, exact)
