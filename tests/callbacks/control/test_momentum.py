"""Optimizers whose momentum follows a schedule, against their updates written once more in NumPy."""

import doctest

import keras
import numpy as np
import pytest

from keras_losses.callbacks import OneCycle, ScheduledAdam, ScheduledAdamW, ScheduledSGD
from keras_losses.callbacks.control import momentum
from tests.callbacks.small import TRACED, fit, model

STEPS = 8
CYCLE = OneCycle(0.1, STEPS, div=5.0, div_final=10.0)
MOMENTUM = CYCLE.momentum(0.6, 0.9)


def sgd(nesterov):
    w = m = 0.0
    for rate, mu in zip(CYCLE.preview(STEPS), MOMENTUM.preview(STEPS), strict=True):
        step = rate * 2 * (w - 1)
        m = mu * m - step
        w += mu * m - step if nesterov else m
    return w


def adam(decay=0.0):
    w = m = v = 0.0
    rates, betas = CYCLE.preview(STEPS), MOMENTUM.preview(STEPS)
    for t, (rate, beta) in enumerate(zip(rates, betas, strict=True), start=1):
        g = 2 * (w - 1)
        w *= 1 - rate * decay
        m, v = beta * m + (1 - beta) * g, 0.999 * v + 0.001 * g * g
        # Keras adds its epsilon to the root before v is corrected.
        w -= rate * m / (1 - beta**t) * np.sqrt(1 - 0.999**t) / (np.sqrt(v) + 1e-7)
    return w


OPTIMIZERS = {
    "SGD": (lambda: ScheduledSGD(CYCLE, MOMENTUM), lambda: sgd(False)),
    "Nesterov": (lambda: ScheduledSGD(CYCLE, MOMENTUM, nesterov=True), lambda: sgd(True)),
    "Adam": (lambda: ScheduledAdam(CYCLE, MOMENTUM), adam),
    "AdamW": (lambda: ScheduledAdamW(CYCLE, MOMENTUM, weight_decay=0.5), lambda: adam(0.5)),
}


@pytest.mark.parametrize(("optimizer", "expected"), OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_the_updates_and_those_after_a_load(optimizer, expected, tmp_path):
    half = {"targets": (1.0,) * (STEPS // 2), "batch_size": 1}
    # One of them traced: there the momentum of a step is read in a graph.
    before = model(optimizer(), **(TRACED if optimizer is OPTIMIZERS["Adam"][0] else {}))
    fit(before, **half)
    before.save(tmp_path / "model.keras")
    after = keras.saving.load_model(tmp_path / "model.keras")
    fit(after, **half)
    assert after.get_weights()[0].item() == pytest.approx(expected(), rel=1e-5)


def test_momentum_goes_the_other_way():
    """Up in 0.25 * 8 - 1 = 1 step, down in 6."""
    found = MOMENTUM.preview(STEPS + 1)
    down = [0.6 + 0.3 * (1 - np.cos(np.pi * k / 6)) / 2 for k in range(7)]
    np.testing.assert_allclose(found, [0.9, *down, 0.9], rtol=1e-6)


@pytest.mark.parametrize("make", [ScheduledSGD, ScheduledAdam, ScheduledAdamW])
def test_a_number_is_for_another_optimizer(make):
    with pytest.raises(TypeError, match=r"must be a schedule, .*=0\.9"):
        make(0.1, 0.9)


def test_the_examples():
    assert doctest.testmod(momentum).failed == 0
