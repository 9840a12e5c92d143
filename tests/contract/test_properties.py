"""The laws on data that nobody thought of: shapes, dtypes, weights and hyper-parameters drawn by Hypothesis.

`pytest --hypothesis-profile=long` draws more of them, and others every time.
"""

import copy
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import keras_losses
from tests.backends import BACKEND, double_precision, value, value_and_gradient
from tests.contract import samples, strategies
from tests.contract.strategies import FLOATS, INTEGERS, Wish, cases, for_samples, same
from tests.contract.test_extremes import told
from tests.contract.test_round_trips import WAYS, arguments
from tests.oracles import REGISTRY, differentiated, expected, rounded_terms, shares

pytestmark = pytest.mark.of_the_base

every_loss = pytest.mark.parametrize("name", samples.LOSSES)
every_loss_alone = pytest.mark.parametrize("name", samples.ALONE)
REDUCTIONS = ("sum", "sum_over_batch_size", "mean", "mean_with_sample_weight", "none")
# Powers of two change no digits, so that what cancels in a gradient is rounded the same with them.
WEIGHTS = st.sampled_from([0.0, 0.25, 1.0, 4.0])
SINGLE = Wish(dtypes=("float32",))
ALONE = Wish(alone=True)
HARD = Wish(encodings=("sparse", "column", "one-hot"))
SPARSE = Wish(encodings=("sparse", "column"), exclusive=True)


def of(case, y_true=None, y_pred=None, **given):
    """The value of each sample."""
    batch = case.batch
    return value(
        case.build(reduction="none"),
        batch.y_true if y_true is None else y_true,
        batch.y_pred if y_pred is None else y_pred,
        **given,
    )


def drawn_weights(data, case):
    return data.draw(for_samples(case.batch.leading, WEIGHTS), label="weights").astype("float32")


def drawn_mask(data, case):
    return data.draw(for_samples(case.batch.leading, st.booleans()), label="mask").astype(bool)


def spread(x, leading):
    """Weights or a mask, one for each loss."""
    x = x[:, 0] if len(leading) == 1 and x.ndim == 2 else x
    return np.broadcast_to(x.reshape(*x.shape, *[1] * (len(leading) - x.ndim)), leading)


def like(x, y, axis):
    """What there is for each loss, with the axis of the classes where labels or predictions have one."""
    return x.reshape(y.shape) if x.size == y.size else np.broadcast_to(np.expand_dims(x, axis), y.shape)


# The value ------------------------------------------------------------------------------------------

ULPS = 16 * 2.0**-24


def exact_and_bound(case, dtype="float32"):
    """The oracle's values, and how far from them a formula may be that is computed in `dtype`.

    In float32 that is 2e-6 of its terms, and what it changes by where a prediction, a soft label or a
    hyper-parameter is off by 16 units in the last place; in float64 it is 1e-12 where that is 2e-6.
    """
    loss, axis = case.build(), case.batch.axis
    y_true, y_pred = (
        x.astype(dtype).astype("float64") if x.dtype.kind in "fV" else x
        for x in (case.batch.y_true, case.batch.y_pred)
    )
    exact = expected(loss, y_true, y_pred)
    moved = [expected(other, y_true, y_pred) for other in moved_losses(loss)]
    kind = REGISTRY.get(type(samples.inside(loss)).__name__)
    if kind and kind.takes != "numbers":  # the residual is exact
        moved += [expected(loss, y_true, x) for x in moved_outputs(y_pred, axis, ULPS * y_pred)]
        if y_true.shape == y_pred.shape and y_true.dtype.kind == "f":
            moved += [expected(loss, y, y_pred) for y in moved_outputs(y_true, axis, ULPS * y_true)]
    terms = rounded_terms(loss, y_true, y_pred)
    bound = 2e-6 * terms + sum(np.abs(other - exact) for other in moved) + 1e-36
    return exact, bound if dtype == "float32" else bound * (1e-12 / 2e-6)


def moved_outputs(x, axis, by):
    """The array with one output at a time moved."""
    for output in np.eye(x.shape[axis]) if x.ndim > 1 else [np.ones(1)]:
        where = output if x.ndim == 1 else np.moveaxis(output.reshape(*[1] * (x.ndim - 1), -1), -1, axis)
        yield x + by * where


