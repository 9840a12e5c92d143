"""Hyper-parameters in tensors: what a compiled loss is told while it runs, and what may be learned.

A number that a loss declares with a range may stand in its formula as a scalar tensor. The loss is then, at
every value of the tensor and without another trace, the one that was made with the number, and its gradient
in the number is right.
"""

import functools
from typing import Any, NamedTuple

import numpy as np
import pytest

from keras_losses.core.interval import Interval
from keras_losses.core.parameters import REQUIRED
from tests import thorough
from tests.backends import double_precision, value_and_gradient, with_setting
from tests.contract.cases import Case, about, every_case
from tests.every_loss import LOSSES, ONE_OF_EACH_PATH, build
from tests.kinds.kind import LOGITS
from tests.oracles import expected, rounded_terms

STEP = 1e-3


class Setting(NamedTuple):
    """One number among the hyper-parameters of a loss."""

    loss: str
    key: str


SETTINGS = [
    Setting(name, key)
    for name, loss in LOSSES.items()
    for key, parameter in loss.hyperparameters.items()
    # What is declared in a base is tried on one loss of each path through the base.
    if parameter.live and (key in vars(loss) or name in ONE_OF_EACH_PATH or thorough.ASKED)
]
SETTINGS = thorough.few(SETTINGS, 24)


def domain(setting: Setting) -> Interval:
    return Interval(LOSSES[setting.loss].hyperparameters[setting.key].within)


def fed(setting: Setting) -> list[float]:
    """The numbers where formulas are special, those just beside them, and a few others; as in float32."""
    within, default = domain(setting), LOSSES[setting.loss].hyperparameters[setting.key].default
    given = [default] if isinstance(default, float | int) and default is not REQUIRED else []
    special = [*given, *within.ends, 0.0, 1.0, 2.0]
    beside = [x * (1 + e) + (e if x == 0 else 0) for x in special for e in (1e-3, -1e-3, 1e-6)]
    numbers = [float(np.float32(x)) for x in (*special, *beside, *within.inside()[1:4:2])]
    return [x for x in dict.fromkeys(numbers) if x in within]


@functools.cache
def tried_on(setting: Setting) -> Case:
    """The first case in which the number matters."""
    low, high = domain(setting).inside()[1], domain(setting).inside()[-1]
    # A batch may state a number, which another one then replaces; it may not state that there is none.
    for case in sorted(every_case(setting.loss), key=lambda case: setting.key in case.batch.options):
        without = case.batch.options.get(setting.key, 0.0) is None
        if without or case.batch.y_pred.ndim > 2:
            continue
        try:
            one, other = (made(case, setting.key, x) for x in (low, high))
        except ValueError:
            continue
        true, pred = case.batch.y_true, case.batch.y_pred
        if not np.allclose(expected(one, true, pred), expected(other, true, pred), equal_nan=True):
            return case
    raise AssertionError(f"no case in which {setting} matters")


def made(case: Case, key: str, number: float, **common: Any) -> Any:
    options = {**case.batch.options, **case.options, key: number}
    return build(case.loss, options, case.batch.outputs, reduction="none", **common)


def saturated(y_pred: np.ndarray) -> np.ndarray:
    """Logits or scores so far out that probabilities are 0 or 1; outputs of another kind as they are."""
    columns = y_pred.reshape(len(y_pred), -1)
    far = np.where((columns < 0).any(0), np.resize(LOGITS, columns.shape), columns)
    return far.reshape(y_pred.shape).astype("float32")


@pytest.mark.parametrize(("loss", "key"), SETTINGS)
def test_one_trace_for_all_numbers(loss, key):
    """A traced loss that is fed a number is the loss made with it: in value and gradient, to 1e-5."""
    setting = Setting(loss, key)
    case, numbers = tried_on(setting), fed(setting)
    with about(case):
        far = saturated(case.y_pred)
        run, traces = with_setting(made(case, key, numbers[0]), key, compiled=True)
        for number in numbers if thorough.ASKED else numbers[::2]:
            exact = made(case, key, number)
            agrees(exact, case.y_true, case.y_pred, run(case.y_true, case.y_pred, np.float32(number)))
            at_far = run(case.y_true, far, np.float32(number))
            if not all(np.isfinite(x).all() for x in at_far):
                assert not tame(exact, case.y_true, far, *value_and_gradient(exact, case.y_true, far)), number
        assert len(traces) == 1


