"""Saturated, perfect and hopeless predictions: values and gradients stay finite, and hope is not lost."""

import functools

import numpy as np
import pytest

from tests import thorough
from tests.backends import evaluated, value
from tests.contract.cases import Case, about, combined, every_loss, first, plain, pools
from tests.contract.test_gradients import differences
from tests.every_loss import ALONE, LOSSES, ONE_OF_EACH_PATH, rows
from tests.kinds import kind, kind_of
from tests.kinds.kind import CLASSES, hot
from tests.oracles import differentiated, expected, shares

DTYPES = dict(kind.DTYPES)
if thorough.FEW and not thorough.ASKED:
    del DTYPES["float16"]
LARGEST = 1e37
"""Where the exact value is beyond float32, infinity is the right answer."""


@functools.cache
def cases(loss, dtype):
    """Each batch at the extremes, with rows of hyper-parameters in turn; all in single precision."""
    fitting = [
        batch
        for batch in kind_of(loss).extremes(dtype)
        if batch.options.keys() <= LOSSES[loss].hyperparameters.keys()
    ]
    single = dtype == "float32"
    fitting = thorough.few(fitting, 2 if single else 1)
    if not single and not thorough.ASKED and not thorough.FEW:
        # Each of the half precisions on every other batch.
        fitting = fitting[dtype == "bfloat16" :: 2]
    wanted = len(rows(loss)) if thorough.ASKED else 2 if single and not thorough.FEW else 1
    found = []
    for turn, batch in enumerate(fitting):
        # In single precision the defaults first, elsewhere other rows; of sums, whose terms may overflow one
        # by one, the defaults in half precision as well.
        start = 0 if single or kind_of(loss).around else 1 + turn
        turned = [*rows(loss)[start % len(rows(loss)) :], *rows(loss)[: start % len(rows(loss))]]
        possible = (
            case
            for row in (turned[0], *turned[1 + turn :], *turned)
            if (case := at_extremes(loss, row, batch))
        )
        distinct: dict[str, Case] = {}
        for case in possible:
            distinct.setdefault(repr(case), case)
            if len(distinct) == wanted:
                break
        found += distinct.values()
    return tuple(found)


def at_extremes(loss, row, batch):
    """The case, also where the formula is infinite: the value is then that of what 0 stands for.

    None where hyper-parameters make samples know of each other: infinite ones would spoil all.
    """
    case = combined(loss, row, batch, finite=False)
    if case is None or (loss in ALONE and pools(case)):
        return None
    return case if case.options or not row else None


@functools.cache
def run(case: Case, dtype: str):
    """Predictions as they are in `dtype`, their values, and the gradient of each."""
    pred = case.batch.y_pred.astype(DTYPES[dtype])
    return pred.astype("float64"), *evaluated(case.build(reduction="none"), case.batch.y_true, pred)


@every_loss
def test_finite(loss):
    """At every extreme, in every dtype, value and gradient are finite; float32 is computed in, at least."""
    for dtype in DTYPES:
        for case in cases(loss, dtype):
            with about((dtype, case)):
                pred, values, gradient = run(case, dtype)
                assert values.dtype == "float32"
                possible = representable(case, pred, dtype)
                # A scale of 30 is too much for float16 everywhere.
                assert possible.any() or "probabilities" in case.batch.name
                assert np.isfinite(values[possible]).all(), pred[possible & ~np.isfinite(values)]
                lost = possible & ~np.isfinite(gradient.reshape(len(gradient), -1)).all(-1)
                assert not lost.any(), (pred[lost], gradient[lost])


# What of 0 and 1 a dtype can tell: where -log p goes on as a line, and the gap below 1.
NEAR_ZERO = {"float16": 2.0**-14}
NEAR_ONE = {"float16": 2.0**-11, "bfloat16": 2.0**-8}