def moved_losses(loss):
    """The loss with one hyper-parameter at a time moved by some units in the last place."""
    for key in type(loss).hyperparameters:
        kept = getattr(loss, key)
        if isinstance(kept, float) and kept:
            values = [kept * (1 + ULPS)]
        else:
            values = moved_losses(kept) if isinstance(kept, keras_losses.Loss) else []
        for moved in values:
            other = copy.copy(loss)
            setattr(other, key, moved)
            yield other


def assert_near(found, exact, bound, case):
    error = np.abs(found - exact)
    assert found.shape == exact.shape
    assert (error <= bound).all(), f"{case!r}\n{found=}\n{exact=}\n{error=}\n{bound=}"


@every_loss
@given(data=st.data())
def test_value_is_that_of_the_oracle(name, data):
    """The values are the reference's, in float32 and in float64."""
    case = data.draw(cases(name), label="case")
    dtype = data.draw(st.sampled_from(["float32", "float64"]), label="dtype")
    if BACKEND != "tensorflow" and not isinstance(samples.inside(case.build()), keras_losses.Loss):
        dtype = "float32"  # a mean of Keras's own has no more digits on JAX and PyTorch
    exact, bound = exact_and_bound(case, dtype)
    with double_precision():
        loss = case.build(reduction="none", dtype=dtype)
        found = value(loss, case.batch.y_true, case.batch.y_pred)
    assert found.dtype == dtype
    assert found.shape == case.batch.leading
    assert_near(found, exact, bound, case)


def representable(case):
    """Where float32 can hold the exact value, and the predictions' dtype the exact gradient.

    Of 0 and 1, and of a target of 0, those of the numbers for which they stand.
    """
    loss, batch, dtype = case.build(), case.batch, str(case.batch.y_pred.dtype)
    inner = samples.inside(loss)
    y_true, x, step = batch.y_true, batch.y_pred.astype("float32").astype("float64"), 1e-2
    if getattr(inner, "from_logits", True) is False:
        x = told(x, dtype)
        step = 1e-3 * x
    oracle = REGISTRY.get(type(inner).__name__)  # of a plain function there is none
    if oracle and oracle.takes in samples.BESIDE_INFINITY:
        y_true = np.maximum(y_true, 2.0**-126)
    with np.errstate(all="ignore"):
        values = differentiated(loss, y_true, x)
        exact = values(x)
        moved = [values(other) for other in moved_outputs(x, batch.axis, -step)]
        # Of what differences lose to rounding nothing is known.
        slopes = [(np.abs(other - exact) + 1e-14 * np.abs(exact)) for other in moved]
    slopes = np.stack(slopes, batch.axis).reshape(x.shape) / step
    with_value = np.abs(exact) < 1e37
    with_gradient = slopes < (3e4 if dtype == "float16" else 1e37)
    return with_value, with_gradient & like(with_value, x, batch.axis)


@every_loss
@given(data=st.data())
def test_finite_at_the_extremes(name, data):
    """Value and gradient are finite wherever the exact ones can be represented."""
    case = data.draw(cases(name, Wish(extreme=True)), label="case")
    batch = case.batch
    values, gradient = value_and_gradient(case.build(reduction="none"), batch.y_true, batch.y_pred)
    with_value, with_gradient = representable(case)
    assert np.isfinite(values[with_value]).all(), values
    assert np.isfinite(gradient[with_gradient]).all(), (gradient, with_gradient)


# Weights, masks and reductions ----------------------------------------------------------------------


@every_loss_alone
@given(data=st.data())
def test_linear_in_weights(name, data):
    """A weight multiplies its sample's value and gradient."""
    case = data.draw(cases(name, replace(SINGLE, alone=True)), label="case")
    loss, batch = case.build(reduction="none"), case.batch
    weights = drawn_weights(data, case)
    values, gradient = value_and_gradient(loss, batch.y_true, batch.y_pred)
    found, slope = value_and_gradient(loss, batch.y_true, batch.y_pred, weights)
    weights = spread(weights, batch.leading)
    np.testing.assert_allclose(found, weights * values, rtol=1e-6)
    exact = like(weights, gradient, batch.axis) * gradient
    np.testing.assert_allclose(slope, exact, rtol=1e-6, atol=1e-30)


