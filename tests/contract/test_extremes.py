"""Saturated, perfect and hopeless predictions: values and gradients stay finite, and hope is not lost."""

import functools
import itertools

import ml_dtypes
import numpy as np
import pytest

from tests.backends import value, value_and_gradient
from tests.contract import samples
from tests.contract.samples import CLASSES, Batch, Case
from tests.contract.test_gradients import differences
from tests.oracles import REGISTRY, differentiated, expected, shares

DTYPES = {"float32": np.float32, "float16": np.float16, "bfloat16": ml_dtypes.bfloat16}
LOGITS = (-1e4, -88.0, -17.0, 0.0, 17.0, 88.0, 1e4)
LARGEST = 1e37
"""Where the exact value is beyond float32, infinity is the right answer."""


def edges(dtype):
    """Probabilities 0 and 1, one unit in the last place from both, the smallest normal number, a half."""
    kind = DTYPES[dtype]
    zero, one = kind(0), kind(1)
    near = [np.nextafter(zero, one), ml_dtypes.finfo(kind).smallest_normal, np.nextafter(one, zero)]
    return [float(x) for x in (zero, *near, kind(0.5), one)]


def rows(kind, dtype):
    """Distributions over CLASSES classes at the edges, or logits and scores far apart."""
    if kind == "probabilities":
        found = [np.roll([p, 1 - p, 0.0], turn) for p in edges(dtype) for turn in range(CLASSES)]
    else:
        found = [[a, b, 0.3] for a, b in itertools.product(LOGITS, repeat=2)]
    # The true class of each row is each of the classes once.
    return np.repeat(found, CLASSES, axis=0), np.tile(np.arange(CLASSES), len(found))


def outputs(kind, dtype):
    """The same for outputs of their own, with the labels 0 and 1."""
    found = edges(dtype) if kind == "probabilities" else LOGITS
    return np.repeat(found, 2), np.tile([0.0, 1.0], len(found))


