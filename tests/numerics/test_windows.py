"""Means over a sliding window, in each of the ways to compute them, and images of half the size."""

import keras
import numpy as np
import pytest

from keras_losses import numerics
from keras_losses.numerics import windows
from tests.backends import numpy as to_array
from tests.backends import tensor

WEIGHTS = np.array([0.1, 0.2, 0.4, 0.3])
IMAGES = np.random.default_rng(0).normal(size=(2, 133, 70, 3)).astype("float32")


@pytest.mark.parametrize("means", [numerics.window_means, windows._by_products])
@pytest.mark.parametrize("size", [(4, 4), (7, 69), (67, 70), (133, 68)])
def test_means_over_a_window(means, size):
    """Images smaller than a block of products, of a block, and larger by one have NumPy's means."""
    images = IMAGES[:, : size[0], : size[1]]
    pixels = np.lib.stride_tricks.sliding_window_view(images.astype("float64"), (4, 4), axis=(1, 2))
    exact = np.einsum("nhwcij,i,j->nhwc", pixels, WEIGHTS, WEIGHTS)
    np.testing.assert_allclose(to_array(means(tensor(images), WEIGHTS)), exact, rtol=1e-5, atol=1e-6)


def test_halved_images():
    """The last row and column of odd sizes count twice."""
    image = np.array([[1.0, 3.0, 5.0], [3.0, 5.0, 7.0], [0.0, 2.0, 8.0]], "float32")
    found = to_array(numerics.halved(tensor(image[None, ..., None])))
    np.testing.assert_array_equal(found[0, ..., 0], [[12 / 4, 12 / 2], [2 / 2, 8]])


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="a setting of JAX's")
def test_products_are_not_rounded_to_less_than_single_precision():
    """On GPUs and TPUs JAX's products are of TF32 or bfloat16, unless more is asked for."""
    import jax

    traced = jax.make_jaxpr(lambda x: windows._by_products(x, WEIGHTS))(IMAGES)
    products = [equation for equation in traced.eqns if equation.primitive.name == "dot_general"]
    assert products
    for product in products:
        assert product.params["precision"] == (jax.lax.Precision.HIGHEST,) * 2
