"""The building blocks: identities by hand, at the points where a naive formula fails."""

import functools
import math

import keras
import numpy as np
import pytest
from keras import ops
from scipy import special

from keras_losses import CrossentropyLoss, numerics
from keras_losses.numerics import arrays, derivatives, gamma
from keras_losses.numerics import classes as classes_of
from tests.backends import COMPILED, MODES, compiled, double_precision, second_derivative, value_and_gradient
from tests.backends import numpy as to_array
from tests.backends import tensor as tensor_of


def number(x):
    return float(ops.convert_to_numpy(x))


def tensor(*values):
    return ops.convert_to_tensor(np.array(values, "float32"))


CLASS_LOGITS = np.array(
    [
        [20.0, 0.0, -np.inf],
        [20.0, 0.0, -np.inf],
        [1e4, 0.0, -1e4],
        [1e4, 0.0, -1e4],
        [0.0, 0.0, 0.0],
        [5.0, 5.0, -np.inf],
        [-np.inf, 5.0, -np.inf],
    ],
    "float32",
)
IDS = np.array([0, 1, 2, 0, 2, 1, 1], "int32")


def test_crossentropy_of_one_class():
    """-log p_t and 1 - p_t by hand, from class ids and for all classes."""
    certain = math.log1p(math.exp(-20))
    exact = [certain, 20 + certain, 2e4, 0.0, math.log(3), math.log(2), 0.0]
    sparse = numerics.sparse_crossentropy(ops.convert_to_tensor(IDS), tensor_of(CLASS_LOGITS))
    dense, rows = numerics.dense_crossentropy(tensor_of(CLASS_LOGITS)), np.arange(len(IDS))
    for crossentropy, place in ((sparse, slice(None)), (dense, (rows, IDS))):
        np.testing.assert_allclose(to_array(crossentropy.value)[place], exact, rtol=2e-6)
        found = to_array(crossentropy.complement)[place]
        np.testing.assert_allclose(found, -np.expm1(np.negative(exact)), rtol=2e-6)


def test_log_odds_of_one_class():
    """z_t - logsumexp of the others: of one class, and of all."""
    logits = np.array(
        [[20.0, 0.0, -3.0], [1e4, 0.0, -1e4], [0.0, 0.0, 0.0], [3.0, 3.0, -np.inf], [88.0, 87.0, -np.inf]]
    )
    dense = to_array(numerics.dense_log_odds(tensor_of(logits.astype("float32"))))
    for true in range(3):
        ids = ops.convert_to_tensor(np.full(len(logits), true, "int32"))
        sparse = to_array(numerics.sparse_log_odds(ids, tensor_of(logits.astype("float32"))))
        exact = logits[:, true] - special.logsumexp(np.delete(logits, true, axis=1), axis=1)
        for found in (sparse, dense[:, true]):
            np.testing.assert_allclose(found, exact, rtol=2e-6, atol=2e-7)


@pytest.fixture(params=["few", "many"])
def classes(request, monkeypatch):
    """Five classes, on both sides of where another way to the label's place is faster: from 64 classes on.

    The number is set rather than the classes are many, because a matrix of second derivatives takes time
    that grows with their square.
    """
    if request.param == "many":
        monkeypatch.setattr(classes_of, "_FEW_CLASSES", 2)
    return 5


def plain(logits, weights):
    """Of -sum_j w_j log softmax(z)_j in float64: the values, gradients and matrices of second derivatives."""
    e = np.exp(logits - logits.max(-1, keepdims=True))
    p, total = e / e.sum(-1, keepdims=True), weights.sum(-1, keepdims=True)
    matrices = np.einsum("ni,ij->nij", p, np.eye(p.shape[-1])) - np.einsum("ni,nj->nij", p, p)
    return -(weights * np.log(p)).sum(-1), total * p - weights, total[..., None] * matrices


def drawn(classes):
    """Logits, ids and soft labels of four samples; the first is nearly certain of its class."""
    r = np.random.default_rng(0)
    logits, ids = 2.0 * r.normal(size=(4, classes)), r.integers(classes, size=4).astype("int32")
    logits[0, ids[0]] = 9.0
    return logits, ids, r.dirichlet(np.ones(classes), size=4)


def of_ids(ids, logits, _=None):
    return numerics.sparse_crossentropy(ids, logits).value


def of_shares(shares, logits, _=None):
    return numerics.expected_crossentropy(shares, logits)


def squared(function, *given):
    return ops.square(function(*given))