@every_loss
@given(data=st.data())
def test_samples_taken_out_leave_no_trace(name, data):
    """NaN and labels that there are not change nothing where the weight is 0 or the mask is False."""
    case = data.draw(cases(name), label="case")
    batch, loss = case.batch, case.build(reduction=data.draw(st.sampled_from(REDUCTIONS), label="reduction"))
    given = {
        "sample_weight": data.draw(st.none() | st.just("some"), label="weighted")
        and drawn_weights(data, case),
        "mask": data.draw(st.none() | st.just("some"), label="masked") and drawn_mask(data, case),
    }
    gone = np.full(batch.leading, False)
    for x in given.values():
        gone |= False if x is None else spread(x, batch.leading) == 0
    y_pred = batch.y_pred.copy()
    y_pred[like(gone, y_pred, batch.axis)] = np.nan
    y_true = batch.y_true
    # Another label would count where an ignored one does not, and of NaN no class is the largest.
    if getattr(samples.inside(loss), "ignore_class", None) is None and y_true.dtype != "bool":
        bad = np.nan if y_true.dtype.kind == "f" else np.iinfo(y_true.dtype).max - 1
        y_true = np.where(like(gone, y_true, batch.axis), bad, y_true).astype(y_true.dtype)
    values, gradient = value_and_gradient(loss, batch.y_true, batch.y_pred, **given)
    found, slope = value_and_gradient(loss, y_true, y_pred, **given)
    assert np.isfinite(values).all()
    np.testing.assert_array_equal(found, values)
    np.testing.assert_array_equal(slope, gradient)
    assert (slope[like(gone, slope, batch.axis)] == 0).all()


@every_loss
@given(data=st.data())
def test_reductions_are_numpys(name, data):
    """Every reduction is NumPy's of the values, the weights, and what is neither masked nor ignored."""
    case = data.draw(cases(name, replace(HARD, empty=True)), label="case")
    batch = case.batch
    values, weights, mask = of(case), drawn_weights(data, case), drawn_mask(data, case)
    reduction = data.draw(st.sampled_from(REDUCTIONS), label="reduction")
    w, counted = spread(weights, batch.leading), spread(mask, batch.leading) & batch.known
    share = shares(case.build(), batch.y_true, batch.y_pred)
    weighted = (values.astype("float64") * w)[counted]
    if samples.pools(case):  # they change each other's values
        weighted = of(case, sample_weight=weights, mask=mask).astype("float64")[counted]
    # A sample of weight 0 has no label any more.
    count = (w * share if reduction == "mean_with_sample_weight" else np.where(w == 0, 1, share))[
        counted
    ].sum()
    found = value(case.build(reduction=reduction), batch.y_true, batch.y_pred, weights, mask)
    if reduction == "none":
        exact = np.zeros(batch.leading)
        exact[counted] = weighted
        np.testing.assert_allclose(found, exact, rtol=1e-6)
        return
    divisor = 1 if reduction == "sum" else count or 1
    assert found.shape == ()
    np.testing.assert_allclose(
        found, weighted.sum() / divisor, rtol=2e-6, atol=2e-6 * np.abs(weighted).sum() / divisor
    )


# Samples by themselves ------------------------------------------------------------------------------


@every_loss
@given(data=st.data())
def test_order_of_samples(name, data):
    """The values of samples in another order are the values in that order."""
    case = data.draw(cases(name), label="case")
    order = data.draw(st.permutations(range(len(case.batch.y_pred))), label="order")
    _, bound = exact_and_bound(case)
    found = of(case, case.batch.y_true[order], case.batch.y_pred[order])
    assert_near(found, of(case)[order], bound[order], case)


@every_loss_alone
@given(data=st.data())
def test_a_batch_is_its_halves(name, data):
    """The values of a batch are those of its halves, one after the other."""
    case = data.draw(cases(name, ALONE), label="case")
    y_true, y_pred = case.batch.y_true, case.batch.y_pred
    half = len(y_pred) // 2
    _, bound = exact_and_bound(case)
    found = np.concatenate([of(case, y_true[part], y_pred[part]) for part in (np.s_[:half], np.s_[half:])])
    assert_near(found, of(case), bound, case)


# Labels ---------------------------------------------------------------------------------------------

OF_CLASSES = (*samples.OVER_CLASSES, *samples.ORDINAL)
OVER_CLASSES = [name for name in samples.LOSSES if REGISTRY[name].takes in OF_CLASSES]


