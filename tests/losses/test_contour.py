"""Contours and centre lines: crops, dimensions, compiled steps, distance maps, defects of other libraries."""

import numpy as np
import pytest

from keras_losses import (
    BoundaryLoss,
    CenterlineDiceLoss,
    DiceLoss,
    HausdorffLoss,
    signed_distances,
)
from tests import thorough
from tests.backends import BACKEND, MODES, compiled, unchecked, value, value_and_gradient

R = np.random.default_rng(0)
IDS = R.integers(0, 3, (2, 6, 5))
LOGITS = R.normal(0, 2, (2, 6, 5, 3)).astype("float32")

every_contour = pytest.mark.parametrize(
    "loss", thorough.few([BoundaryLoss, HausdorffLoss, CenterlineDiceLoss], 2)
)


def of_images(loss, y_true, y_pred, weights=None, **options):
    return value(loss(from_logits=True, reduction="none", **options), y_true, y_pred, weights)


@every_contour
def test_pixels_that_are_left_out_are_cropped(loss):
    """An image in a frame of pixels that do not count has the value of the image alone."""
    exact, slopes = value_and_gradient(loss(from_logits=True, reduction="none"), IDS, LOGITS)
    frame = ((0, 0), (2, 1), (1, 3))
    ids = np.pad(IDS, frame, constant_values=255)
    logits = np.pad(LOGITS, (*frame, (0, 0)), constant_values=np.nan)
    by_label = loss(from_logits=True, reduction="none", ignore_class=255)
    for found, slope in (
        value_and_gradient(by_label, ids, logits),
        value_and_gradient(
            loss(from_logits=True, reduction="none"), ids, logits, (ids != 255).astype("float32")
        ),
    ):
        np.testing.assert_allclose(found, exact, rtol=1e-6)
        np.testing.assert_allclose(slope[:, 2:-1, 1:-3], slopes, rtol=1e-5, atol=1e-8)


@every_contour
def test_a_volume_of_one_slice_is_a_picture(loss):
    exact = of_images(loss, IDS, LOGITS)
    for axis in (1, 2, 3):
        found = of_images(loss, np.expand_dims(IDS, axis), np.expand_dims(LOGITS, axis))
        np.testing.assert_allclose(found, exact, rtol=1e-6)


@every_contour
@pytest.mark.parametrize("mode", MODES)
def test_compiled_steps(loss, mode):
    """Where SciPy cannot be called, values and gradients are the same."""
    built = loss(from_logits=True, reduction="none", ignore_class=2)
    exact = value_and_gradient(built, IDS, LOGITS)
    for found, wanted in zip(compiled(built, mode)(IDS, LOGITS), exact, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-7)


@pytest.mark.skipif(BACKEND != "tensorflow", reason="only TensorFlow traces lengths that are unknown")
@every_contour
def test_unknown_lengths(loss):
    """Images of any size go through one traced function."""
    import tensorflow as tf

    signature = [tf.TensorSpec((None, None, None), tf.int64), tf.TensorSpec((None, None, None, 3))]
    run = tf.function(loss(from_logits=True), input_signature=signature)
    for rows in (6, 4):
        ids, logits = IDS[:, :rows], LOGITS[:, :rows]
        found = run(tf.constant(ids), tf.constant(logits))
        np.testing.assert_allclose(found, of_images(loss, ids, logits).mean(), rtol=1e-5)


@pytest.mark.parametrize("options", [{}, {"include_background": False}, {"class_weight": [1.0, 2.0, 0.5]}])
def test_boundary_loss_of_distance_maps(options):
    """The maps that the pipeline of data makes give the value of the masks."""
    maps = signed_distances(IDS, 3)
    found = of_images(BoundaryLoss, maps, LOGITS, distance_maps=True, **options)
    np.testing.assert_allclose(found, of_images(BoundaryLoss, IDS, LOGITS, **options), rtol=1e-5)
    # Of several outputs and of one, on another axis too.
    masks = np.eye(3)[IDS]
    maps = signed_distances(masks, one_hot=True)
    exact = of_images(BoundaryLoss, masks, LOGITS, multi_label=True)
    options = {"distance_maps": True, "multi_label": True}
    np.testing.assert_allclose(of_images(BoundaryLoss, maps, LOGITS, **options), exact, rtol=1e-5)
    first = (np.moveaxis(x, -1, 1) for x in (maps, LOGITS))
    np.testing.assert_allclose(of_images(BoundaryLoss, *first, axis=1, **options), exact, rtol=1e-5)
    exact = of_images(BoundaryLoss, masks[..., :1], LOGITS[..., :1])
    for maps in (signed_distances(masks[..., 0]), signed_distances(masks[..., 0])[..., 0]):
        found = of_images(BoundaryLoss, maps, LOGITS[..., :1], distance_maps=True)
        np.testing.assert_allclose(found, exact, rtol=1e-5)


