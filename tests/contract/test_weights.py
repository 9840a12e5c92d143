"""Weights, masks, ignored labels and reductions."""

import numpy as np
import pytest

from tests import every_loss as losses
from tests import thorough
from tests.backends import value, value_and_gradient
from tests.contract.cases import (
    REDUCTIONS,
    Case,
    about,
    cases,
    divisor,
    every_loss,
    every_loss_alone,
    every_loss_or_path,
    first,
    like,
    plain,
    pools,
    single,
    spread,
)
from tests.oracles import shares


def few(loss):
    """A case for each batch, of many batches every other one: the formula has proved its hyper-parameters."""
    found = list({case.batch.name: case for case in cases(loss)}.values())
    return thorough.spread(found, 8)


def taken_out(case: Case, gone):
    """Labels and predictions with garbage where samples are taken out: NaN, and ids that there are not."""
    axis = case.batch.axis
    y_true, y_pred = case.y_true.copy(), case.y_pred.copy()
    y_pred[like(gone, y_pred, axis)] = np.nan
    # Another label would count where an ignored one does not.
    if case.batch.known is None:
        y_true[like(gone, y_true, axis)] = 10**6 if y_true.dtype.kind in "iu" else np.nan
    return y_true, y_pred


@every_loss_or_path
def test_weights_masks_and_reductions(loss):
    """Weights scale value and gradient; weight 0 and a mask take NaN out; every reduction is NumPy's."""
    for turn, case in enumerate(few(loss)):
        with about(case):
            leading, axis, reduction = case.batch.leading, case.batch.axis, REDUCTIONS[turn % len(REDUCTIONS)]
            # Weights alone, a mask alone, and both.
            weights, mask = np.ones(leading[0], "float32"), np.full(leading, True)
            if turn % 3:
                weights = np.array([2.0, 0.0, 0.5, 1.0, 4.0, 0.25], "float32")[: leading[0]]
            if turn % 3 != 1:
                mask = np.arange(mask.size).reshape(leading) % 4 != 3
            given, of_samples = {"sample_weight": weights, "mask": mask}, spread(weights, leading)
            gone = (of_samples == 0) | ~mask
            built = case.build(reduction=reduction)
            found, slope = value_and_gradient(built, *taken_out(case, gone), **given)
            assert (slope[like(gone, slope, axis)] == 0).all()
            if pools(case):  # samples change each other's values
                exact, slopes = value_and_gradient(built, case.y_true, case.y_pred, **given)
                np.testing.assert_array_equal(found, exact)
                np.testing.assert_array_equal(slope, slopes)
                values = value(case.build(reduction="none"), case.y_true, case.y_pred, **given)
            else:
                factor = np.where(gone, 0, of_samples) / divisor(case, of_samples, mask, reduction)
                slopes = np.where(like(gone, slope, axis), 0, single(case).gradient)
                slopes = slopes * like(factor, slope, axis)
                # To the digits of the steepest, of which a flat one may be a difference; and of terms of the
                # size of 1, where all that is left of them is rounding.
                rounding = 2e-6 * np.abs(slopes).max() + 2.0**-24 * factor.max()
                np.testing.assert_allclose(slope, slopes, rtol=1e-5, atol=rounding)
                values = np.where(gone, 0, single(case).values * of_samples)
            exact = values if reduction == "none" else values.sum()
            exact = exact / divisor(case, of_samples, mask, reduction)
            assert found.shape == np.shape(exact)
            np.testing.assert_allclose(found, exact, rtol=2e-6, atol=2e-6 * np.abs(values).mean())


@every_loss
def test_reduction_none_is_none(loss):
    """A reduction of None is "none"."""
    case = first(loss)
    found, exact = (value(case.build(reduction=x), case.y_true, case.y_pred) for x in (None, "none"))
    np.testing.assert_array_equal(found, exact)


@every_loss
def test_weight_two_is_the_sample_twice(loss):
    """A sample of weight 2 counts as much as the sample given twice; a weight may have an axis of 1."""
    case = cases(loss)[-1]
    weights = np.ones(len(case.y_pred), "float32")
    weights[0], weights[-1] = 2, 0
    built = case.build(reduction="mean_with_sample_weight")
    # Without the last sample, so that both batches have one shape, for which operations are compiled once.
    twice = (np.concatenate([x[:1], x[:-1]]) for x in (case.y_true, case.y_pred))
    found = value(built, case.y_true, case.y_pred, weights)
    # The logarithm of a ratio near 1 has its last digits from that.
    np.testing.assert_allclose(found, value(built, *twice), rtol=2e-6, atol=2e-6 * pools(case))
    assert value(built, case.y_true, case.y_pred, weights[:, None]) == found