@pytest.mark.parametrize("name", OVER_CLASSES)
@given(data=st.data())
def test_ids_are_their_one_hot_rows(name, data):
    """Class ids and their one-hot rows have the same values."""
    case = data.draw(cases(name, SPARSE), label="case")
    batch = case.batch
    ids = batch.y_true.reshape(batch.leading).astype("int64")
    hot = np.eye(batch.outputs)[np.where(batch.known, ids, 0)]
    hot = np.moveaxis(hot, -1, batch.axis).astype(data.draw(st.sampled_from([*FLOATS, "int32"])))
    _, bound = exact_and_bound(case)
    # What is ignored has no row; it is taken out by its weight.
    found, exact = of(case, hot, sample_weight=batch.known.astype("float32")), of(case)
    assert_near(found, exact, 2 * bound, case)


@every_loss
@given(data=st.data())
def test_dtypes_of_labels(name, data):
    """The same labels in any dtype that can hold them have the same values, bit for bit."""
    case = data.draw(cases(name, HARD), label="case")
    y_true, exact = case.batch.y_true, of(case)
    for dtype in data.draw(st.permutations([*INTEGERS, *FLOATS, "bool"]), label="dtypes")[:3]:
        if same(y_true, dtype):
            np.testing.assert_array_equal(of(case, y_true.astype(dtype)), exact, err_msg=dtype)


# Configs --------------------------------------------------------------------------------------------


@every_loss
@given(data=st.data())
def test_saved_and_loaded(name, data):
    """A loss with any hyper-parameters comes back with all of them, and with the same values."""
    case = data.draw(cases(name, wild=True), label="case")
    common = {
        "reduction": data.draw(st.sampled_from([None, *REDUCTIONS]), label="reduction"),
        "dtype": data.draw(st.sampled_from([None, "float32", "float16", "float64"]), label="dtype"),
        "name": data.draw(st.none() | st.text("aä_/ 1", min_size=1), label="name"),
    }
    loss = case.build(**common)
    again = WAYS[data.draw(st.sampled_from(["get_config", "through JSON"]), label="way")](loss)
    assert arguments(again) == arguments(loss)
    assert again.get_config() == loss.get_config()
    y_true, y_pred = case.batch.y_true, case.batch.y_pred
    np.testing.assert_array_equal(value(again, y_true, y_pred), value(loss, y_true, y_pred))


# What is refused ------------------------------------------------------------------------------------

RANGED = [
    (name, key)
    for name, loss in samples.LOSSES.items()
    for key, parameter in loss.hyperparameters.items()
    if parameter.within or parameter.choices
]


@pytest.mark.parametrize(("name", "key"), RANGED)
@given(data=st.data())
def test_hyper_parameters_out_of_range(name, key, data):
    """What a hyper-parameter does not take raises, and the message has its name and the value."""
    wrong = data.draw(strategies.refused(samples.LOSSES[name].hyperparameters[key]), label=key)
    with pytest.raises((ValueError, TypeError)) as caught:
        samples.build(name, {**samples.required(name), key: wrong})
    assert f"{name}: `{key}`" in str(caught.value)
    assert f"Received: {key}={wrong!r}" in str(caught.value)


@every_loss
@given(data=st.data())
def test_wrong_shapes(name, data):
    """Labels, weights or a mask of another shape raise and never give a number."""
    case = data.draw(cases(name, SINGLE), label="case")
    batch, loss, leading = case.batch, case.build(), case.batch.leading
    what = data.draw(st.sampled_from(["y_true", "sample_weight", "mask"]), label="what")
    arguments = {"y_true": batch.y_true, "y_pred": batch.y_pred}
    right = arguments.get(what, np.ones(leading))

    def fits(shape):
        if what == "y_true":
            return shape in batch.fitting
        while len(shape) > len(leading) and shape[-1] == 1:
            shape = shape[:-1]
        axes = zip(shape, leading, strict=False)
        return len(shape) <= len(leading) and all(m == n or (m == 1 and i) for i, (m, n) in enumerate(axes))

    wrong = data.draw(strategies.other_shapes(right.shape, fits), label="shape")
    arguments[what] = np.zeros(wrong, {"mask": "bool", "sample_weight": "float32"}.get(what, right.dtype))
    with pytest.raises(ValueError, match=r"shape|scalar") as caught:
        value(loss, **arguments)
    assert what in str(caught.value)


def test_every_kind_of_data_is_drawn():
    """No kind of data is without a strategy."""
    assert set(strategies.KINDS) == set(samples.KINDS)