def test_ignored_pixels_of_distance_maps():
    """`ignore_class` for the maps and weights of 0 for the loss are `ignore_class` for the loss."""
    ids = np.where(R.random(IDS.shape) < 0.2, 255, IDS)
    maps, weights = signed_distances(ids, 3, ignore_class=255), (ids != 255).astype("float32")
    found = of_images(BoundaryLoss, maps, LOGITS, weights, distance_maps=True)
    np.testing.assert_allclose(found, of_images(BoundaryLoss, ids, LOGITS, ignore_class=255), rtol=1e-5)


def test_what_distance_maps_refuse():
    with pytest.raises(ValueError, match=r"ignore_class=255.*signed_distances"):
        BoundaryLoss(distance_maps=True, ignore_class=255)
    loss = BoundaryLoss(distance_maps=True)
    with pytest.raises(ValueError, match=r"\(2, 6, 5\).*\(2, 6, 5, 3\).*distance_maps=False"):
        loss(IDS, LOGITS)
    with pytest.raises(ValueError, match="from_logits=True"):  # predictions are checked nevertheless
        loss(signed_distances(IDS, 3), LOGITS)


def test_distance_maps_may_hold_any_numbers_and_probabilities_may_not():
    """In a compiled step, where nothing is raised, the image of a probability of 1.5 is NaN."""
    maps = np.array([[[-7.0], [9.0]], [[0.0], [1.0]]], "float32")
    y_pred = np.array([[[0.5], [0.25]], [[0.5], [1.5]]], "float32")
    loss = BoundaryLoss(distance_maps=True, reduction="none")
    with unchecked():
        found = value(loss, maps, y_pred)
    np.testing.assert_allclose(found, [(-3.5 + 2.25) / 2, np.nan], rtol=1e-6)


def test_boundary_loss_is_smallest_at_the_labels():
    """The mask itself, against the same grown and shrunk by a pixel, and moved."""
    mask = np.zeros((1, 12, 12, 1), "float32")
    mask[:, 3:9, 3:8] = 1
    best = value(BoundaryLoss(), mask, mask)
    grown, shrunk, moved = np.zeros((3, *mask.shape), "float32")
    grown[:, 2:10, 2:9] = shrunk[:, 5:7, 5:6] = moved[:, 4:10, 3:8] = 1
    assert best < 0
    for other in (grown, shrunk, moved):
        assert value(BoundaryLoss(), mask, other) > best


def test_far_errors_cost_more():
    """A false pixel costs more, the farther it is from the object; the Dice loss sees no difference."""
    mask = np.zeros((1, 1, 20, 1), "float32")
    mask[:, :, :4] = 1
    near, far = mask.copy(), mask.copy()
    near[:, :, 5], far[:, :, 15] = 1, 1
    for loss in (BoundaryLoss(), HausdorffLoss(), HausdorffLoss(alpha=0.5)):
        assert value(loss, mask, far) > value(loss, mask, near)
    assert value(DiceLoss(), mask, far) == value(DiceLoss(), mask, near)


def test_hausdorff_loss_of_masks_that_are_entirely_wrong():
    """MONAI's HausdorffDTLoss is 0 here, as neither mask has a contour; it must cost, and learn."""
    nothing, all_of_it = np.zeros((1, 4, 4, 1), "float32"), np.ones((1, 4, 4, 1), "float32")
    for y_true, y_pred in ((nothing, all_of_it), (all_of_it, nothing)):
        found, slope = value_and_gradient(HausdorffLoss(), y_true, y_pred)
        assert found == 2
        assert (slope * (y_pred - y_true) > 0).all()


def test_centre_lines_of_one_output():
    """A line of the width 1 that is predicted faintly, by hand."""
    y_true = np.zeros((1, 7, 7, 1), "float32")
    y_true[:, 3] = 1
    found, slope = value_and_gradient(CenterlineDiceLoss(), y_true, 0.25 * y_true)
    # Precision (7/4 + 1) / (7/4 + 1), sensitivity (7/4 + 1) / (7 + 1).
    np.testing.assert_allclose(found, 1 - 2 * 2.75 / (8 + 2.75), rtol=1e-6)
    assert (slope[:, 3] < 0).all()


def test_a_gap_in_a_line_costs_by_its_length():
    """The missing centre line counts, not the missing area: a gap in a wide line costs no more."""
    costs = []
    for width in (1, 5):
        y_true = np.zeros((1, 9, 40, 1), "float32")
        y_true[:, 4 - width // 2 : 5 + width // 2] = 1
        y_pred = y_true.copy()
        y_pred[:, :, 15:25] = 0
        costs.append(value(CenterlineDiceLoss(), y_true, y_pred))
    assert costs[0] > 0.1
    # The ends of a wide line are rounded off, so that a little more of its centre line is missing.
    np.testing.assert_allclose(costs[1], costs[0], rtol=0.35)


def test_centre_lines_need_as_many_rounds_as_the_radius():
    """A line of the width 9 has no skeleton after 3 rounds, and has one after 4."""
    y_true = np.zeros((1, 15, 30, 1), "float32")
    y_true[:, 3:12] = 1
    nothing = np.zeros_like(y_true)
    assert value(CenterlineDiceLoss(iterations=3), y_true, nothing) == 0
    assert value(CenterlineDiceLoss(iterations=4), y_true, nothing) > 0.9
