"""Losses of pictures and heatmaps: beside other implementations, and where these lose digits or fail."""

import numpy as np
import pytest

from keras_losses import AbsoluteErrorLoss, AdaptiveWingLoss, StructuralSimilarityLoss
from tests.backends import BACKEND, COMPILED, double_precision, thorough_on_jax, value, value_and_gradient
from tests.oracles import expected

PUBLISHED = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)


def pictures(*shape, noise=0.1):
    """Pictures with values in [0, 1], and the same with noise, in float32."""
    random = np.random.default_rng(0)
    y = random.uniform(0, 1, shape)
    return y.astype("float32"), (y + noise * random.normal(size=shape)).astype("float32")


# Structural similarity ----------------------------------------------------------------------------------


@pytest.mark.skipif(BACKEND != "tensorflow", reason="functions of TensorFlow's")
@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ({}, {}),
        ({"filter_size": 8, "sigma": 2.0}, {"filter_size": 8, "filter_sigma": 2.0}),
        ({"k1": 0.02, "k2": 0.1}, {"k1": 0.02, "k2": 0.1}),
    ],
)
@pytest.mark.parametrize("max_value", [1.0, 255.0])
def test_similarity_is_that_of_tensorflow(ours, theirs, max_value):
    import tensorflow as tf

    y, f = (max_value * x for x in pictures(2, 21, 18, 3))
    found = value(StructuralSimilarityLoss(max_value, **ours, reduction="none"), y, f)
    np.testing.assert_allclose(1 - found, tf.image.ssim(y, f, max_value, **theirs), rtol=5e-6)


@pytest.mark.skipif(BACKEND != "tensorflow", reason="functions of TensorFlow's")
@pytest.mark.parametrize(("scales", "size"), [(PUBLISHED, 4), ((0.3, 0.9), 11)])
def test_multi_scale_similarity_is_that_of_tensorflow(scales, size):
    """Pictures of odd and even sizes are halved in the same way."""
    import tensorflow as tf

    y, f = pictures(2, 49, 66, 2)
    found = value(StructuralSimilarityLoss(filter_size=size, scales=scales, reduction="none"), y, f)
    np.testing.assert_allclose(1 - found, tf.image.ssim_multiscale(y, f, 1.0, scales, size), rtol=5e-6)


@pytest.mark.parametrize("scales", [None, [0.4, 0.6]])
@pytest.mark.parametrize(
    ("level", "contrast", "noise"),
    [
        (255.0, 0.0, 1e-2),  # bright and flat: 1 - tf.image.ssim has no digit, not even the sign
        (0.0, 255.0, 1e-3),  # nearly perfect: 1 - tf.image.ssim is 0
        (200.0, 20.0, 5.0),
    ],
)
def test_digits_survive(level, contrast, noise, scales):
    """Neither 1 - similarity nor the variances cancel: float32 has five digits of float64's value."""
    texture, difference = (x - 0.5 for x in pictures(2, 24, 23, 1, noise=1.0))
    y = (level + contrast * np.abs(texture)).astype("float32")
    f = (y + noise * difference).astype("float32")
    loss = StructuralSimilarityLoss(max_value=255.0, scales=scales, reduction="none")
    np.testing.assert_allclose(value(loss, y, f), expected(loss, y, f), rtol=1e-5)


def test_similarity_is_symmetric_and_bounded():
    """The roles of the pictures are the same; the loss is 0 for equal pictures and below 2 for others."""
    y, f = pictures(2, 12, 13, 2)
    loss = StructuralSimilarityLoss(reduction="none")
    np.testing.assert_allclose(value(loss, y, f), value(loss, f, y), rtol=1e-5)
    np.testing.assert_array_equal(value(loss, y, y), 0)
    assert (value(loss, y, 1 - y) > 1).all()
    assert (value(loss, y, 1 - y) < 2).all()


def test_gradient_where_a_similarity_is_not_above_zero():
    """A power of a similarity of 0 has an infinite slope; TensorFlow's gradient is NaN there."""
    y, _ = pictures(2, 24, 24, 1)
    opposed = 1 - y
    opposed[1] = y[1] + 0.1
    loss = StructuralSimilarityLoss(scales=[0.4, 0.6], reduction="none")
    found, gradient = value_and_gradient(loss, y, opposed)
    assert found[0] == 1
    assert 0 < found[1] < 1
    assert (gradient[0] == 0).all()
    assert np.isfinite(gradient).all()
    assert (gradient[1] != 0).any()