def told(pred, dtype):
    """Probabilities of 0 and 1 as what they stand for in `dtype`."""
    below_one = np.where(pred > 1, pred, 1 - NEAR_ONE.get(dtype, 2.0**-24))  # a measure may be above
    return np.clip(pred, NEAR_ZERO.get(dtype, 2.0**-63), below_one)


def representable(case: Case, pred, dtype):
    """Where a float32 can hold the exact value, and the predictions' dtype the exact gradient."""
    loss, given = case.build(), "probabilities" in case.batch.name
    if given:
        pred = told(pred, dtype)
    with np.errstate(all="ignore"):
        values = np.abs(expected(loss, case.batch.y_true, pred))
        values_at = differentiated(loss, case.batch.y_true, pred)
        slopes = np.abs(differences(values_at, pred, pools=loss.pools_batch))
    steepest = 6e4 if dtype == "float16" else LARGEST
    slopes = slopes.reshape(len(pred), -1).max(-1)
    # A divergence that is infinite has a value nevertheless, of the number that 0 stands for.
    return (values < LARGEST) & (slopes < steepest) | given & ~np.isfinite(values + slopes)


@every_loss
def test_gradient_is_that_of_the_formula(loss):
    """However wrong or right a sample is, its gradient in logits and scores is that of the formula."""
    for case in cases(loss, "float32"):
        if "probabilities" not in case.batch.name:
            with about(case):
                assert_gradient(case)


def assert_gradient(case):
    loss, y_true = case.build(), case.batch.y_true
    pred, _, gradient = run(case, "float32")
    with np.errstate(all="ignore"):
        values = expected(loss, y_true, pred)
        finite = np.abs(values) < LARGEST
        if loss.pools_batch and not finite.all():  # an infinite sum has no differences
            y_true, pred = y_true[finite], case.batch.y_pred[finite]
            _, gradient = evaluated(case.build(reduction="none"), y_true, pred)
            pred, values, finite = pred.astype("float64"), values[finite], finite[finite]
        exact = differences(differentiated(loss, y_true, pred), pred, pools=loss.pools_batch)
    smooth = finite & ~kinked(loss, y_true, pred)
    # A divergence may be infinite for all predictions.
    assert smooth.any() or not finite.any()
    # What the differences lose to rounding: of a sum over the batch, where that is what they are of.
    rounding = 1e-15 * (np.abs(values).sum() if loss.pools_batch else np.abs(values[smooth])) / 1e-4
    rounding = np.broadcast_to(rounding, values[smooth].shape)
    rounding = rounding.reshape(-1, *[1] * (pred.ndim - 1))
    error = np.abs(gradient[smooth] - exact[smooth])
    assert (error <= 1e-4 * np.abs(exact[smooth]) + 1e-5 + 20 * rounding).all()


def kinked(loss, y_true, pred):
    """Where the reference's slopes on either side differ, as far as the differences reach."""
    values = differentiated(loss, y_true, pred)
    here, found = values(pred), np.full(len(pred), False)
    for output in np.eye(pred[0].size).reshape(-1, *pred.shape[1:]):
        for step in (1e-4, 2e-4):
            ahead, behind = (values(pred + side * step * output) for side in (1, -1))
            with np.errstate(invalid="ignore"):  # infinite less infinite has no kink
                jump = np.abs((ahead - here) - (here - behind)) / step
                found |= jump > 1e-2 * (1 + np.abs(ahead - behind) / (2 * step))
    return found


HOPELESS = ("sparse probabilities", "one output probabilities", "one-hot probabilities")


@every_loss
def test_confidently_wrong_probability_learns(loss):
    """A true class to which the model gives the probability 0 has a gradient that raises it.

    As it has by the formula, where the model is not so sure: some losses learn nothing from the label.
    """
    for dtype in DTYPES:
        for case in cases(loss, dtype):
            # A label that is smoothed to the uniform one has no true class.
            if case.batch.name.endswith(HOPELESS) and case.options.get("label_smoothing") != 1.0:
                with about((dtype, case)):
                    assert_learns(case, dtype)


