"""Schedules against their formulas, written once more in float64, at every step."""

import doctest
import math
import warnings

import keras
import numpy as np
import pytest
from keras.optimizers import schedules as keras_schedules

from keras_losses.callbacks import (
    Chain,
    CosineRestarts,
    Cyclic,
    InverseSquareRoot,
    LearningRateDecay,
    OneCycle,
    Polynomial,
    Step,
    Warmup,
    WarmupStableDecay,
)
from keras_losses.callbacks.control.optimizers import batches_seen, schedule_of
from keras_losses.callbacks.schedules import around, cycles, decays
from keras_losses.callbacks.schedules.around import Scaled
from keras_losses.callbacks.schedules.length import check_length
from tests.callbacks.small import TRACED, fit, model

# The formulas ------------------------------------------------------------------------------------------


def warmed_cosine(s):
    """Warmup(CosineDecay(0.5, 20, alpha=0.1), 7, start=0.02)."""
    if s < 7:
        return 0.02 + 0.48 * s / 7
    return 0.5 * (0.9 * (1 + math.cos(math.pi * min(s - 7, 20) / 20)) / 2 + 0.1)


def one_cycle(s, form=lambda p: (1 - math.cos(math.pi * p)) / 2):
    """OneCycle(2.0, 40, pct_start=0.3, div=20, div_final=1000): up from 0 to 11, down from 11 to 39."""
    if s <= 11:
        return 0.1 + 1.9 * form(s / 11)
    return 2.0 - (2.0 - 0.002) * form((min(s, 39) - 11) / 28)


def three_phases(s, form=lambda p: (1 - math.cos(math.pi * p)) / 2):
    """OneCycle(2.0, 40, 0.3, 20, 1000, three_phase=True): up to 11, down to 22, further down to 39."""
    if s <= 11:
        return 0.1 + 1.9 * form(s / 11)
    if s <= 22:
        return 2.0 - 1.9 * form((s - 11) / 11)
    return 0.1 - (0.1 - 0.002) * form((min(s, 39) - 22) / 17)


def cyclic(s, scale):
    """Cyclic(0.1, 0.7, 4, 8): up from 0 to 4, down from 4 to 12."""
    cycle, since = divmod(s, 12)
    share = since / 4 if since < 4 else (12 - since) / 8
    return 0.1 + 0.6 * share * scale(cycle)


def stable(s, tail):
    """WarmupStableDecay(3.0, 50, warmup=10, decay=20, final=0.3)."""
    return 3.0 * s / 10 if s < 10 else 0.3 + 2.7 * tail(min(max(s - 30, 0) / 20, 1.0))


def restarts(s, growth, cycles=math.inf):
    """CosineRestarts(1.0, 8, growth, 0.5, warmup=3, final=0.01)."""
    cycle, begin, length = 0, 0.0, 8.0
    while s >= begin + length:
        cycle, begin, length = cycle + 1, begin + length, length * growth
    if cycle >= cycles:
        return 0.01
    height, t = max(0.5**cycle, 0.01) - 0.01, s - begin
    if t < 3:
        return 0.01 + height * t / 3
    return 0.01 + height * (1 + math.cos(math.pi * (t - 3) / (length - 3))) / 2


