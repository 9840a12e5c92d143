"""Signed distance maps: forms of masks, the authors' formula, and what is refused."""

import sys

import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt

from keras_losses import signed_distances

R = np.random.default_rng(0)


def test_a_line_by_hand():
    """Two objects, and images without a contour."""
    masks = np.array([[0, 0, 1, 1, 1, 0, 1], [0] * 7, [1] * 7])
    found = signed_distances(masks)
    assert found.dtype == "float32"
    assert found.shape == (3, 7, 1)
    assert found[..., 0].tolist() == [[2, 1, 0, -1, 0, 1, 0], [1] * 7, [-1] * 7]


def test_a_picture_by_hand():
    mask = np.zeros((1, 3, 3))
    mask[0, 0, 0] = 1
    far = np.sqrt([[0, 1, 4], [1, 2, 5], [4, 5, 8]])
    np.testing.assert_allclose(signed_distances(mask)[0, ..., 0], far, rtol=1e-6)
    # Pixels of the height 2: the shortest length of a pixel, 1, takes the place of 1.
    far = np.sqrt([[0, 1, 4], [4, 5, 8], [16, 17, 20]])
    np.testing.assert_allclose(signed_distances(mask, spacing=(2, 1))[0, ..., 0], far, rtol=1e-6)
    inside = signed_distances(1 - mask, spacing=(2, 1))[0, ..., 0]
    np.testing.assert_allclose(inside, np.where(mask[0] == 1, 1, 1 - far), rtol=1e-6)


@pytest.mark.parametrize("shape", [(2, 20), (2, 6, 7), (1, 4, 5, 3)])
def test_against_the_code_of_the_authors(shape):
    """`one_hot2dist` of the paper's repository, of classes that are present."""
    ids = R.integers(0, 3, shape)
    exact = np.zeros((*shape, 3))
    for image in range(shape[0]):
        for k in range(3):
            positive = ids[image] == k
            negative = ~positive
            assert positive.any()
            outside = distance_transform_edt(negative) * negative
            exact[image, ..., k] = outside - (distance_transform_edt(positive) - 1) * positive
    np.testing.assert_allclose(signed_distances(ids, 3), exact, rtol=1e-6)


def test_every_form_of_masks():
    """Ids with or without a last axis of 1, one-hot and soft masks, 0/1 masks of one output."""
    ids = R.integers(0, 3, (2, 5, 6))
    hot = np.eye(3)[ids]
    exact = signed_distances(ids, 3)
    for found in (
        signed_distances(ids[..., None].astype("uint8"), num_classes=np.int64(3)),
        signed_distances(ids.astype("float32"), 3),
        signed_distances(hot, one_hot=True),
        signed_distances(hot.astype(bool), one_hot=True),
        signed_distances(0.6 * hot + 0.1, one_hot=True),
    ):
        np.testing.assert_array_equal(found, exact)
    for k in range(3):
        of_class = exact[..., k : k + 1]
        np.testing.assert_array_equal(signed_distances(hot[..., k]), of_class)
        np.testing.assert_array_equal(signed_distances(hot[..., k : k + 1]), of_class)


def test_ignored_pixels_are_on_neither_side():
    found = signed_distances(np.array([[1, 1, 255, 255, 0, 0]]), ignore_class=255)[0, :, 0]
    assert found.tolist() == [-3, -2, 0, 0, 3, 4]
    found = signed_distances(np.array([[1, 1, 255, 255, 0, 0]], "uint8"), 2, ignore_class=255)
    assert found[0].T.tolist() == [[3 + 1, 3, 0, 0, -2, -3], [-3, -2, 0, 0, 3, 4]]


@pytest.mark.parametrize(
    ("masks", "options", "words"),
    [
        ([0, 1], {}, ["`masks`", "(2,)", "mask[None]"]),
        ([[0, 1]], {"one_hot": True}, ["`masks`", "(1, 2)", "axis of the classes"]),
        ([[0, 2]], {}, ["`masks`", "between 0 and 1", "Received: 2", "num_classes"]),
        ([[0.0, np.nan]], {}, ["`masks`", "nan"]),
        ([[0, 3]], {"num_classes": 3}, ["`masks`", "0 to 2", "Received: 3"]),
        ([[0, 1.5]], {"num_classes": 3}, ["`masks`", "Received: 1.5"]),
        ([[0, 1]], {"num_classes": 1}, ["`num_classes`", "[2, inf)", "num_classes=1"]),
        ([[[0, 1]]], {"num_classes": 2, "one_hot": True}, ["`num_classes`", "one_hot=True"]),
        ([[0, 1]], {"spacing": [1, 1]}, ["`spacing`", "1 axes", "[1, 1]"]),
        ([[0, 1]], {"spacing": [0.0]}, ["`spacing`", "positive"]),
    ],
)
def test_refused(masks, options, words):
    with pytest.raises((ValueError, TypeError)) as caught:
        signed_distances(np.array(masks), **options)
    for word in ("`signed_distances`", *words):
        assert word in str(caught.value)


def test_without_scipy(monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy.ndimage", None)
    with pytest.raises(ImportError, match=r"keras-losses\[scipy\]"):
        signed_distances(np.array([[0, 1]]))