@every_loss_or_path
def test_ignored_labels_remove_samples(loss):
    """ignore_class removes samples, or single outputs, NaN and all, and the mean is over those left."""
    for case in [case for case in plain(loss) if case.batch.known is not None][:2]:
        with about(case):
            batch = case.batch
            outputs = ~like(batch.counted, case.y_pred, batch.axis)
            if "multi-label" in batch.name:  # single outputs are ignored
                outputs = case.y_true == losses.inside(case.build()).ignore_class
            assert outputs.any()
            y_pred = np.where(outputs, np.float32(np.nan), case.y_pred)
            found, slope = value_and_gradient(case.build(reduction="none"), case.y_true, y_pred)
            np.testing.assert_allclose(found, np.where(batch.counted, single(case).values, 0), rtol=1e-6)
            np.testing.assert_allclose(
                slope, np.where(outputs, 0, single(case).gradient), rtol=1e-5, atol=1e-30
            )
            share = shares(case.build(), case.y_true, case.y_pred)
            found = value(case.build(), case.y_true, y_pred)
            exact = single(case).values[batch.counted].sum() / share[batch.counted].sum()
            np.testing.assert_allclose(found, exact, rtol=2e-6)


@every_loss
def test_nothing_left(loss):
    """With every weight 0, or everything masked, value and gradient are 0, whatever is in the batch."""
    case = first(loss)
    garbage = taken_out(case, np.full(case.batch.leading, True))
    nothing = {"sample_weight": np.zeros(len(case.y_pred), "float32")}
    for given, reduction in (
        (nothing, "mean_with_sample_weight"),
        ({"mask": np.full(case.batch.leading, False)}, "sum_over_batch_size"),
    ):
        found, slope = value_and_gradient(case.build(reduction=reduction), *garbage, **given)
        assert found == 0
        assert (slope == 0).all()


@every_loss_or_path
def test_empty_batch(loss):
    """An empty batch is worth a scalar 0, with every reduction to one number."""
    case = first(loss)
    for reduction, weights in (("sum", None), ("mean_with_sample_weight", np.ones(0, "float32"))):
        built = case.build(reduction=reduction)
        found, slope = value_and_gradient(built, case.y_true[:0], case.y_pred[:0], weights)
        assert found.shape == ()
        assert found == 0
        assert slope.shape == case.y_pred[:0].shape


@every_loss
def test_weights_of_another_length(loss):
    """Weights that are not one for each sample raise, and the message has their shape."""
    case = first(loss)
    for wrong in (np.ones(len(case.y_pred) + 1, "float32"), np.ones((1, len(case.y_pred)), "float32")):
        with pytest.raises(ValueError) as caught:
            case.build()(case.y_true, case.y_pred, wrong)
        assert "sample_weight" in str(caught.value)
        assert str(wrong.shape) in str(caught.value)


@every_loss_alone
def test_genuine_nan_stays_visible(loss):
    """NaN in the predictions of a sample that counts gives NaN, and no other sample has any."""
    case = first(loss)
    y_pred = case.y_pred.copy()
    y_pred[0] = np.nan
    found = value(case.build(reduction="none"), case.y_true, y_pred)
    assert np.isnan(found[0])
    assert np.isfinite(found[1:]).all()
    weights = np.ones(len(y_pred), "float32")
    weights[1] = 0
    assert np.isnan(value(case.build(), case.y_true, y_pred, weights))


@every_loss_alone
def test_samples_do_not_know_of_each_other(loss):
    """The order of samples, and what else is in the batch, change nothing."""
    alone = [case for case in cases(loss) if not pools(case)]
    case = alone[len(alone) // 2]
    order = np.roll(np.arange(len(case.y_pred)), 2)
    order[-1] = order[0]  # one sample is gone, another one is there twice
    found = value(case.build(reduction="none"), case.y_true[order], case.y_pred[order])
    np.testing.assert_allclose(found, single(case).values[order], rtol=1e-6, atol=1e-7)