def chained(s):
    """Chain([(0.1, 5), (Polynomial(1.0, 10, 2.0), 8), (Step(0.4, 3, 0.5), 7)])."""
    if s < 5:
        return 0.1
    return (1 - (s - 5) / 10) ** 2 if s < 13 else 0.4 * 0.5 ** (min(s - 13, 7) // 3)


FORMULAS = {
    "warm-up": (
        Warmup(keras_schedules.CosineDecay(0.5, 20, alpha=0.1), 7, start=0.02),
        warmed_cosine,
    ),
    "warm-up of a number": (Warmup(0.5, 4), lambda s: min(s / 4, 1) * 0.5),
    "one cycle": (OneCycle(2.0, 40, pct_start=0.3, div=20.0, div_final=1000.0), one_cycle),
    "one cycle, lines": (
        OneCycle(2.0, 40, pct_start=0.3, div=20.0, div_final=1000.0, form="linear"),
        lambda s: one_cycle(s, lambda p: p),
    ),
    "one cycle, three phases": (OneCycle(2.0, 40, 0.3, 20.0, 1000.0, three_phase=True), three_phases),
    "one cycle, three phases, lines": (
        OneCycle(2.0, 40, 0.3, 20.0, 1000.0, "linear", three_phase=True),
        lambda s: three_phases(s, lambda p: p),
    ),
    "triangles": (Cyclic(0.1, 0.7, 4, 8), lambda s: cyclic(s, lambda cycle: 1)),
    "smaller triangles": (Cyclic(0.1, 0.7, 4, 8, "triangular2"), lambda s: cyclic(s, lambda k: 0.5**k)),
    "decaying triangles": (
        Cyclic(0.1, 0.7, 4, 8, "exp_range", 0.97),
        lambda s: cyclic(s, lambda cycle: 0.97**s),
    ),
    "stable": (WarmupStableDecay(3.0, 50, 10, 20, final=0.3), lambda s: stable(s, lambda d: 1 - d)),
    "stable, cosine": (
        WarmupStableDecay(3.0, 50, 10, 20, "cosine", 0.3),
        lambda s: stable(s, lambda d: (1 + math.cos(math.pi * d)) / 2),
    ),
    "stable, root": (
        WarmupStableDecay(3.0, 50, 10, 20, "1-sqrt", 0.3),
        lambda s: stable(s, lambda d: 1 - math.sqrt(d)),
    ),
    "restarts": (CosineRestarts(1.0, 8, 1.0, 0.5, 3, 0.01), lambda s: restarts(s, 1.0)),
    "restarts, longer": (CosineRestarts(1.0, 8, 1.5, 0.5, 3, 0.01), lambda s: restarts(s, 1.5)),
    "restarts, three": (CosineRestarts(1.0, 8, 1.5, 0.5, 3, 0.01, cycles=3), lambda s: restarts(s, 1.5, 3)),
    "restarts, two": (CosineRestarts(1.0, 8, 1.0, 0.5, 3, 0.01, cycles=2), lambda s: restarts(s, 1.0, 2)),
    "root": (InverseSquareRoot(0.7, 9), lambda s: 0.7 * (s / 9 if s < 9 else math.sqrt(9 / s))),
    "step": (Step(0.8, 6, 0.3), lambda s: 0.8 * 0.3 ** (s // 6)),
    "polynomial": (
        Polynomial(0.9, 33, 1.5, 0.1),
        lambda s: 0.1 + 0.8 * (1 - min(s, 33) / 33) ** 1.5,
    ),
    "chain": (Chain([(0.1, 5), (Polynomial(1.0, 10, 2.0), 8), (Step(0.4, 3, 0.5), 7)]), chained),
    "scaled": (
        Scaled(Polynomial(1.0, 10), factor=0.1, min_rate=0.05),
        lambda s: max(0.1 * (1 - min(s, 10) / 10), min(0.05, 1 - min(s, 10) / 10)),
    ),
}
every_formula = pytest.mark.parametrize(("schedule", "formula"), FORMULAS.values(), ids=FORMULAS)


@every_formula
def test_every_step_has_the_rate_of_the_formula(schedule, formula):
    expected = [formula(step) for step in range(70)]
    np.testing.assert_allclose(schedule.preview(70), expected, rtol=2e-6, atol=1e-9)
    # What a step is does not matter: a number, or a variable, as an optimizer hands it over.
    step = keras.Variable(12, dtype="int32", trainable=False)
    for twelve in (12, step):
        assert float(keras.ops.convert_to_numpy(schedule(twelve))) == pytest.approx(formula(12), rel=2e-6)


@every_formula
def test_a_config_makes_the_same_again(schedule, formula):
    again = type(schedule).from_config(schedule.get_config())
    np.testing.assert_allclose(again.preview(40), [formula(s) for s in range(40)], rtol=2e-6, atol=1e-9)
    assert keras_schedules.serialize(again) == keras_schedules.serialize(schedule)


@pytest.mark.parametrize(
    ("schedule", "rates"),
    [
        (Warmup(1.0, 4), [0, 0.25, 0.5, 0.75, 1, 1]),
        # Up in (1/3 * 9) - 1 = 2 steps, down in the 6 that follow.
        (OneCycle(1.0, 9, 1 / 3, 5.0, 10.0, "linear"), [0.2, 0.6, 1, 0.85, 0.7, 0.55, 0.4, 0.25, 0.1, 0.1]),
        (OneCycle(1.0, 5, 0.6, 4.0, 2.0), [0.25, 0.625, 1, 0.75, 0.5, 0.5]),
        # Up in 2/5 * 5 - 1 = 1 step, down in 1 more, and to the end in the 2 that are left.
        (OneCycle(1.0, 5, 0.4, 2.0, 10.0, "linear", three_phase=True), [0.5, 1, 0.5, 0.3, 0.1, 0.1]),
        (Cyclic(0.0, 1.0, 2), [0, 0.5, 1, 0.5, 0, 0.5, 1, 0.5, 0]),
        (Cyclic(0.2, 1.0, 1, 2, "triangular2"), [0.2, 1, 0.6, 0.2, 0.6, 0.4, 0.2, 0.4]),
        (Cyclic(0.0, 1.0, 1, 1, "exp_range", 0.5), [0, 0.5, 0, 0.125, 0, 1 / 32]),
        (Cyclic(0.1, 1.0, 2).momentum(0.5, 0.9), [0.9, 0.7, 0.5, 0.7, 0.9]),
        (WarmupStableDecay(1.0, 8, 2, 4), [0, 0.5, 1, 1, 1, 0.75, 0.5, 0.25, 0, 0]),
        (WarmupStableDecay(1.0, 5, 1, 4, "1-sqrt"), [0, 1, 0.5, 1 - 0.5**0.5, 1 - 0.75**0.5, 0]),
        (CosineRestarts(1.0, 2, 2.0, 0.5), [1, 0.5, 0.5, 0.25 + 0.125 * 2**0.5, 0.25]),
        (CosineRestarts(1.0, 3, warmup=1, cycles=2), [0, 1, 0.5, 0, 1, 0.5, 0, 0]),
        (InverseSquareRoot(1.0, 1), [0, 1, 0.5**0.5, (1 / 3) ** 0.5, 0.5]),
        (Step(1.0, 2, 0.5), [1, 1, 0.5, 0.5, 0.25]),
        (Polynomial(1.0, 2, 2.0), [1, 0.25, 0, 0]),
        (Chain([(0.3, 1), (Warmup(1.0, 2), 2), 0.7]), [0.3, 0, 0.5, 0.7, 0.7]),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, list) else "",
)
def test_by_hand(schedule, rates):
    np.testing.assert_allclose(schedule.preview(len(rates)), rates, rtol=1e-6, atol=1e-9)


# In epochs, and far away ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("of", "steps", "epochs"),
    [
        (lambda n, **e: Warmup(Polynomial(1.0, 9), n, **e), 15, 1.5),
        (lambda n, **e: OneCycle(1.0, n, **e), 30, 3),
        (lambda n, **e: OneCycle(1.0, n, three_phase=True, **e), 30, 3),
        (lambda n, **e: Cyclic(0.1, 1.0, n, 2 * n, "triangular2", **e), 10, 1),
        (lambda n, **e: WarmupStableDecay(1.0, n, n / 4, n / 2, **e), 40, 4),
        (lambda n, **e: CosineRestarts(1.0, n, 1.5, 0.5, n / 5, **e), 10, 1),
        (lambda n, **e: InverseSquareRoot(1.0, n, **e), 20, 2),
        (lambda n, **e: Step(1.0, n, 0.5, **e), 20, 2),
        (lambda n, **e: Polynomial(1.0, n, **e), 25, 2.5),
        (lambda n, **e: Chain([(1.0, n), (0.5, n), 0.1], **e), 10, 1),
    ],
)
def test_in_epochs(of, steps, epochs):
    found = of(epochs, steps_per_epoch=10)
    np.testing.assert_array_equal(found.preview(50), of(steps).preview(50))
    assert found.length == of(steps).length


N = 10_000_000


@pytest.mark.parametrize(
    ("schedule", "formula"),
    [
        (Polynomial(1.0, N), lambda s: (N - s) / N),
        (Polynomial(1.0, N, 2.0), lambda s: ((N - s) / N) ** 2),
        (
            OneCycle(1.0, N + 1, 0.5),
            lambda s: 1e-5 + (1 - 1e-5) * math.sin(math.pi / 2 * (N - s) / (N / 2 + 0.5)) ** 2,
        ),
        (WarmupStableDecay(1.0, N, 10, 1000), lambda s: (N - s) / 1000),
        (
            WarmupStableDecay(1.0, N, 0, N, "1-sqrt"),
            lambda s: ((N - s) / N) / (1 + math.sqrt(s / N)),
        ),
        (Chain([(1.0, N - 50), Polynomial(1.0, 50)]), lambda s: (N - s) / 50),
        (Warmup(Polynomial(1.0, 40), N - 40), lambda s: (N - s) / 40),
        (
            CosineRestarts(1.0, 1000, m_mul=0.999),
            lambda s: 0.999**9999 * math.sin(math.pi / 2 * (N - s) / 1000) ** 2,
        ),
        (Step(1.0, 100_000, 0.9), lambda s: 0.9**99),
        (Cyclic(0.0, 1.0, N / 2), lambda s: (N - s) / (N / 2)),
        (InverseSquareRoot(1.0, 10_000), lambda s: math.sqrt(10_000 / s)),
    ],
)
def test_next_to_the_end_of_a_long_training(schedule, formula):
    """All of these vanish, or nearly: float32 has seven digits of them, and of 1 - s / N none."""
    for left in (1, 2, 7, 39):
        found = float(keras.ops.convert_to_numpy(schedule(N - left)))
        assert found == pytest.approx(formula(N - left), rel=3e-6)


def test_restarts_are_where_they_are():
    """At 1000 (2^k - 1); each step beside one is in the cycle where it belongs."""
    schedule = CosineRestarts(1.0, 1000, t_mul=2.0, m_mul=0.9)
    for k in range(1, 14):
        restart = 1000 * (2**k - 1)
        before, at = (float(keras.ops.convert_to_numpy(schedule(s))) for s in (restart - 1, restart))
        assert at == pytest.approx(0.9**k, rel=1e-6)
        assert 0 < before < 1e-5


# Against others ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (Polynomial(0.3, 30, 2.0, 0.01), keras_schedules.PolynomialDecay(0.3, 30, 0.01, 2.0)),
        (CosineRestarts(0.3, 7, 2.0, 0.5), keras_schedules.CosineDecayRestarts(0.3, 7, 2.0, 0.5)),
        (Step(0.3, 7, 0.5), keras_schedules.ExponentialDecay(0.3, 7, 0.5, staircase=True)),
        (
            Warmup(keras_schedules.CosineDecay(0.3, 20), 5),
            keras_schedules.CosineDecay(0.0, 20, 0.0, warmup_target=0.3, warmup_steps=5),
        ),
        (Chain([(0.3, 6), (0.2, 9), 0.1]), keras_schedules.PiecewiseConstantDecay([5, 14], [0.3, 0.2, 0.1])),
    ],
)
def test_keras_where_it_has_it(ours, theirs):
    expected = [float(keras.ops.convert_to_numpy(theirs(step))) for step in range(40)]
    np.testing.assert_allclose(ours.preview(40), expected, rtol=1e-5, atol=1e-6)


