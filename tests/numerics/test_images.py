"""Distances and neighbours of pixels, against their definitions."""

import importlib.util

import numpy as np
import pytest
from keras import ops

from keras_losses import numerics
from keras_losses.numerics import images
from tests.backends import BACKEND, numpy, tensor

R = np.random.default_rng(0)


def by_definition(members):
    """The smallest sum of squares over all pairs of a pixel and a member."""
    found = np.full(members.shape, np.inf)
    for image, *place, channel in np.ndindex(members.shape):
        nearest = np.argwhere(members[image, ..., channel]) - place
        if len(nearest):
            found[(image, *place, channel)] = np.square(nearest).sum(-1).min()
    return found


def by_scipy(members):
    return images.squared_distances_by_scipy(members)


def by_comparison(members):
    return numpy(images.squared_distances_by_comparison(tensor(members)))


@pytest.mark.parametrize("distances", [by_scipy, by_comparison])
@pytest.mark.parametrize("shape", [(3, 2), (2, 7, 2), (2, 5, 4, 2), (1, 3, 4, 3, 2)])
def test_squared_distances(distances, shape):
    """In images without space, lines, pictures and volumes; also of one member, and of none."""
    members = R.random(shape) < 0.2
    members[0, ..., 0] = False
    members[-1, ..., 1] = False
    members[(-1, *[0] * (len(shape) - 2), 1)] = True
    found = distances(members)
    assert found.dtype == "float32"
    np.testing.assert_array_equal(found, by_definition(members))


def test_squared_distances_by_hand():
    """One member in the corner of a picture of 2 x 3 pixels."""
    members = np.zeros((1, 2, 3, 1), bool)
    members[0, 0, 0] = True
    found = numpy(numerics.squared_distances(tensor(members)))[0, ..., 0]
    assert found.tolist() == [[0, 1, 4], [1, 2, 5]]


def test_squared_distances_without_scipy(monkeypatch):
    members = R.random((2, 5, 4, 2)) < 0.2
    exact = numpy(numerics.squared_distances(tensor(members)))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(images, "squared_distances_by_scipy", None)
    np.testing.assert_array_equal(numpy(numerics.squared_distances(tensor(members))), exact)


@pytest.mark.skipif(BACKEND != "tensorflow", reason="only TensorFlow traces lengths that are unknown")
def test_squared_distances_of_unknown_lengths():
    import tensorflow as tf

    run = tf.function(
        numerics.squared_distances, input_signature=[tf.TensorSpec((None, None, None, 2), tf.bool)]
    )
    for shape in ((1, 3, 4, 2), (2, 5, 3, 2)):
        members = R.random(shape) < 0.3
        np.testing.assert_array_equal(run(tf.constant(members)).numpy(), by_definition(members))


@pytest.mark.parametrize("shape", [(2, 5, 2), (2, 4, 5, 2), (1, 3, 4, 3, 2)])
def test_largest_of_neighbours(shape):
    """Along each axis; there are no neighbours outside of the image."""
    x = R.normal(size=shape)
    for axis in range(1, len(shape) - 1):
        lines = np.moveaxis(x, axis, 0)
        ends = (slice(max(i - 1, 0), i + 2) for i in range(shape[axis]))
        exact = np.moveaxis(np.stack([lines[end].max(0) for end in ends]), 0, axis)
        found = numpy(numerics.largest_of_neighbours(ops.cast(tensor(x), "float64"), axis))
        np.testing.assert_allclose(found, exact, rtol=1e-6)