def extremes(name, dtype):
    """Batches at the extremes in every encoding that the loss takes."""
    takes = REGISTRY[name].takes
    if takes in samples.AROUND:
        # The inner losses' extremes, through the losses that stand for their kinds.
        inside = dict.fromkeys(type(samples.inner(batch.options)).__name__ for batch in samples.batches(name))
        for inner in (key for key in inside if key in REGISTRY):
            for batch in extremes(inner, dtype):
                loss = samples.build(inner, batch.options, batch.outputs)
                around = Batch(f"{inner} {batch.name}", batch.y_true, batch.y_pred, {"loss": loss})
                yield around if takes == "anything" else samples.twice(around)
    elif takes == "numbers":
        pred, _ = outputs("numbers", dtype)
        yield Batch("far", np.full_like(pred, 0.25), pred)
    elif takes in ("positives", "amounts", "amounts by powers"):
        pred, _ = outputs("numbers", dtype)
        told = {"log_link": True}
        yield Batch("amounts", np.tile([0.25, 3.0], len(pred) // 2), pred, told)
        if takes != "positives":
            told = {**told, "power": 1.5} if takes == "amounts by powers" else told
            yield Batch("zeros", np.zeros_like(pred), pred, told)
        means = np.repeat([1e-3, 0.1, 0.9, 0.999], 2)
        yield Batch("means", np.tile([0.25, 3.0], 4), means, {"log_link": False})
    elif takes in samples.LEVELS:
        pred, _ = outputs("numbers", dtype)
        yield Batch("one level", np.full_like(pred, 0.25), pred)
        several = np.stack([pred, np.roll(pred, 2), np.roll(pred, 5)], -1)
        yield Batch("levels", np.full_like(pred, 0.25), several, {samples.LEVELS[takes]: [0.1, 0.5, 0.9]})
    elif takes in samples.PACKED:
        yield from _packed(samples.PACKED[takes])
    elif takes == "signs":
        pred, y = outputs("scores", dtype)
        yield Batch("signed", 2 * y - 1, pred, {"labels": "signed"})
        yield Batch("0/1", y, pred, {"labels": "binary"})
    elif takes == "scores":
        pred, ids = rows("scores", dtype)
        yield Batch("sparse", ids, pred, {}, CLASSES)
        yield Batch("one-hot", np.eye(CLASSES)[ids], pred, {}, CLASSES)
    elif takes == "ranks":
        pred, ids = rows("scores", dtype)
        yield Batch("sparse", ids, pred[:, :-1], {"num_classes": CLASSES}, CLASSES)
        yield Batch("one-hot", np.eye(CLASSES)[ids], pred[:, :-1], {"num_classes": CLASSES}, CLASSES)
    elif takes == "cut points":
        # Scores far away and near, between cut points that are close, at an ordinary distance, and far.
        found = [[f, a, b] for f in (*LOGITS, 0.3, 2.0) for a, b in ((-0.25, 0.25), (-1, 2), (-50, 60))]
        pred, ids = np.repeat(found, CLASSES, axis=0), np.tile(np.arange(CLASSES), len(found))
        yield Batch("sparse", ids, pred, {"num_classes": CLASSES}, CLASSES)
        yield Batch("one-hot", np.eye(CLASSES)[ids], pred, {"num_classes": CLASSES}, CLASSES)
    elif takes == "logits":
        pred, ids = rows("scores", dtype)
        yield Batch("of a teacher far away", pred[::-1], pred, {}, CLASSES)
        yield Batch("of a teacher near by", pred + 0.125 * np.eye(CLASSES)[ids], pred, {}, CLASSES)
    elif takes == "latents":
        pred = np.array(list(itertools.product(LOGITS, repeat=2)))
        yield Batch("latents", np.zeros(len(pred)), pred)
    elif takes == "pooled":
        for kind in ("logits", "probabilities"):
            told = {"num_classes": CLASSES, "from_logits": kind == "logits"}
            pred, ids = rows(kind, dtype)
            yield Batch(f"sparse {kind}", ids, pred, told, CLASSES)
            yield Batch(f"soft {kind}", 0.8 * np.eye(CLASSES)[ids] + 0.2 / CLASSES, pred, told, CLASSES)
    else:
        for kind in ("logits", "probabilities"):
            yield from _of_kind(takes, kind, dtype)


TARGETS = {
    "reals": (0.25, -10.0),
    "counts": (0.0, 3.0, 1e4),
    "positives": (0.25, 1e-30, 1e30),
    "shares": (0.25, 1e-30, 1 - 2.0**-24),
}


def _packed(kind):
    """One number of each target far away, and two of them, among others of an ordinary size."""
    for parts, told in kind.parts.items():
        found = [[0.3] * parts]
        for first, second in itertools.combinations_with_replacement(range(parts), 2):
            for a, b in itertools.product(LOGITS, repeat=2):
                row = [0.3] * parts
                row[first], row[second] = a, b
                found.append(row)
        pred = np.unique(found, axis=0)
        for target in TARGETS[kind.domain]:
            yield Batch(f"{target:g} of {parts}", np.full((len(pred), 1), target), pred, told)


def _of_kind(takes, kind, dtype):
    told = {"from_logits": kind == "logits"}
    pred, ids = rows(kind, dtype)
    soft = 0.8 * np.eye(CLASSES)[ids] + 0.2 / CLASSES
    if takes == "distributions":
        yield Batch(f"one-hot {kind}", np.eye(CLASSES)[ids], pred, told, CLASSES)
        yield Batch(f"soft {kind}", soft, pred, told, CLASSES)
        return
    if takes in samples.SEVERAL_PREDICTIONS:
        second = pred[::-1] if takes == "views" else rows("probabilities", dtype)[0]
        pred = np.concatenate([pred, np.resize(second, pred.shape)], axis=-1)
        told = {**told, "views": 2} if takes == "views" else told
        yield Batch(f"sparse {kind}", ids, pred, told, CLASSES)
        yield Batch(f"soft {kind}", soft, pred, told, CLASSES)
        return
    one, several = ({"multi_label": False}, {"multi_label": True}) if takes == "classes" else ({}, {})
    if takes in ("classes", "exclusive"):
        yield Batch(f"sparse {kind}", ids, pred, {**told, **one}, CLASSES)
        yield Batch(f"soft {kind}", soft, pred, {**told, **one}, CLASSES)
    pred, y = outputs(kind, dtype)
    yield Batch(f"one output {kind}", y, pred, {**told, **one}, 1)
    if takes == "exclusive":
        return
    pred, y = (np.stack([x, x[::-1], np.roll(x, 3)], -1) for x in (pred, y))
    yield Batch(f"multi-label {kind}", y, pred, {**told, **several}, CLASSES)


@functools.cache
def cases(dtype):
    found = {}
    for name in samples.LOSSES:
        for batch in extremes(name, dtype) if name in REGISTRY else ():
            for options in samples.variants(name):
                if name == "RegularizedLoss" and len(options) == 1:
                    continue  # each penalty by itself adds nothing to all of them at once
                case = samples.with_batch(name, options, batch)
                if case is not None and samples.takes(case):
                    found[repr(case)] = case
    return found


def run(case: Case, dtype: str):
    """Predictions as they are in `dtype`, their values, and the gradient of each."""
    pred = case.batch.y_pred.astype(DTYPES[dtype])
    return pred.astype("float64"), *value_and_gradient(case.build(reduction="none"), case.batch.y_true, pred)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", cases("float32"), ids=str)
def test_finite(case, dtype):
    """At every extreme, in every dtype, value and gradient are finite; float32 is computed in, at least."""
    here = cases(dtype)[case]
    pred, values, gradient = run(here, dtype)
    assert values.dtype == "float32", dtype
    possible = representable(here, pred, dtype)
    assert possible.any() or "probabilities" in case  # a scale of 30 is too much for float16 everywhere
    assert np.isfinite(values[possible]).all(), (dtype, pred[possible & ~np.isfinite(values)])
    lost = possible & ~np.isfinite(gradient.reshape(len(gradient), -1)).all(-1)
    assert not lost.any(), (dtype, pred[lost], gradient[lost])


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


FROM_LOGITS = [key for key in cases("float32") if "probabilities" not in key]


@pytest.mark.parametrize("case", FROM_LOGITS, ids=str)
def test_gradient_is_that_of_the_formula(case):
    """However wrong or right a sample is, its gradient in logits and scores is that of the formula."""
    here = cases("float32")[case]
    loss, y_true = here.build(), here.batch.y_true
    pred, _, gradient = run(here, "float32")
    with np.errstate(all="ignore"):
        values = expected(loss, y_true, pred)
        finite = np.abs(values) < LARGEST
        if loss.pools_batch and not finite.all():  # an infinite sum has no differences
            y_true, pred = y_true[finite], here.batch.y_pred[finite]
            _, gradient = value_and_gradient(here.build(reduction="none"), y_true, pred)
            pred, values, finite = pred.astype("float64"), values[finite], finite[finite]
        exact = differences(differentiated(loss, y_true, pred), pred, pools=loss.pools_batch)
    smooth = finite & ~kinked(loss, y_true, pred)
    # A divergence may be infinite for all predictions.
    assert smooth.any() or not finite.any()
    # What the differences lose to rounding: of a sum over the batch, where that is what they are of.
    rounding = 1e-15 * (np.abs(values).sum() if loss.pools_batch else np.abs(values[smooth])) / 1e-4
    rounding = np.broadcast_to(rounding, values[smooth].shape)
    rounding = rounding if pred.ndim == 1 else rounding[:, None]
    error = np.abs(gradient[smooth] - exact[smooth])
    assert (error <= 1e-4 * np.abs(exact[smooth]) + 1e-5 + 20 * rounding).all()


def kinked(loss, y_true, pred):
    """Where the reference's slopes on either side differ, as far as the differences reach."""
    values = differentiated(loss, y_true, pred)
    here, found = values(pred), np.full(len(pred), False)
    for output in np.eye(pred.shape[-1]) if pred.ndim > 1 else [1.0]:
        for step in (1e-4, 2e-4):
            ahead, behind = (values(pred + side * step * output) for side in (1, -1))
            jump = np.abs((ahead - here) - (here - behind)) / step
            found |= jump > 1e-2 * (1 + np.abs(ahead - behind) / (2 * step))
    return found


# A label that is smoothed to the uniform one has no true class.
WRONG = [
    key
    for key, case in cases("float32").items()
    if "probabilities" in key
    and ("sparse" in key or "one output" in key or "one-hot" in key)
    and case.options.get("label_smoothing") != 1.0
]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", WRONG, ids=str)
def test_confidently_wrong_probability_learns(case, dtype):
    """A true class to which the model gives the probability 0 has a gradient that raises it.

    As it has by the formula, where the model is not so sure: some losses learn nothing from the label.
    """
    here = cases(dtype)[case]
    truth = here.batch.y_true
    pred, _, gradient = run(here, dtype)
    less_sure = 0.9 * pred + 0.1 / (2 if pred.ndim == 1 else CLASSES)
    values = differentiated(here.build(), truth, less_sure)
    slopes = differences(values, less_sure)
    if pred.ndim == 1:
        wrong = pred == 1 - truth
        toward = np.where(truth == 1, 1, -1)
        up, meant = (-toward * x for x in (gradient, slopes))
    else:
        hot = truth if truth.ndim == 2 else np.eye(CLASSES)[truth]
        wrong = (pred[:, :CLASSES] * hot).sum(-1) == 0
        toward = np.concatenate([hot, 0 * pred[:, CLASSES:]], axis=-1)
        up, meant = (-np.where(toward, x, 0).sum(-1) for x in (gradient, slopes))
    assert wrong.any()
    # Of a loss that is not one of p_t alone the formula may have a minimum in p_t there, and at 0 itself be
    # 0 times infinity.
    with np.errstate(all="ignore"):
        near, farther = (values(np.clip(pred + step * toward, 0, 1)) for step in (1e-6, 2e-6))
    gained = near - farther
    learns = wrong & (meant > 1e-6) & (gained > 1e-9)
    assert (up[learns] > 0).all(), (dtype, pred[learns], gradient[learns])
    # Losses with nothing left of the label learn nothing from it anywhere.
    assert learns.any() or here.options


@pytest.mark.parametrize("case", samples.plain_cases(samples.simple), ids=repr)
def test_predictions_equal_to_targets(case):
    """A prediction equal to its target has a finite value, and a finite gradient."""
    batch = case.batch
    kind = REGISTRY[case.loss].takes
    perfect = samples.perfect(case)
    values, gradient = value_and_gradient(case.build(reduction="none"), batch.y_true, perfect)
    assert np.isfinite(values).all()
    assert np.isfinite(gradient).all()
    if kind == "numbers":
        # 0, or the normalizer of a likelihood, of which the residual knows nothing.
        meant = expected(case.build(), perfect, perfect)
        np.testing.assert_allclose(values, meant, rtol=1e-6, atol=0)
        assert (gradient == 0).all()


ON_IMAGES = {
    case.loss: case
    for case in samples.plain_cases(lambda batch: samples.simple(batch) and batch.y_pred.ndim == 2)
}


@pytest.mark.costly
@pytest.mark.of_the_base
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("loss", samples.LOSSES)
def test_half_precision_on_images(loss, dtype):
    """Sums over 256 x 256 pixels in half precision are those of float64, to what float32 adds up."""
    case = ON_IMAGES[loss]
    batch, pixels = case.batch, 256 * 256  # more than the largest float16

    def image(x):
        return np.resize(x, (pixels, *x.shape[1:])).reshape(1, 256, 256, *x.shape[1:])

    y_true, pred = image(batch.y_true), image(batch.y_pred.astype(DTYPES[dtype]))
    exact = expected(case.build(), y_true, pred.astype("float64"))
    mean = exact.sum() / shares(case.build(), y_true, pred.astype("float64")).sum()
    for reduction, total in (("sum", exact.sum()), ("sum_over_batch_size", mean)):
        found = value(case.build(reduction=reduction), y_true, pred)
        np.testing.assert_allclose(found, total, rtol=1e-4, atol=1e-6 * np.abs(exact).max())