# Beside another backend, importing PyTorch costs more than all the other tests of schedules.
with_pytorch_at_hand = [] if keras.backend.backend() == "torch" else [pytest.mark.thorough]


@pytest.mark.parametrize(
    ("form", "strategy", "steps", "pct_start", "three_phase"),
    [
        pytest.param(form, strategy, steps, share, three_phase, marks=with_pytorch_at_hand)
        for form, strategy in (("cosine", "cos"), ("linear", "linear"))
        for steps, share, three_phase in (
            *((50, 0.3, False), (37, 0.25, False), (10, 1.0, False)),
            *((50, 0.3, True), (37, 0.25, True), (10, 0.5, True)),
        )
    ],
)
def test_pytorch_one_cycle(form, strategy, steps, pct_start, three_phase):
    torch = pytest.importorskip("torch")
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    theirs = torch.optim.lr_scheduler.OneCycleLR(
        optimizer,
        0.4,
        total_steps=steps,
        pct_start=pct_start,
        anneal_strategy=strategy,
        base_momentum=0.8,
        max_momentum=0.9,
        div_factor=10.0,
        final_div_factor=100.0,
        three_phase=three_phase,
    )
    rates, momenta = [], []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        momenta.append(optimizer.param_groups[0]["momentum"])
        optimizer.step()
        if len(rates) < steps:
            theirs.step()
    ours = OneCycle(0.4, steps, pct_start, div=10.0, div_final=1000.0, form=form, three_phase=three_phase)
    np.testing.assert_allclose(ours.preview(steps), rates, rtol=2e-6)
    np.testing.assert_allclose(ours.momentum(0.8, 0.9).preview(steps), momenta, rtol=2e-6)


