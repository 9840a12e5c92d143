"""Weights, masks, ignored labels and reductions."""

import numpy as np
import pytest

from tests.backends import value, value_and_gradient
from tests.contract import samples
from tests.contract.samples import Case, flat
from tests.oracles import shares

pytestmark = pytest.mark.of_the_base

MEANS = ("sum_over_batch_size", "mean", "mean_with_sample_weight")
# A loss around others hands their labels and shapes through; one of each kind of labels shows that.
CASES = [case for case in samples.plain_cases() if case.loss != "RegularizedLoss" or flat(case.batch)]
FEW = samples.plain_cases(samples.simple)
every_case = pytest.mark.parametrize("case", CASES, ids=repr)
few_cases = pytest.mark.parametrize("case", FEW, ids=repr)
# What is said of samples that do not know of each other.
every_case_alone = pytest.mark.parametrize("case", [x for x in CASES if not samples.pools(x)], ids=repr)
few_cases_alone = pytest.mark.parametrize("case", [x for x in FEW if not samples.pools(x)], ids=repr)


def data(case: Case):
    """Labels, predictions in float32, and a weight for each sample of which none is 0."""
    y_true, y_pred = case.batch.y_true, case.batch.y_pred.astype("float32")
    return y_true, y_pred, np.linspace(0.5, 2.0, len(y_pred)).astype("float32")


def plain(case: Case):
    """The value of each sample, and their gradients."""
    y_true, y_pred, _ = data(case)
    return value_and_gradient(case.build(reduction="none"), y_true, y_pred)


def shares_of(case: Case):
    """What each sample adds to the divisor of a mean."""
    return shares(case.build(), case.batch.y_true, case.batch.y_pred)


def spread(weights, values):
    return weights.reshape(-1, *[1] * (values.ndim - 1))


def poisoned(y_true, y_pred, where):
    """Garbage in both at the samples `where`: NaN, infinity, and class ids that there are not."""
    y_true, y_pred = y_true.copy(), y_pred.copy()
    y_true[where] = 10**6 if y_true.dtype.kind in "iu" else np.nan
    y_pred[where] = np.nan
    y_pred[where][..., :1] = np.inf
    return y_true, y_pred


def assert_slopes(found, exact):
    """To 1e-5, and to the last digit of the steepest, of which a flat one may be a difference."""
    np.testing.assert_allclose(found, exact, rtol=1e-5, atol=2.0**-23 * np.abs(exact).max() + 1e-30)


def ignores(case: Case) -> bool:
    return "ignored" in case.batch.name


@every_case_alone
def test_weights_multiply_samples(case):
    """A weight (batch,) multiplies its sample's value and gradient, whatever the rank of the loss."""
    y_true, y_pred, weights = data(case)
    values, gradient = plain(case)
    found, slope = value_and_gradient(case.build(reduction="none"), y_true, y_pred, weights)
    assert found.shape == case.batch.leading
    np.testing.assert_allclose(found, values * spread(weights, values), rtol=1e-6)
    assert_slopes(slope, gradient * spread(weights, gradient))


@few_cases
def test_weight_column_is_a_weight_for_each_sample(case):
    """A weight (batch, 1) is a weight (batch,)."""
    y_true, y_pred, weights = data(case)
    loss = case.build()
    column = value(loss, y_true, y_pred, weights[:, None])
    assert column == value(loss, y_true, y_pred, weights)


@every_case
@pytest.mark.parametrize("reduction", ["sum", "mean_with_sample_weight"])
def test_weight_two_is_the_sample_twice(case, reduction):
    """A sample of weight 2 counts as much as the sample given twice."""
    y_true, y_pred, _ = data(case)
    weights = np.ones(len(y_pred), "float32")
    weights[0] = 2
    loss = case.build(reduction=reduction)
    twice = np.concatenate([y_true[:1], y_true]), np.concatenate([y_pred[:1], y_pred])
    # The logarithm of a ratio near 1 has its last digits from that, for each sample of a sum.
    summed = np.prod(case.batch.leading) if reduction == "sum" else 1
    near_one = 2e-6 * summed if samples.pools(case) else 0
    np.testing.assert_allclose(
        value(loss, y_true, y_pred, weights), value(loss, *twice), rtol=2e-6, atol=near_one
    )


