"""The building blocks: identities by hand, at the points where a naive formula fails."""

import math

import keras
import numpy as np
import pytest
from keras import ops

from keras_losses import CrossentropyLoss, numerics
from tests.backends import double_precision, value_and_gradient


def number(x):
    return float(ops.convert_to_numpy(x))


def tensor(*values):
    return ops.convert_to_tensor(np.array(values, "float32"))


@pytest.mark.parametrize(
    ("logits", "true", "expected"),
    [
        ([20.0, 0.0], 0, math.log1p(math.exp(-20))),
        ([20.0, 0.0], 1, 20 + math.log1p(math.exp(-20))),
        ([1e4, 0.0, -1e4], 2, 2e4),
        ([1e4, 0.0, -1e4], 0, 0.0),
        ([0.0, 0.0, 0.0, 0.0], 3, math.log(4)),
        ([5.0, 5.0, -np.inf], 1, math.log(2)),
        ([-np.inf, 5.0, -np.inf], 1, 0.0),
    ],
)
def test_crossentropy_of_one_class(logits, true, expected):
    sparse = numerics.sparse_crossentropy(ops.convert_to_tensor([true]), tensor(logits))
    dense = numerics.dense_crossentropy(tensor(logits))
    for crossentropy, place in ((sparse, 0), (dense, (0, true))):
        assert number(crossentropy.value[place]) == pytest.approx(expected, rel=2e-6)
        assert number(crossentropy.complement[place]) == pytest.approx(-math.expm1(-expected), rel=2e-6)


@pytest.mark.parametrize(
    "logits", [[20.0, 0.0], [1e4, 0.0, -1e4], [0.0, 0.0, 0.0, 0.0], [3.0, 3.0], [88.0, 87.0]]
)
def test_log_odds_of_one_class(logits):
    """z_t - logsumexp of the others: of one class, and of all."""
    dense = numerics.dense_log_odds(tensor(logits))
    for true, own in enumerate(logits):
        others = np.delete(logits, true)
        exact = own - others.max() - math.log(np.exp(others - others.max()).sum())
        sparse = numerics.sparse_log_odds(ops.convert_to_tensor([true]), tensor(logits))
        for found in (sparse[0], dense[0, true]):
            assert number(found) == pytest.approx(exact, rel=2e-6, abs=2e-7)


def test_the_only_class_that_a_mask_leaves_has_no_gradient():
    """Where all others are -inf: p_t = 1, and not NaN."""
    logits = np.array([[-np.inf, 5.0, -np.inf]], "float32")
    value, gradient = value_and_gradient(CrossentropyLoss(from_logits=True), np.array([1]), logits)
    assert value == 0
    np.testing.assert_array_equal(gradient, [[0, 0, 0]])


@pytest.mark.parametrize("x", [0.0, 1e-30, 6e-8, 1e-3, 0.5, 1.0])
def test_log1p(x):
    assert number(numerics.log1p(tensor(x))[0]) == pytest.approx(math.log1p(x), rel=4e-7)


@pytest.mark.parametrize("logit", [-1e4, -20.0, -1e-3, 0.0, 3.0, 20.0, 1e4])
def test_crossentropy_of_one_output(logit):
    """log(1 + e^-z) and 1 / (1 + e^z), and the same of -z."""
    for crossentropy, z in zip(numerics.binary_crossentropy(tensor(logit)), (logit, -logit), strict=True):
        expected = max(-z, 0.0) + math.log1p(math.exp(-abs(z)))
        assert number(crossentropy.value[0]) == pytest.approx(expected, rel=2e-6)
        assert number(crossentropy.complement[0]) == pytest.approx(-math.expm1(-expected), rel=2e-6)


@pytest.mark.parametrize(
    ("dtype", "smallest"), [("float16", 2.0**-24), ("bfloat16", 2.0**-126), ("float32", 2.0**-126)]
)
def test_zero_stands_for_the_smallest_number_of_its_dtype(dtype, smallest):
    values = numerics.negative_log(tensor(0.0, 0.5, 1.0), dtype)
    expected = [-math.log(smallest), math.log(2), 0.0]
    np.testing.assert_allclose(ops.convert_to_numpy(values), expected, rtol=2e-6)


@pytest.mark.parametrize(
    ("dtype", "gap"), [("float16", 2.0**-11), ("bfloat16", 2.0**-8), ("float32", 2.0**-24)]
)
def test_one_stands_for_the_largest_number_below_it(dtype, gap):
    values = numerics.negative_log_complement(tensor(1.0, 0.5, 1e-20), dtype)
    np.testing.assert_allclose(ops.convert_to_numpy(values), [-math.log(gap), math.log(2), 1e-20], rtol=2e-6)


@pytest.mark.parametrize(
    ("dtype", "smallest", "steepest", "gap"),
    [
        ("float16", 2.0**-24, 2.0**14, 2.0**-11),
        ("bfloat16", 2.0**-126, 2.0**63, 2.0**-8),
        ("float32", 2.0**-126, 2.0**63, 2.0**-24),
        ("float64", 2.0**-1022, 2.0**511, 2.0**-53),
    ],
)
def test_in_float64_0_and_1_are_those_of_the_dtype_that_came(dtype, smallest, steepest, gap):
    """Their values and their gradients, which float32 would hide where it reaches less far itself."""
    with double_precision():
        for function, x, expected, slope in (
            (numerics.negative_log, 0.0, -math.log(smallest), -steepest),
            (numerics.negative_log_complement, 1.0, -math.log(gap), 1 / gap),
        ):
            found, gradient = value_and_gradient(lambda _, p, __, f=function: f(p, dtype), 0, np.array([x]))
            np.testing.assert_allclose(found, [expected], rtol=1e-14)
            np.testing.assert_allclose(gradient, [slope], rtol=1e-14)


@pytest.mark.parametrize("exponent", [0.0, 0.5, 1.0, 1.5, 2.0, 3.0])
def test_power(exponent):
    values = numerics.power(tensor(0.0, 4.0), exponent)
    np.testing.assert_allclose(ops.convert_to_numpy(values), [0.0**exponent, 4.0**exponent], rtol=2e-6)
    assert exponent == 0 or np.isnan(number(numerics.power(tensor(np.nan), exponent)[0]))


def test_x_log_x():
    values = numerics.x_log_x(tensor(0.0, 1.0, 2.0, np.nan))
    np.testing.assert_allclose(ops.convert_to_numpy(values), [0.0, 0.0, 2 * math.log(2), np.nan], rtol=2e-6)


def test_computing_takes_at_least_float32():
    dtypes = [numerics.compute_dtype(dtype) for dtype in ("float16", "bfloat16", "float32", "float64")]
    assert dtypes == ["float32", "float32", "float32", "float64"]


def test_kept_logits_are_those_of_the_activation_asked_for():
    logits = ops.convert_to_tensor(np.array([[1.0, 2.0, 3.0]], "float32"))
    for name in ("softmax", "sigmoid"):
        probabilities = getattr(keras.activations, name)(logits)
        other = "sigmoid" if name == "softmax" else "softmax"
        assert numerics.kept_logits(probabilities, other) is None
        assert numerics.kept_logits(probabilities, name) is logits


def test_nan_beside_them_does_not_lose_the_kept_logits():
    """The other samples of the batch keep their digits."""
    logits = ops.convert_to_tensor(np.array([[200.0, -200.0], [np.nan, 0.0]], "float32"))
    assert numerics.kept_logits(keras.activations.softmax(logits), "softmax") is logits