@pytest.mark.parametrize(
    ("mode", "gamma", "up", "down"),
    [
        pytest.param(*case, marks=with_pytorch_at_hand)
        for case in (("triangular", 1.0, 7, None), ("triangular2", 1.0, 3, 8), ("exp_range", 0.98, 5, 5))
    ],
)
def test_pytorch_cycles(mode, gamma, up, down):
    torch = pytest.importorskip("torch")
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0, momentum=0.5)
    theirs = torch.optim.lr_scheduler.CyclicLR(optimizer, 0.01, 0.4, up, down, mode, gamma)
    rates, momenta = [], []
    for _ in range(60):
        rates.append(optimizer.param_groups[0]["lr"])
        momenta.append(optimizer.param_groups[0]["momentum"])
        optimizer.step()
        theirs.step()
    ours = Cyclic(0.01, 0.4, up, down, mode, gamma)
    np.testing.assert_allclose(ours.preview(60), rates, rtol=3e-6)
    np.testing.assert_allclose(ours.momentum(0.8, 0.9).preview(60), momenta, rtol=2e-6)


# In optimizers and callbacks -----------------------------------------------------------------------------


def test_an_optimizer_is_saved_with_its_schedule(tmp_path):
    """Of all kinds in one, and the rates of its updates are the schedule's."""
    whole = Chain(
        [
            (Warmup(keras_schedules.CosineDecay(0.5, 3), 2), 3),
            (OneCycle(0.5, 3), 1),
            (CosineRestarts(0.5, 2, 2.0), 1),
            (WarmupStableDecay(0.5, 4, 0, 2), 1),
            (Scaled(InverseSquareRoot(0.5, 1), 0.5), 2),
            (Step(0.25, 1), 1),
            Polynomial(0.5, 4),
        ]
    )
    before = model(keras.optimizers.SGD(whole), **TRACED)
    fit(before, targets=(1.0,) * 5, batch_size=1)
    before.save(tmp_path / "model.keras")
    after = keras.saving.load_model(tmp_path / "model.keras")
    fit(after, targets=(1.0,) * 5, batch_size=1)
    # The gradient of (w - 1)^2 is 2 (w - 1): each update leaves the share 1 - 2 rate of the error.
    error = -np.prod(1 - 2 * whole.preview(10))
    assert after.get_weights()[0].item() == pytest.approx(1 + error, abs=1e-6)


