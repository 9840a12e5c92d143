"""The same numbers however a loss is run: eager, or compiled by tf.function, XLA or jax.jit.

That the backends agree with one another follows from each agreeing with the references (test_values.py).
"""

import functools

import numpy as np
import pytest

from tests import every_loss as losses
from tests import thorough
from tests.backends import BACKEND, COMPILED, compiled, unchecked, value, value_and_gradient
from tests.contract.cases import about, cases, changed, every_loss, first, plain, pools
from tests.kinds import kind_of
from tests.oracles import rounded_terms

pytestmark = pytest.mark.skipif(not COMPILED, reason="nothing is compiled on PyTorch")
FASTEST = COMPILED[-1] if COMPILED else ""


@functools.cache
def compiled_first(loss):
    """A loss with its defaults, compiled once for all that is asked of it."""
    case = first(loss)
    return case, compiled(case.build(reduction="none"), FASTEST)


def assert_is_eager(case, run, built):
    """Values and gradients are those of eager mode to 2e-6, of the terms too; a weight of 0 takes NaN out."""
    y_pred, weights = case.y_pred.copy(), np.linspace(0, 2, len(case.y_pred), dtype="float32")
    values, gradient = value_and_gradient(built, case.y_true, y_pred, weights)
    y_pred[0] = np.nan
    found, slope = run(case.y_true, y_pred, weights)
    assert (slope[0] == 0).all()
    of_samples = weights.reshape(-1, *[1] * (values.ndim - 1))
    limit = 1e-7 + 2e-6 * of_samples * rounded_terms(built, case.y_true, case.y_pred)
    assert (np.abs(found - values) <= limit).all(), (found, values)
    np.testing.assert_allclose(slope, gradient, rtol=2e-6, atol=2e-6 * np.abs(gradient).max())


@every_loss
def test_compiled_is_eager(loss):
    """Compiled by XLA, a loss gives the values and gradients of eager mode, and takes samples out as well."""
    case, run = compiled_first(loss)
    with about(case):
        assert_is_eager(case, run, case.build(reduction="none"))


@pytest.mark.parametrize("loss", losses.LOSSES)
def test_class_id_out_of_range_is_nan_where_it_cannot_raise(loss):
    """In a compiled step the loss of such a sample is NaN, and those of others are what they were."""
    case, run = compiled_first(loss)
    if not case.batch.name.startswith("sparse"):
        # One encoding is compiled for each loss: of those without class ids there is nothing to ask.
        return
    exact, _ = run(case.y_true, case.y_pred, np.ones(len(case.y_pred), "float32"))
    for wrong in (-1, case.batch.outputs, 10**6):
        y_true = case.y_true.copy()
        y_true[1] = wrong
        found, _ = run(y_true, case.y_pred, np.ones(len(case.y_pred), "float32"))
        assert np.isnan(found[1])
        if not pools(case):
            np.testing.assert_allclose(np.delete(found, 1), np.delete(exact, 1), rtol=1e-6)


@pytest.mark.skipif(BACKEND != "tensorflow", reason="a graph of any batch size is a facility of TensorFlow's")
@pytest.mark.parametrize("loss", losses.LOSSES if thorough.ASKED else losses.ONE_OF_EACH_PATH[::3])
def test_unknown_batch_size(loss):
    """A graph traced for batches of any size gives the values of eager mode."""
    import tensorflow as tf

    case = changed(loss)
    built = case.build()
    signature = [tf.TensorSpec((None, *x.shape[1:]), x.dtype) for x in (case.y_true, case.y_pred)]
    run = tf.function(lambda y, p: built(y, p), input_signature=signature, autograph=False)
    for size in (6, 4):
        exact = value(built, case.y_true[:size], case.y_pred[:size])
        np.testing.assert_allclose(run(case.y_true[:size], case.y_pred[:size]), exact, rtol=2e-6)


@pytest.mark.parametrize("kind", ["classes", "outputs", "distributions", "signs"])
def test_compiled_graphs_do_not_check_values(kind):
    """A compiled loss does not raise where eager mode does, and has its value without checks, often NaN."""
    loss = next(name for name in losses.LOSSES if kind_of(name).name == kind)
    case = next(
        case for case in plain(loss) if case.batch.y_pred.ndim == 2 and "logits" not in case.batch.name
    )
    built, y_true = case.build(), np.full(case.y_pred.shape, 0.7, "float32")
    with pytest.raises(ValueError):
        value(built, y_true + 1, case.y_pred)
    found, _ = compiled(built, COMPILED[-1])(y_true + 1, case.y_pred)  # TensorFlow's graphs alone mark less
    with unchecked():
        np.testing.assert_allclose(found, value(built, y_true + 1, case.y_pred), rtol=2e-6)


@pytest.mark.thorough
@pytest.mark.parametrize("mode", COMPILED)
@every_loss
def test_every_case_compiled_is_eager(loss, mode):
    """tf.function, XLA and jax.jit give eager mode's values, with every hyper-parameter and every batch."""
    for case in cases(loss):
        with about(case):
            built = case.build(reduction="none")
            assert_is_eager(case, compiled(built, mode), built)