def agrees(loss, y_true, y_pred, found):
    """The values and gradients that are found prove to be the loss's."""
    found, slope, of_number = found
    values, gradient = value_and_gradient(loss, y_true, y_pred)
    reference = expected(loss, y_true, y_pred)
    finite = np.isfinite(values) & np.isfinite(reference)
    # Of the terms, where they cancel; where a short cut for a number has fewer digits, as near as that.
    bound = 1e-6 + 1e-5 * rounded_terms(loss, y_true, y_pred) + 1.1 * np.abs(values - reference)
    assert (np.abs(found - values)[finite] <= bound[finite]).all(), (loss, found, values)
    largest = np.abs(gradient[np.isfinite(gradient)]).max(initial=0)
    np.testing.assert_allclose(slope, gradient, rtol=1e-5, atol=2e-7 + 1e-5 * largest, err_msg=repr(loss))
    assert np.isfinite(of_number) or not tame(loss, y_true, y_pred, values, gradient), loss


def tame(loss, y_true, y_pred, values, gradient):
    """Whether value and gradient of the loss are far from the largest number of single precision."""
    # A slope in the number may be that in a prediction times a logit of 1e4.
    known = np.isfinite(values) & np.isfinite(expected(loss, y_true, y_pred))
    return bool(known.all() and (np.abs(gradient) < 1e30).all())


@pytest.mark.parametrize(("loss", "key"), SETTINGS)
def test_gradient_in_the_number(loss, key):
    """In float64 the gradient in the number is the reference's difference, of the fourth order, to 1e-5.

    Where the differences have a limit: not at a corner, nor where the slope is infinite.
    """
    setting = Setting(loss, key)
    case = tried_on(setting)
    y_true, y_pred = case.batch.y_true, case.batch.y_pred
    weights = np.linspace(1, 2, len(y_pred))
    weights = weights.reshape(-1, *[1] * (len(case.batch.leading) - 1))
    numbers, tried = fed(setting), 0
    with double_precision(), about(case), np.errstate(invalid="ignore"):
        built = made(case, key, numbers[0], dtype="float64")
        run, _ = with_setting(built, key, compiled=False)
        for number in numbers if thorough.ASKED else numbers[1::2]:
            if not np.isfinite(number):
                continue
            found = run(y_true, y_pred, np.float64(number), weights)[2]

            def total(x):
                return (weights * expected(made(case, key, x), y_true, y_pred)).sum()

            step = STEP * (abs(number) or 1.0)
            exact, coarse = (difference(total, number, domain(setting), k * step) for k in (1, 4))
            assert np.isfinite(found), number
            size = np.abs(weights * rounded_terms(made(case, key, number), y_true, y_pred)).sum()
            if not abs(exact - coarse) <= 1e-3 * (abs(exact) + size):
                continue
            # What the differences lose to rounding: the values' last digits over the step.
            bound = 1e-5 * abs(exact) + 4 * abs(exact - coarse) + 1e-14 * size / step
            assert abs(found - exact) <= bound, (number, found, exact, coarse)
            tried += 1
    assert tried


def difference(function, at, within, step):
    """The derivative of the fourth order: from both sides, or from one beside an end of the range."""
    for stencil, scale in (
        ({-2: 1, -1: -8, 1: 8, 2: -1}, 12),
        ({0: -25, 1: 48, 2: -36, 3: 16, 4: -3}, 12),
        ({0: 25, -1: -48, -2: 36, -3: -16, -4: 3}, 12),
    ):
        if all(at + k * step in within for k in stencil):
            return sum(weight * function(at + k * step) for k, weight in stencil.items()) / (scale * step)
    raise AssertionError(f"{within.text} is too narrow around {at}")