def test_gradients_beside_the_value_are_those_of_the_plain_formula(classes):
    """To 1e-12 in float64, second derivatives included, of class ids and of soft labels."""
    logits, ids, shares = drawn(classes)
    with double_precision():
        for found, labels, weights in ((of_ids, ids, np.eye(classes)[ids]), (of_shares, shares, shares)):
            values, gradients, matrices = plain(logits, weights)
            value, gradient = value_and_gradient(found, labels, logits)
            np.testing.assert_allclose(value, values, rtol=1e-12)
            np.testing.assert_allclose(gradient, gradients, rtol=1e-10, atol=1e-14)
            # Along each output of all samples at once, which is a column of each sample's matrix.
            columns = [np.broadcast_to(column, logits.shape) for column in np.eye(classes)]
            second = np.stack([second_derivative(found, labels, logits, x) for x in columns], -1)
            np.testing.assert_allclose(second, matrices, atol=1e-14)
            # Of f^2 it is 2 (f f'' + f' f'), in which the value is differentiated as well.
            square = functools.partial(squared, found)
            squares = np.stack([second_derivative(square, labels, logits, x) for x in columns], -1)
            outer = np.einsum("ni,nj->nij", gradients, gradients)
            np.testing.assert_allclose(squares, 2 * (values[:, None, None] * matrices + outer), atol=1e-13)


def test_log_odds_have_the_gradient_of_the_crossentropy_over_that_of_the_other_classes(classes):
    """log p - log(1 - p) of the class has the derivative of log p, over 1 - p."""
    logits, ids, _ = drawn(classes)
    values, gradients, _ = plain(logits, np.eye(classes)[ids])
    rest = -np.expm1(-values)
    with double_precision():
        value, gradient = value_and_gradient(
            lambda ids, logits, _: numerics.sparse_log_odds(ids, logits), ids, logits
        )
    np.testing.assert_allclose(value, -values - np.log(rest), rtol=1e-11)
    np.testing.assert_allclose(gradient, -gradients / rest[:, None], rtol=1e-10, atol=1e-13)


def test_soft_labels_have_gradients_too():
    """d/dy_j is -log p_j; that of the slope along v, sum_k v_k (p_k sum_j y_j - y_k), sum_k v_k p_k - v_j."""
    logits, _, shares = drawn(5)
    minus_log = np.log(np.exp(logits).sum(-1, keepdims=True)) - logits
    along = np.arange(20.0).reshape(4, 5)
    with double_precision():
        z, v = tensor_of(logits), tensor_of(along)

        def slope(y):
            (_, [[gradient]]) = derivatives.values_and_gradients(lambda z: [ops.sum(of_shares(y, z))], [z])
            return [ops.sum(gradient * v)]

        _, gradient = value_and_gradient(lambda _, y, __: of_shares(y, z), shares, shares)
        _, [[mixed]] = derivatives.values_and_gradients(slope, [tensor_of(shares)])
    np.testing.assert_allclose(gradient, minus_log, rtol=1e-12, atol=1e-14)
    p = np.exp(-minus_log)
    np.testing.assert_allclose(
        to_array(mixed), (along * p).sum(-1, keepdims=True) - along, rtol=1e-10, atol=1e-13
    )


LOG = math.log


def kl_of_shares(z, y):
    return numerics.relative_entropy(y, z)


def kl_of_teacher(z, t):
    return numerics.relative_entropy_of_logits(t, z)


KL = 0.75 * LOG(1.5) + 0.25 * LOG(0.5)  # of (3/4, 1/4) from (1/2, 1/2)


@pytest.mark.parametrize(
    ("function", "other", "value", "in_z", "in_other"),
    [
        # y = (0.6, 0.8) does not add up to 1: sum y p - y = 1.4 / 2 - y, and log(y / p).
        (kl_of_shares, [0.6, 0.8], 0.6 * LOG(1.2) + 0.8 * LOG(1.6) - 0.4, [0.1, -0.1], [LOG(1.2), LOG(1.6)]),
        # p - t, and t (log(t / p) - KL).
        (kl_of_teacher, [LOG(3), 0.0], KL, [-0.25, 0.25], [0.75 * (LOG(1.5) - KL), 0.25 * (LOG(0.5) - KL)]),
    ],
)
def test_relative_entropy_has_a_gradient_on_both_sides(function, other, value, in_z, in_other):
    with double_precision():
        arrays = [tensor_of(np.array([x])) for x in ([0.0, 0.0], other)]
        [found], [slopes] = derivatives.values_and_gradients(lambda *x: [ops.sum(function(*x))], arrays)
    assert number(found) == pytest.approx(value, rel=1e-12)
    np.testing.assert_allclose(to_array(slopes[0]), [in_z], rtol=1e-12)
    np.testing.assert_allclose(to_array(slopes[1]), [in_other], rtol=1e-12)