@pytest.mark.parametrize("unit", ["epoch", "step"])
def test_with_learning_rate_decay(unit):
    history = fit(model(), LearningRateDecay(WarmupStableDecay(1.0, 4, 2, 2), unit), targets=(1.0,), epochs=4)
    assert history["learning_rate"] == [0.0, 0.5, 1.0, 0.5]


# Does it fit the training? -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("schedule", "length"),
    [
        (Warmup(OneCycle(1.0, 20), 5), 25),
        (Warmup(1.0, 5), math.inf),
        (Warmup(keras_schedules.CosineDecay(1.0, 20, warmup_target=2.0, warmup_steps=10), 5), 35),
        (Warmup(keras_schedules.PolynomialDecay(1.0, 20), 5), 25),
        (Warmup(keras_schedules.PolynomialDecay(1.0, 20, cycle=True), 5), math.inf),
        (Warmup(keras_schedules.ExponentialDecay(1.0, 20, 0.5), 5), math.inf),
        (WarmupStableDecay(1.0, 2, 0.5, 1, steps_per_epoch=10), 20),
        (Cyclic(0.1, 1.0, 10), math.inf),
        (CosineRestarts(1.0, 10), math.inf),
        (CosineRestarts(1.0, 10, 2.0, cycles=3), 70),
        (CosineRestarts(1.0, 10, cycles=3), 30),
        (InverseSquareRoot(1.0, 10), math.inf),
        (Step(1.0, 10), math.inf),
        (Polynomial(1.0, 10), 10),
        (Chain([(0.1, 10), Polynomial(1.0, 10)]), 20),
        (Chain([(0.1, 10), (Polynomial(1.0, 10), 5)]), 15),
        (Chain([(Polynomial(1.0, 10), 10), 0.1]), math.inf),
        (Scaled(Polynomial(1.0, 10), 0.5), 10),
    ],
)
def test_lengths(schedule, length):
    assert schedule.length == length