@every_case_alone
def test_weight_zero_removes_a_sample(case):
    """A sample of weight 0 leaves no trace of its NaN and infinity, in value or gradient."""
    y_true, y_pred, weights = data(case)
    weights[1] = 0
    values, gradient = plain(case)
    found, slope = value_and_gradient(
        case.build(reduction="none"), *poisoned(y_true, y_pred, np.s_[1:2]), weights
    )
    np.testing.assert_allclose(found, values * spread(weights, values), rtol=1e-6)
    assert_slopes(slope, gradient * spread(weights, gradient))
    bad_true, bad_pred = poisoned(y_true, y_pred, np.s_[1:2])
    for reduction in MEANS:
        loss = case.build(reduction=reduction)
        # Another label there would count the sample that an ignored one does not.
        found = value(loss, y_true if ignores(case) else bad_true, bad_pred, weights)
        np.testing.assert_allclose(found, value(loss, y_true, y_pred, weights), rtol=1e-6)


@every_case_alone
def test_mask_removes_a_sample(case):
    """A Keras mask removes samples, NaN and all, and the mean is over those that are left."""
    y_true, y_pred, _ = data(case)
    values, gradient = plain(case)
    mask = np.arange(values.size).reshape(values.shape) % 3 != 1
    # A mask has the axes of the samples; labels and predictions may have that of the classes inside.
    bad = masked(case, y_true, y_pred, mask)
    found, slope = value_and_gradient(case.build(reduction="none"), *bad, mask=mask)
    np.testing.assert_allclose(found, np.where(mask, values, 0), rtol=1e-6)
    kept = mask if gradient.ndim == mask.ndim else np.expand_dims(mask, case.batch.axis)
    np.testing.assert_allclose(slope, np.where(kept, gradient, 0), rtol=1e-5, atol=1e-30)
    if not ignores(case):
        found = value(case.build(), *bad, mask=mask)
        np.testing.assert_allclose(found, values[mask].sum() / shares_of(case)[mask].sum(), rtol=2e-6)


def masked(case, y_true, y_pred, mask):
    def poison(x, garbage):
        where = (
            mask if x.ndim == mask.ndim and x.shape == mask.shape else np.expand_dims(mask, case.batch.axis)
        )
        return np.where(where, x, np.asarray(garbage, x.dtype))

    return poison(y_true, 10**6 if y_true.dtype.kind in "iu" else np.nan), poison(y_pred, np.nan)


@few_cases_alone
def test_mask_and_weights_together(case):
    """A mask and weights both apply."""
    y_true, y_pred, weights = data(case)
    values, _ = plain(case)
    mask = np.arange(len(values)) % 3 != 1
    bad = masked(case, y_true, y_pred, mask)
    for reduction, total in (
        ("sum_over_batch_size", shares_of(case)[mask].sum()),
        ("mean_with_sample_weight", (weights * shares_of(case))[mask].sum()),
    ):
        found = value(case.build(reduction=reduction), *bad, weights, mask)
        np.testing.assert_allclose(found, (values * weights)[mask].sum() / total, rtol=2e-6)


@pytest.mark.parametrize("case", [case for case in CASES if ignores(case)], ids=repr)
def test_ignored_labels_remove_samples(case):
    """ignore_class removes samples, or single outputs, NaN and all, and the mean is over those left."""
    y_true, y_pred, _ = data(case)
    values, gradient = plain(case)
    loss = samples.inner(case.batch.options)
    ignored = case.batch.options.get("ignore_class", getattr(loss, "ignore_class", None))
    if "multi-label" in case.batch.name:
        outputs = y_true == ignored
        gone = outputs.all(-1)
    else:
        labels = y_true.argmax(-1) if y_true.ndim == y_pred.ndim else y_true
        gone = labels == ignored
        outputs = np.broadcast_to(gone[..., None], y_pred.shape)
    assert outputs.any()
    assert not gone.all()
    found, slope = value_and_gradient(
        case.build(reduction="none"), y_true, np.where(outputs, np.float32(np.nan), y_pred)
    )
    np.testing.assert_allclose(found, np.where(gone, 0, values), rtol=1e-6)
    np.testing.assert_allclose(slope, np.where(outputs, 0, gradient), rtol=1e-5, atol=1e-30)
    for reduction in MEANS:
        found = value(case.build(reduction=reduction), y_true, np.where(outputs, np.float32(np.nan), y_pred))
        np.testing.assert_allclose(found, values[~gone].sum() / shares_of(case)[~gone].sum(), rtol=2e-6)


