"""The gradients, against differences of the references, and the second derivatives, against the first."""

import functools

import numpy as np
import pytest

from keras_losses import HuberLoss
from tests.backends import double_precision, second_derivative, value_and_gradient
from tests.cases import BESIDE_KINKS
from tests.contract import samples
from tests.oracles import REGISTRY, differentiated, expected

STEP = 1e-4


def differences(values, x, axis=-1, pools=False):
    """The derivative of each sample's value in each output: central differences of the fourth order.

    Where a loss pools its batch, that of the sum of the values.
    """
    result, steps = np.empty_like(x), step_sizes(x)
    if pools:
        for where in np.ndindex(x.shape):
            moved = np.zeros_like(x)
            moved[where] = steps[where]
            near, far = (values(x + k * moved).sum() - values(x - k * moved).sum() for k in (1, 2))
            result[where] = (8 * near - far) / (12 * steps[where])
        return result
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
    pools = loss.pools_batch
    values = differentiated(loss, batch.y_true, batch.y_pred)
    exact = differences(values, batch.y_pred, batch.axis, pools)
    # What the differences themselves lose to rounding: the values' last digits over the step.
    largest = np.abs(expected(loss, batch.y_true, batch.y_pred)).max()
    rounding = 1e-15 * (len(batch.y_pred) if pools else 1) * largest / step_sizes(batch.y_pred)
    error = np.abs(found - exact)
    assert (error <= 1e-6 * np.abs(exact) + 10 * rounding).all(), (found, exact)


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
CURVED = samples.all_cases(
    lambda case: (
        REGISTRY[case.loss].held is None
        and samples.simple(case.batch)
        and case.batch.y_pred.ndim == 2
        and len(case.options) != 1
        and not samples.pools(case)
    )
)


@pytest.mark.costly
@pytest.mark.parametrize("case", CURVED, ids=repr)
def test_second_derivative(case):
    """The derivative of the gradient, by the backend, is the gradient's central difference to 1e-6."""
    y_true, y_pred = case.batch.y_true, case.batch.y_pred.astype("float64")
    with double_precision():
        loss = case.build(reduction="none", dtype="float64")
        found = second_derivative(loss, y_true, y_pred)
        slopes = functools.cache(lambda at: gradient(loss, y_true, np.frombuffer(at).reshape(y_pred.shape)))
        for j in range(y_pred.shape[-1]):
            exact = differences(lambda pred, j=j: slopes(pred.tobytes())[:, j], y_pred)
            rounding = 1e-15 * np.abs(slopes(y_pred.tobytes())[:, j]).max() / step_sizes(y_pred)
            error = np.abs(found[:, j] - exact)
            assert (error <= 1e-6 * np.abs(exact) + 10 * rounding).all(), (found[:, j], exact)