@pytest.mark.parametrize(
    ("length", "made", "warning"),
    [
        (49, 0, "after 49 steps, but the training has 100, so the rate is constant for the last 51"),
        (50, 0, None),
        (200, 0, None),
        (201, 0, "after 201 steps, but the training has only 100"),
        (399, 100, None),  # 100 steps more, or 100 altogether: who knows
        (50, 100, None),
        (49, 100, "has 100"),
        (401, 100, "has only 200"),
    ],
)
def test_a_decay_of_another_length_than_the_training(length, made, warning):
    given = {"epochs": 5, "steps": 20}
    if warning is None:
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)
            check_length(Polynomial(1.0, length), given, made)
    else:
        with pytest.warns(UserWarning, match=warning):
            check_length(Polynomial(1.0, length), given, made)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        check_length(Polynomial(1.0, length), {"epochs": 5, "steps": None}, made)
        check_length(Step(1.0, 1), given, made)
        check_length(lambda epoch: 1.0, given, made)
        check_length(schedule_of(keras.optimizers.SGD(0.1)), given)


def test_the_schedule_of_an_optimizer_is_looked_at():
    for optimizer in (
        keras.optimizers.SGD,
        lambda rate: keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(rate)),
    ):
        with_schedule = optimizer(keras_schedules.CosineDecay(1.0, 9))
        with pytest.warns(UserWarning, match="`CosineDecay`: the schedule ends after 9 steps"):
            check_length(schedule_of(with_schedule), {"epochs": 5, "steps": 20}, batches_seen(with_schedule))


def test_learning_rate_decay_looks_at_it():
    """Epochs in epochs, and updates, not batches, in steps."""
    with pytest.warns(UserWarning, match="after 9 steps, but the training has only 2"):
        fit(model(), LearningRateDecay(Polynomial(1.0, 9)), targets=(1.0,), epochs=2)
    accumulating = model(keras.optimizers.SGD(0.0, gradient_accumulation_steps=2))
    with pytest.warns(UserWarning, match="after 9 steps, but the training has only 4"):
        fit(accumulating, LearningRateDecay(Polynomial(1.0, 9), "step"), targets=(1.0,) * 8, batch_size=1)