def assert_learns(case, dtype):
    truth = case.batch.y_true
    pred, _, gradient = run(case, dtype)
    less_sure = 0.9 * pred + 0.1 / (2 if pred.ndim == 1 else CLASSES)
    values = differentiated(case.build(), truth, less_sure)
    with np.errstate(invalid="ignore"):
        slopes = differences(values, less_sure)
    if pred.ndim == 1:
        wrong = pred == 1 - truth
        toward = np.where(truth == 1, 1, -1)
        up, meant = (-toward * x for x in (gradient, slopes))
    else:
        one_hot = truth if truth.ndim == 2 else hot(truth, CLASSES)
        wrong = (pred[:, :CLASSES] * one_hot).sum(-1) == 0
        toward = np.concatenate([one_hot, 0 * pred[:, CLASSES:]], axis=-1)
        up, meant = (-np.where(toward, x, 0).sum(-1) for x in (gradient, slopes))
    assert wrong.any()
    # Of a loss that is not one of p_t alone the formula may have a minimum in p_t there, and at 0 itself be
    # 0 times infinity.
    with np.errstate(all="ignore"):
        near, farther = (values(np.clip(pred + step * toward, 0, 1)) for step in (1e-6, 2e-6))
        learns = wrong & (meant > 1e-6) & (near - farther > 1e-9)
    assert (up[learns] > 0).all(), (pred[learns], gradient[learns])
    # Losses with nothing left of the label learn nothing from it anywhere.
    assert learns.any() or case.options


@every_loss
def test_predictions_equal_to_targets(loss):
    """A prediction equal to its target has a finite value, and a finite gradient."""
    flat = [case for case in plain(loss) if case.batch.known is None and len(case.batch.leading) == 1]
    for case in thorough.few(thorough.spread(flat, 4), 1):
        with about(case):
            data = kind_of(loss)
            perfect = data.perfect(case.batch, case.build())
            values, gradient = evaluated(case.build(reduction="none"), case.batch.y_true, perfect)
            assert np.isfinite(values).all()
            assert np.isfinite(gradient).all()
            if data.exact_residual:
                # 0, or the normalizer of a likelihood, of which the residual knows nothing.
                meant = expected(case.build(), perfect, perfect)
                np.testing.assert_allclose(values, meant, rtol=1e-6, atol=0)
                assert (gradient == 0).all()


# Losses of whole images have tests of their own, in tests/losses.
OF_PIXELS = [
    name
    for name in (LOSSES if thorough.ASKED else thorough.few(ONE_OF_EACH_PATH[::2], 4))
    if not kind_of(name).whole_images
]


@pytest.mark.parametrize("loss", OF_PIXELS)
def test_half_precision_on_images(loss):
    """Sums over 256 x 256 pixels in half precision are those of float64, to what float32 adds up."""
    case = first(loss)
    batch, pixels = case.batch, 256 * 256  # more than the largest float16

    def image(x):
        return np.resize(x, (pixels, *x.shape[1:])).reshape(1, 256, 256, *x.shape[1:])

    y_true, pred = image(batch.y_true), image(batch.y_pred.astype("float16"))
    # The oracle on the few samples that the image repeats.
    times = np.bincount(np.arange(pixels) % len(batch.y_true))
    exact = expected(case.build(), batch.y_true, batch.y_pred.astype("float16").astype("float64"))
    share = shares(case.build(), batch.y_true, batch.y_pred)
    if case.build().pools_batch or kind_of(loss).of_images:
        exact, times = expected(case.build(), y_true, pred.astype("float64")), 1
        share = shares(case.build(), y_true, pred)
    total = (times * exact).sum()
    for reduction, meant in (("sum", total), ("sum_over_batch_size", total / (times * share).sum())):
        found = value(case.build(reduction=reduction), y_true, pred)
        np.testing.assert_allclose(found, meant, rtol=1e-4, atol=1e-6 * np.abs(exact).max())
