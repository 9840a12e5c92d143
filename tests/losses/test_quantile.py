"""What quantiles and expectiles come to, several in one output, and how they are read off it."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_losses import ExpectileLoss, QuantileLoss
from tests.backends import numpy, tensor, value, value_and_gradient

LEVELS = [0.1, 0.25, 0.5, 0.9]
Y = np.random.default_rng(1).gamma(2.0, 1.0, 101).astype("float32")


def constants(loss):
    """Best constants found by `fit`, with a model that has only a bias."""
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(len(LEVELS))])
    schedule = keras.optimizers.schedules.CosineDecay(0.1, 800)
    model.compile(keras.optimizers.Adam(schedule), loss=loss)
    model.fit(np.zeros((800 * len(Y), 1)), np.tile(Y, 800), batch_size=len(Y), shuffle=False, verbose=0)
    return loss.levels(model.predict(np.zeros((1, 1)), verbose=0))[0]


def expectile(y, tau):
    """Point at which tau times the distances above equals 1 - tau times those below, by bisection."""
    low, high = y.min(), y.max()
    for _ in range(60):
        middle = (low + high) / 2
        above = tau * np.maximum(y - middle, 0).sum() > (1 - tau) * np.maximum(middle - y, 0).sum()
        low, high = (middle, high) if above else (low, middle)
    return middle


def test_the_best_quantiles():
    """For 101 targets they are the 11th, 26th, 51st and 91st: a step away from any of them costs more."""
    best, loss = np.sort(Y)[[10, 25, 50, 90]], QuantileLoss(quantiles=LEVELS, reduction="none")
    outputs = best + np.concatenate([np.zeros((1, 4)), 0.03 * np.eye(4), -0.03 * np.eye(4)])
    every = np.repeat(outputs.astype("float32"), len(Y), axis=0)
    lowest, *others = value(loss, np.tile(Y, len(outputs)), every).reshape(len(outputs), len(Y)).mean(1)
    assert lowest < min(others)


def test_the_best_expectiles():
    """The expectile 0.5 is the mean; at each one the distances on both sides balance."""
    best = np.array([expectile(Y.astype("float64"), tau) for tau in LEVELS], "float32")
    np.testing.assert_allclose(best[2], Y.mean(), rtol=1e-6)
    _, gradient = value_and_gradient(ExpectileLoss(tau=LEVELS), Y, np.tile(best, (len(Y), 1)))
    np.testing.assert_allclose(gradient.sum(0), np.zeros(4), atol=1e-6)


@pytest.mark.thorough
@pytest.mark.parametrize("non_crossing", [False, True])
def test_quantiles_are_reached(non_crossing):
    """For 101 targets the best constants are the 11th, 26th, 51st and 91st."""
    found = constants(QuantileLoss(quantiles=LEVELS, non_crossing=non_crossing))
    np.testing.assert_allclose(found, np.sort(Y)[[10, 25, 50, 90]], atol=0.03)


@pytest.mark.thorough
@pytest.mark.parametrize("non_crossing", [False, True])
def test_expectiles_are_reached(non_crossing):
    """The expectile 0.5 is the mean; the others balance the distances on both sides."""
    found = constants(ExpectileLoss(tau=LEVELS, non_crossing=non_crossing))
    np.testing.assert_allclose(found[2], Y.mean(), atol=1e-2)
    np.testing.assert_allclose(found, [expectile(Y.astype("float64"), tau) for tau in LEVELS], atol=1e-2)


@pytest.mark.parametrize("kind", [QuantileLoss, ExpectileLoss])
def test_levels_do_not_cross(kind):
    """For any outputs the levels are in order, and they are the levels that the loss scores."""
    outputs = np.random.default_rng(2).normal(0, 20, (50, 2 * len(LEVELS))).astype("float32")
    y = np.random.default_rng(3).normal(0, 20, (50, 2)).astype("float32")
    ordered = kind(LEVELS, non_crossing=True)
    levels = ordered.levels(outputs)
    assert levels.shape == outputs.shape
    of_each = levels.reshape(50, len(LEVELS), 2)
    assert (np.diff(of_each, axis=1) >= 0).all()
    assert (np.diff(outputs.reshape(of_each.shape), axis=1) < 0).any()
    np.testing.assert_allclose(value(kind(LEVELS), y, levels), value(ordered, y, outputs), rtol=1e-6)


def test_pinball_is_that_of_scikit_learn():
    """Each quantile by itself, and the mean over several, equal scikit-learn's loss."""
    metrics = pytest.importorskip("sklearn.metrics")
    y, f = np.random.default_rng(4).normal(0, 3, (2, 30))
    exact = [metrics.mean_pinball_loss(y, f, alpha=q) for q in LEVELS]
    for q, one in zip(LEVELS, exact, strict=True):
        np.testing.assert_allclose(value(QuantileLoss(q), y, f.astype("float32")), one, rtol=1e-6)
    several = value(QuantileLoss(LEVELS), y, np.tile(f[:, None], (1, 4)).astype("float32"))
    np.testing.assert_allclose(several, np.mean(exact), rtol=1e-6)


def test_a_target_that_is_hit_has_no_gradient():
    """The best quantile of one sample is that sample."""

    found, gradient = value_and_gradient(QuantileLoss(0.9), np.ones(2), np.ones(2, "float32"))
    assert found == 0
    assert (gradient == 0).all()


def test_intervals():
    """The ends are the two quantiles that leave equal probability on both sides."""
    loss = QuantileLoss([0.05, 0.25, 0.75, 0.95])
    outputs = np.arange(8, dtype="float32").reshape(2, 4)
    for level, columns in ((0.9, (0, 3)), (0.5, (1, 2))):
        for end, column in zip(loss.interval(outputs, level), columns, strict=True):
            np.testing.assert_array_equal(end, outputs[:, [column]])
    low, high = loss.interval(tensor(outputs), 0.9)
    assert ops.is_tensor(low)
    np.testing.assert_array_equal(numpy(high), outputs[:, [3]])


@pytest.mark.parametrize("level", [0.8, 0.0, 1.0, 2.0])
def test_intervals_that_are_not_predicted(level):
    """The message has the level, and the quantiles that are predicted."""
    with pytest.raises(ValueError, match=rf"Received: level={level}, for a loss with quantiles=\[0.05, 0"):
        QuantileLoss([0.05, 0.95]).interval(np.zeros((2, 2)), level)


@pytest.mark.parametrize("shape", [(4,), (4, 1), (4, 5)])
def test_outputs_that_are_not_a_multiple_of_the_levels(shape):
    """Both the loss and the methods that read its outputs refuse them."""
    loss, outputs = QuantileLoss([0.1, 0.9]), np.zeros(shape, "float32")
    for function in (loss.levels, lambda x: loss.interval(x, 0.8), lambda x: loss(np.zeros(4), x)):
        with pytest.raises(ValueError, match="2 outputs for each target in its last axis"):
            function(outputs)