# What they refuse ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: OneCycle(-1.0, 10), r"OneCycle`: `peak` must be a number in \(0, inf\).*peak=-1.0"),
        (lambda: OneCycle(1.0, float("nan")), "steps=nan"),
        (lambda: OneCycle(1.0, 10, 1.5), "pct_start=1.5"),
        (lambda: OneCycle(1.0, 10, form="cos"), "one of 'cosine', 'linear'.*form='cos'"),
        (lambda: OneCycle(1.0), "steps.*Its arguments are: peak, steps"),
        (lambda: OneCycle(1.0, 10).momentum(0.9, 0.8), "0 < low <= high < 1.*low=0.9, high=0.8"),
        (lambda: OneCycle(1.0, 10, 0.6, three_phase=True), "`pct_start` must be 0.5 or less.*pct_start=0.6"),
        (lambda: Cyclic(0.1, 1.0, 10, gamma=0.9), "`gamma` must be 1 unless.*gamma=0.9, mode='triangular'"),
        (lambda: Cyclic(0.1, 1.0, 10).momentum(0.9, 0.8), "`Cyclic.momentum`: .*0 < low <= high < 1"),
        (lambda: Warmup("cosine", 10), "`schedule` must be a learning rate.*'cosine'"),
        (lambda: Warmup(lambda step: 0.1, 10), "LearningRateSchedule"),
        (lambda: Warmup(-0.1, 10), r"schedule=-0.1"),
        (lambda: Warmup(0.1, 0), "steps=0"),
        (lambda: Warmup(0.1, 1, steps_per_epoch=0), r"`steps_per_epoch` must be an integer in \[1, inf\)"),
        (lambda: Warmup(0.1, 1, steps_per_epoch=2.5), "steps_per_epoch=2.5"),
        (lambda: WarmupStableDecay(1.0, 10, 6, 5), "must fit into `steps`.*warmup=6.0, decay=5.0"),
        (lambda: CosineRestarts(1.0, 5, warmup=5), "`warmup` must be shorter than the first cycle"),
        (lambda: CosineRestarts(1.0, 5, t_mul=0.5), "t_mul=0.5"),
        (lambda: CosineRestarts(1.0, 5, cycles=0), "cycles=0"),
        (lambda: Step(1.0, True), "every=True"),
        (lambda: Chain([]), "`schedules` must be a list of"),
        (lambda: Chain([0.1, 0.2]), "entry 0 needs a number of steps above 0"),
        (lambda: Chain([(0.1, 0), 0.2]), "entry 0 needs a number"),
        (lambda: Chain([(0.1, 1, 2), 0.2]), "entry 0 is not a pair of a schedule and its steps"),
        (lambda: Chain([("a", 1), 0.2]), "`schedules` must be"),
        (lambda: Chain(0.1), "`schedules` must be"),
        (
            lambda: Step(1.0, 10).plot(),
            "`Step.plot`: `steps` must be a number, because this schedule has no end",
        ),
    ],
)
def test_what_they_refuse(make, message):
    with pytest.raises((TypeError, ValueError), match=message):
        make()


def test_plot():
    pytest.importorskip("matplotlib").use("agg")
    axes = Polynomial(1.0, 4).plot()
    np.testing.assert_allclose(axes.lines[0].get_ydata(), [1.0, 0.75, 0.5, 0.25, 0.0])
    assert Step(1.0, 1, 0.5).plot(3, ax=axes) is axes
    np.testing.assert_allclose(axes.lines[1].get_ydata(), [1.0, 0.5, 0.25])


def test_the_examples():
    assert all(doctest.testmod(module).failed == 0 for module in (around, cycles, decays))