@every_case
def test_nothing_left(case):
    """With every weight 0, or everything masked, value and gradient are 0, whatever is in the batch."""
    y_true, y_pred, weights = data(case)
    bad = poisoned(y_true, y_pred, np.s_[:])
    mask = np.zeros(case.batch.leading, bool)
    for how in ({"sample_weight": 0 * weights}, {"mask": mask}):
        for reduction in ("mean_with_sample_weight", "sum_over_batch_size"):
            found, slope = value_and_gradient(case.build(reduction=reduction), *bad, **how)
            assert found == 0
            assert (slope == 0).all()


@few_cases
@pytest.mark.parametrize("reduction", ["sum", *MEANS, "none", None])
def test_reductions(case, reduction):
    """Every reduction is NumPy's, with weights and without."""
    y_true, y_pred, weights = data(case)
    values, _ = plain(case)
    share = shares_of(case)
    sums = {"sum": 1, "sum_over_batch_size": share.sum(), "mean": share.sum()}
    for given in (None, weights):
        weighted = values if given is None else values * given
        if samples.pools(case):  # they change each other's values
            weighted = value(case.build(reduction="none"), y_true, y_pred, given)
        if reduction in (None, "none"):
            exact = weighted
        elif reduction == "mean_with_sample_weight":
            exact = weighted.sum() / (share.sum() if given is None else (given * share).sum())
        else:
            exact = weighted.sum() / sums[reduction]
        found = value(case.build(reduction=reduction), y_true, y_pred, given)
        np.testing.assert_allclose(found, exact, rtol=2e-6)


@few_cases
def test_empty_batch(case):
    """An empty batch is worth a scalar 0, with every reduction to one number."""
    y_true, y_pred, weights = data(case)
    for reduction in ("sum", *MEANS):
        for given in (None, weights[:0]):
            found, slope = value_and_gradient(case.build(reduction=reduction), y_true[:0], y_pred[:0], given)
            assert found.shape == ()
            assert found == 0
            assert slope.shape == y_pred[:0].shape


@every_case
def test_weights_of_another_length(case):
    """Weights that are not one for each sample raise, and the message has their shape."""
    y_true, y_pred, weights = data(case)
    for wrong in (np.ones(len(weights) + 1, "float32"), np.ones((1, len(weights)), "float32")):
        if wrong.shape == case.batch.leading:
            continue
        with pytest.raises(ValueError) as caught:
            case.build()(y_true, y_pred, wrong)
        assert "sample_weight" in str(caught.value)
        assert str(wrong.shape) in str(caught.value)


@few_cases_alone
def test_genuine_nan_stays_visible(case):
    """NaN in the predictions of a sample that counts gives NaN, not an exception and not a number."""
    y_true, y_pred, weights = data(case)
    y_pred = y_pred.copy()
    y_pred[0] = np.nan
    weights[1] = 0
    assert np.isnan(value(case.build(), y_true, y_pred))
    assert np.isnan(value(case.build(), y_true, y_pred, weights))
    found = value(case.build(reduction="none"), y_true, y_pred)
    assert np.isnan(found[0])
    assert np.isfinite(found[1:]).all()


@few_cases_alone
def test_order_of_samples(case):
    """Samples do not know of each other: their order, and who else is in the batch, change nothing."""
    y_true, y_pred, _ = data(case)
    values, _ = plain(case)
    order = np.roll(np.arange(len(values)), 2)[:-1]
    found = value(case.build(reduction="none"), y_true[order], y_pred[order])
    np.testing.assert_allclose(found, values[order], rtol=1e-6)