@pytest.mark.parametrize("scales", [None, [0.4, 0.6]])
@pytest.mark.parametrize("far", [1e10, 1e30, -3e38])
def test_predictions_far_beyond_the_range(far, scales):
    """Squares of predictions overflow; values and gradients are finite all the same."""
    y, f = pictures(2, 24, 24, 1)
    f[0], f[1, 5, 5] = far, far
    found, gradient = value_and_gradient(StructuralSimilarityLoss(scales=scales, reduction="none"), y, f)
    assert np.isfinite(found).all()
    assert np.isfinite(gradient).all()
    np.testing.assert_allclose(found[0], 1, atol=1e-2)


@pytest.mark.parametrize("scales", [None, PUBLISHED])
def test_half_precision_is_computed_in_single(scales):
    """Bytes of large pictures in half precision, whose squares exceed it, have the values of float32."""
    y, f = (np.round(200 * x).astype("float16") for x in pictures(1, 256, 256, 1))
    loss = StructuralSimilarityLoss(max_value=255.0, scales=scales, reduction="none")
    found = value(loss, y.astype("uint8"), f)
    assert found.dtype == "float32"
    np.testing.assert_array_equal(found, value(loss, y.astype("float32"), f.astype("float32")))


@pytest.mark.parametrize(
    ("options", "shape", "smallest"),
    [
        ({}, (2, 10, 64, 3), "at least 11 x 11 pixels for filter_size=11 and 1 scale."),
        (
            {"scales": PUBLISHED},
            (2, 161, 160, 3),
            "at least 161 x 161 pixels for filter_size=11 and 5 scales.",
        ),
        ({"filter_size": 2, "scales": [1, 1]}, (2, 2, 3, 1), "at least 3 x 3 pixels for filter_size=2 and 2"),
    ],
)
def test_pictures_that_are_too_small(options, shape, smallest):
    with pytest.raises(ValueError) as caught:
        StructuralSimilarityLoss(**options)(np.zeros(shape), np.zeros(shape))
    assert smallest in str(caught.value)
    assert f"Received: y_pred of shape {shape}, with {shape[1]} x {shape[2]} pixels" in str(caught.value)


@thorough_on_jax
@pytest.mark.parametrize(("length", "scales"), [(11, 1), (21, 2), (161, 5)])
def test_the_smallest_pictures(length, scales):
    """Pictures of the size that the error names have one window at the coarsest scale."""
    y, f = pictures(1, length, length, 1)
    loss = StructuralSimilarityLoss(scales=PUBLISHED[:scales], reduction="none")
    np.testing.assert_allclose(value(loss, y, f), expected(loss, y, f), rtol=1e-5)


@pytest.mark.parametrize("shape", [(4, 12, 12), (2, 3, 12, 12, 1)])
def test_pictures_without_channels_and_films(shape):
    with pytest.raises(
        ValueError, match=r"must have the shape \(batch, height, width, channels\).*Received:"
    ):
        StructuralSimilarityLoss()(np.zeros(shape), np.zeros(shape))


def test_weights_and_masks_of_pixels():
    """Weights of pixels raise; masked pixels are black in both pictures, whatever they were."""
    y, f = pictures(2, 12, 13, 2)
    loss = StructuralSimilarityLoss(reduction="none")
    with pytest.raises(ValueError, match="`sample_weight` must have one value for each sample"):
        loss(y, f, np.ones((2, 12, 13), "float32"))
    mask = np.ones((2, 12, 13), bool)
    mask[0, :3], mask[1] = False, False
    f[0, 0, 0] = np.nan
    black = [np.where(mask[..., None], x, 0) for x in (y, f)]
    np.testing.assert_array_equal(value(loss, y, f, mask=mask), value(loss, *black) * [1, 0])


@thorough_on_jax
def test_sum_with_an_absolute_error():
    """The sum that Zhao et al. 2017 published adds a mean over pictures to one over pixels."""
    y, f = pictures(2, 12, 13, 2)
    found = value(0.84 * StructuralSimilarityLoss() + 0.16 * AbsoluteErrorLoss(), y, f)
    parts = value(StructuralSimilarityLoss(), y, f), np.abs(y - f).mean()
    np.testing.assert_allclose(found, 0.84 * parts[0] + 0.16 * parts[1], rtol=1e-6)