def test_a_class_masked_out_of_teacher_and_student_changes_nothing():
    z, t = (tensor([*x, -np.inf]) for x in ([0.0, 0.0], [LOG(3), 0.0]))
    [found], [slopes] = derivatives.values_and_gradients(lambda *x: [ops.sum(kl_of_teacher(*x))], [z, t])
    assert number(found) == pytest.approx(KL, rel=1e-6)
    np.testing.assert_allclose(to_array(slopes[0]), [[-0.25, 0.25, 0.0]], rtol=1e-6)
    in_teacher = [0.75 * (LOG(1.5) - KL), 0.25 * (LOG(0.5) - KL), 0.0]
    np.testing.assert_allclose(to_array(slopes[1]), [in_teacher], rtol=1e-6)


def test_what_is_nearly_certain_has_digits():
    """Of logits 0 and -17, 1 - p is 4e-8: to 1 + 4e-8 float32 has no such digits, and to p - t none."""
    rare, rarer = (1 / (1 + math.exp(x)) for x in (16, 17))
    z, t = tensor([0.0, -17.0]), tensor([0.0, -16.0])
    [found], [[slope]] = derivatives.values_and_gradients(lambda z: [ops.sum(kl_of_teacher(z, t))], [z])
    exact = rare * LOG(rare / rarer) + (1 - rare) * (math.log1p(-rare) - math.log1p(-rarer))
    assert number(found) == pytest.approx(exact, rel=1e-5)
    np.testing.assert_allclose(to_array(slope), [[rare - rarer, rarer - rare]], rtol=1e-5)
    entropy = -rarer * LOG(rarer) - (1 - rarer) * math.log1p(-rarer)
    assert number(numerics.entropy(z)[0]) == pytest.approx(entropy, rel=1e-6)


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="forward mode is JAX's")
def test_forward_mode():
    """The tangent along one logit is the gradient there."""
    import jax

    logits, ids, shares = drawn(100)
    with double_precision():
        for found, labels, weights in ((of_ids, ids, np.eye(100)[ids]), (of_shares, shares, shares)):
            _, tangent = jax.jvp(lambda z, f=found, y=labels: f(y, z), (logits,), (np.eye(100)[[7] * 4],))
            np.testing.assert_allclose(tangent, plain(logits, weights)[1][:, 7], rtol=1e-11)


@pytest.mark.parametrize("mode", MODES)
def test_an_id_of_no_class_gives_no_number(classes, mode):
    """Where a compiled step cannot raise, the loss and its gradient are NaN."""
    # `compiled` keeps what it has traced for a function: the partial is traced on this side of the limit.
    run = compiled(functools.partial(of_ids), mode)
    value, gradient = run(np.array([classes, -1, 0]), np.zeros((3, classes), "float32"))
    assert np.isnan(value).tolist() == np.isnan(gradient).all(-1).tolist() == [True, True, False]


def test_the_only_class_that_a_mask_leaves_has_no_gradient():
    """Where all others are -inf: p_t = 1, and not NaN."""
    logits = np.array([[-np.inf, 5.0, -np.inf]], "float32")
    value, gradient = value_and_gradient(CrossentropyLoss(from_logits=True), np.array([1]), logits)
    assert value == 0
    np.testing.assert_array_equal(gradient, [[0, 0, 0]])


@pytest.mark.parametrize("row", [4, 512])
def test_total(row, monkeypatch):
    """0 + 1 + ... + (n - 1) = n (n - 1) / 2, in rows and what is left of them; exact in float32."""
    monkeypatch.setattr(arrays, "_ROW", row)
    for size in (0, 1, 3, 4, 11):
        assert number(numerics.sum_all(tensor(*range(size)))) == size * (size - 1) / 2
    assert number(numerics.sum_all(ops.reshape(tensor(*range(6)), (2, 3)))) == 15


def log1p_of(_, x, __=None):
    return numerics.log1p(x)


