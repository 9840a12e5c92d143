"""The laws on data that nobody thought of: forms, dtypes, weights and hyper-parameters drawn by Hypothesis.

On one loss for each path through the base; `pytest --thorough` draws for every loss, at length, and others
every time.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import thorough
from tests.backends import double_precision, value, value_and_gradient
from tests.contract import drawing
from tests.contract.cases import REDUCTIONS, bound, computes_in_float64, divisor, like, pools, spread
from tests.every_loss import LOSSES, ONE_OF_EACH_PATH, build, required
from tests.kinds import kind_of
from tests.models import arguments
from tests.oracles import expected

drawn_losses = pytest.mark.parametrize(
    "loss", LOSSES if thorough.ASKED else thorough.few(ONE_OF_EACH_PATH, 5)
)
# Powers of two change no digits, so that what cancels in a gradient is rounded the same with them.
WEIGHTS = st.sampled_from([0.0, 0.25, 1.0, 4.0])


@drawn_losses
@given(data=st.data())
def test_value_weights_and_reduction(loss, data):
    """The values are the oracle's; samples taken out leave no trace; the reduction is NumPy's."""
    case = data.draw(drawing.cases(loss), label="case")
    batch, leading = case.batch, case.batch.leading
    y_true, y_pred = (
        x.astype("float64") if x.dtype.kind in "fV" else x for x in (batch.y_true, batch.y_pred)
    )
    dtype = data.draw(st.sampled_from(["float32", "float64"]), label="dtype")
    dtype = dtype if computes_in_float64(case) else "float32"
    with double_precision():
        values = value(case.build(reduction="none", dtype=dtype), batch.y_true, batch.y_pred)
    assert values.dtype == dtype
    assert values.shape == leading
    rounded = y_pred.astype(dtype).astype("float64")
    exact = expected(case.build(), y_true, rounded)
    limit = bound(case.build(), y_true, rounded, exact, values, batch.axis)
    assert (np.abs(values - exact) <= limit).all(), (values, exact)

    weights = data.draw(drawing.for_samples(leading, WEIGHTS), label="weights").astype("float32")
    mask = data.draw(drawing.for_samples(leading, st.booleans()), label="mask").astype(bool)
    reduction = data.draw(st.sampled_from(REDUCTIONS), label="reduction")
    w, kept = spread(weights, leading), spread(mask, leading)
    gone, counted = (w == 0) | ~kept, kept & batch.counted
    bad_pred, bad_true = batch.y_pred.copy(), batch.y_true.copy()
    bad_pred[like(gone, bad_pred, batch.axis)] = np.nan
    # Another label would count where an ignored one does not, and of NaN no class is the largest.
    if batch.known is None and bad_true.dtype != "bool":
        bad = np.nan if bad_true.dtype.kind == "f" else np.iinfo(bad_true.dtype).max - 1
        bad_true[like(gone, bad_true, batch.axis)] = bad
    built = case.build(reduction=reduction)
    clean, gradient = value_and_gradient(built, batch.y_true, batch.y_pred, weights, mask)
    found, slope = value_and_gradient(built, bad_true, bad_pred, weights, mask)
    np.testing.assert_array_equal(found, clean)
    np.testing.assert_array_equal(slope, gradient)
    assert (slope[like(gone, slope, batch.axis)] == 0).all()

    values = value(case.build(reduction="none"), batch.y_true, batch.y_pred).astype("float64")
    weighted = np.where(gone | ~counted, 0, values * w)
    if pools(case):  # samples change each other's values
        weighted = value(case.build(reduction="none"), batch.y_true, batch.y_pred, weights, mask)
    whole = divisor(case, w, mask, reduction)
    exact = weighted if reduction == "none" else weighted.sum() / whole
    np.testing.assert_allclose(found, exact, rtol=2e-6, atol=2e-6 * np.abs(weighted).sum() / whole)


@drawn_losses
@given(data=st.data())
def test_saved_and_loaded(loss, data):
    """A loss with any hyper-parameters comes back with all of them."""
    import keras

    case = data.draw(drawing.cases(loss, wild=True), label="case")
    common = {
        "reduction": data.draw(st.sampled_from([None, *REDUCTIONS]), label="reduction"),
        "dtype": data.draw(st.sampled_from([None, "float32", "float16", "float64"]), label="dtype"),
        "name": data.draw(st.none() | st.text("aä_/ 1", min_size=1), label="name"),
    }
    made = case.build(**common)
    again = keras.losses.deserialize(keras.losses.serialize(made))
    assert arguments(again) == arguments(made)
    assert again.get_config() == made.get_config()


RANGED = [
    (name, key)
    for name, loss in LOSSES.items()
    for key, parameter in loss.hyperparameters.items()
    if parameter.within or parameter.choices
]


@pytest.mark.parametrize(("loss", "key"), RANGED if thorough.ASKED else RANGED[::8])
@given(data=st.data())
def test_hyper_parameters_out_of_range(loss, key, data):
    """What a hyper-parameter does not take raises, and the message has its name and the value."""
    wrong = data.draw(drawing.refused(LOSSES[loss].hyperparameters[key]), label=key)
    with pytest.raises((ValueError, TypeError)) as caught:
        build(loss, {**required(loss), key: wrong})
    assert f"`{loss}`: `{key}`" in str(caught.value)
    assert f"Received: {key}={wrong!r}" in str(caught.value)


@drawn_losses
@settings(max_examples=settings.default.max_examples * 2)
@given(data=st.data())
def test_wrong_shapes(loss, data):
    """Labels, weights or a mask of another shape raise and never give a number."""
    case = data.draw(drawing.cases(loss, dtypes=("float32",)), label="case")
    batch, built, leading = case.batch, case.build(), case.batch.leading
    if kind_of(loss).of_images:  # pixels and boxes may have weights, too
        leading = tuple(np.delete(batch.y_pred.shape, batch.axis))
    what = data.draw(st.sampled_from(["y_true", "sample_weight", "mask"]), label="what")
    given_ = {"y_true": batch.y_true, "y_pred": batch.y_pred}
    right = given_.get(what, np.ones(leading))

    def fits(shape):
        if what == "y_true":
            return shape in batch.fitting
        while len(shape) > len(leading) and shape[-1] == 1:
            shape = shape[:-1]
        axes = zip(shape, leading, strict=False)
        return len(shape) <= len(leading) and all(m == n or (m == 1 and i) for i, (m, n) in enumerate(axes))

    wrong = data.draw(drawing.other_shapes(right.shape, fits), label="shape")
    given_[what] = np.zeros(wrong, {"mask": "bool", "sample_weight": "float32"}.get(what, right.dtype))
    with pytest.raises(ValueError, match=r"shape|scalar") as caught:
        value(built, **given_)
    assert what in str(caught.value)