@pytest.mark.skipif(BACKEND != "tensorflow", reason="the other backends know all sizes")
@pytest.mark.parametrize("mode", COMPILED)
def test_unknown_size(mode):
    """A function traced for pictures of any size gives the values of eager mode."""
    import tensorflow as tf

    loss = StructuralSimilarityLoss(filter_size=5, scales=[0.4, 0.6])
    of_any_size = tf.TensorSpec((None, None, None, 2))
    run = tf.function(lambda y, f: loss(y, f), [of_any_size] * 2, autograph=False, jit_compile=mode == "xla")
    for shape in ((2, 12, 15, 2), (1, 11, 10, 2)):
        y, f = pictures(*shape)
        np.testing.assert_allclose(run(y, f), value(loss, y, f), rtol=2e-6)


# Adaptive wing ------------------------------------------------------------------------------------------


@thorough_on_jax
def test_adaptive_wing_is_smooth_at_zero():
    """The gradient falls to 0 with the error for every label, though ever later for labels near 1."""
    y = np.repeat(np.linspace(0, 1, 5), 4)
    errors = np.tile([0.0, 1e-30, 1e-3, 1e-1], 5)
    with double_precision():
        loss = AdaptiveWingLoss(reduction="none", dtype="float64")
        _, gradient = value_and_gradient(loss, y, y + errors)
    slopes = gradient.reshape(5, 4)
    assert (slopes[:, 0] == 0).all()
    assert (np.diff(slopes, axis=1) >= 0).all()
    assert (slopes[0, 2], slopes[-1, 2]) == pytest.approx(
        (14 * 2.1 * 1e-3**1.1, 14 * 1.1 * 1e-3**0.1), rel=1e-3
    )


@thorough_on_jax
def test_adaptive_wing_is_continuous_at_theta():
    """Value and gradient are the same on both sides of theta."""
    y = np.linspace(0, 1, 5)
    with double_precision():
        loss = AdaptiveWingLoss(theta=0.7, epsilon=0.3, reduction="none", dtype="float64")
        below, at, above = (value_and_gradient(loss, y, y + 0.7 + step) for step in (-1e-9, 0.0, 1e-9))
    for side in (below, above):
        np.testing.assert_allclose(side[0], at[0], rtol=1e-7)
        np.testing.assert_allclose(side[1], at[1], rtol=1e-7)


@thorough_on_jax
@pytest.mark.parametrize("alpha", [2.001, 2.1, 5.0])
def test_adaptive_wing_has_the_bound_of_its_card(alpha):
    """The largest gradient over errors and labels is omega / epsilon (alpha - 1)^((alpha - 1) / alpha)."""
    errors = np.logspace(-4, 2, 2000)
    with double_precision():
        loss = AdaptiveWingLoss(
            omega=3.0, theta=50.0, epsilon=0.5, alpha=alpha, reduction="none", dtype="float64"
        )
        gradients = [value_and_gradient(loss, np.full(2000, y), y + errors)[1] for y in (0.0, 0.4, 1.0)]
    bound = 3.0 / 0.5 * (alpha - 1) ** ((alpha - 1) / alpha)
    assert np.max(gradients) == pytest.approx(bound, rel=1e-3)
    assert np.max(gradients) <= bound * (1 + 1e-9)


@thorough_on_jax
@pytest.mark.parametrize("epsilon", [1e-15, 1e15])
def test_adaptive_wing_does_not_overflow(epsilon):
    """(r / epsilon)^alpha is beyond float32, or below it; its logarithm and the gradient are not."""
    loss = AdaptiveWingLoss(theta=1e10, epsilon=epsilon, alpha=3.0, reduction="none")
    y, f = np.array([0.0, 1.0, 0.5], "float32"), np.array([2.0, -1e5, 1e20], "float32")
    found, gradient = value_and_gradient(loss, y, f)
    np.testing.assert_allclose(found, expected(loss, y, f), rtol=1e-5, atol=1e-30)
    assert np.isfinite(gradient).all()