@pytest.mark.parametrize("mode", ["eager", *COMPILED])
def test_no_compiler_takes_the_digits_of_log1p_away(mode):
    """(1 + x) - 1, which holds what rounding has lost, must not become x: log(1 + 2e-9) is 2e-9, not 0."""
    x = np.array([0.0, 1e-30, 2e-9, 1e-8, 6e-8, 3e-4, 0.5, 1.0, 30.0], "float32")
    call = functools.partial(value_and_gradient, log1p_of) if mode == "eager" else compiled(log1p_of, mode)
    value, slope = call(x, x)
    np.testing.assert_allclose(value, np.log1p(x.astype("float64")), rtol=4e-7)
    np.testing.assert_allclose(slope, 1 / (1 + x.astype("float64")), rtol=4e-7)


LOGITS = np.array([-1e4, -50.0, -20.0, -1e-3, 0.0, 3.0, 20.0, 50.0, 1e4], "float32")


def test_crossentropy_of_one_output():
    """log(1 + e^-z) and 1 / (1 + e^z), and the same of -z."""
    z = LOGITS.astype("float64")
    for crossentropy, x in zip(numerics.binary_crossentropy(tensor_of(LOGITS)), (z, -z), strict=True):
        exact = np.maximum(-x, 0.0) + np.log1p(np.exp(-np.abs(x)))
        np.testing.assert_allclose(to_array(crossentropy.value), exact, rtol=2e-6)
        np.testing.assert_allclose(to_array(crossentropy.complement), -np.expm1(-exact), rtol=2e-6)


def values_of_outputs(_, z, __=None):
    one, zero = numerics.binary_crossentropy(z)
    return ops.stack([one.value, zero.value, numerics.softplus(z)])


def complements_of_outputs(_, z, __=None):
    """Weighed, so that their slopes do not cancel: those of 1 / (1 + e^z) + 3 / (1 + e^-z)."""
    one, zero = numerics.binary_crossentropy(z)
    return one.complement + 3.0 * zero.complement


@pytest.mark.parametrize("mode", ["eager", *COMPILED])
def test_slopes_of_one_output(mode):
    """Of softplus(-z) + 2 softplus(z), and of what leaves p (1 - p) alone, in all digits, however sure."""
    z = LOGITS.astype("float64")
    p, rest = (np.exp(-np.logaddexp(0, x)) for x in (-z, z))
    for function, expected in ((values_of_outputs, 2 * p - rest), (complements_of_outputs, 2 * p * rest)):
        call = (
            functools.partial(value_and_gradient, function) if mode == "eager" else compiled(function, mode)
        )
        values, slopes = call(LOGITS, LOGITS)
        np.testing.assert_allclose(slopes, expected, rtol=2e-6)
    np.testing.assert_allclose(values, rest + 3 * p, rtol=2e-6)


def test_second_derivatives_of_one_output():
    """p' = p (1 - p) of softplus, and p'' = p (1 - p) (1 - 2 p) of a complement."""
    z = np.array([[-30.0], [-2.0], [0.0], [0.5], [30.0]])
    p, rest = 1 / (1 + np.exp(-z)), 1 / (1 + np.exp(z))
    with double_precision():
        for function, expected in (
            (values_of_outputs, 3 * p * rest),
            (complements_of_outputs, 2 * p * rest * (rest - p)),
        ):
            found = second_derivative(function, z, z, np.ones_like(z))
            np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-15)


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


def test_power():
    for exponent in (0.0, 0.5, 1.0, 2.0):
        found = to_array(numerics.power(tensor(0.0, 4.0, np.nan), exponent))
        expected = [0.0**exponent, 4.0**exponent, 1.0 if exponent == 0 else np.nan]
        np.testing.assert_allclose(found, expected, rtol=2e-6)


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


@pytest.mark.parametrize(("precision", "digits"), [("float32", 1e-6), ("float64", 1e-13)])
def test_gamma_functions(precision, digits):
    """SciPy's, on both sides of where the series begin: log Gamma to terms of 1, psi to its own digits."""
    x = np.array([1e-3, 0.1, 0.5, 1.0, 1.5, 2.05, 2.5, 3.05, 3.9, 4.05, 5.0, 10.5, 40.0], precision)
    with double_precision():
        of_log, of_psi = (to_array(f(tensor_of(x))) for f in (gamma.binet, gamma.digamma_minus_log))
    at = x.astype("float64")
    leading = (at - 0.5) * np.log(at) - at + 0.5 * math.log(2 * math.pi)
    error = np.abs(of_log - (special.gammaln(at) - leading))
    assert (error <= digits / 2 * np.maximum(1, np.abs(leading))).all()
    np.testing.assert_allclose(of_psi, special.psi(at) - np.log(at), rtol=digits, atol=digits * 1e-6)
