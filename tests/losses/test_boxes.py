"""Losses of boxes: boxes of any size, ties of edges, padding, formats, and mistakes of other libraries."""

import keras
import numpy as np
import pytest

from keras_losses import IoULoss
from keras_losses.losses.box_geometry import BOX_FORMATS
from tests import thorough
from tests.backends import double_precision, second_derivative, unchecked, value, value_and_gradient
from tests.kinds.boxes import BESIDE, BOX, LINE, POINT, in_format
from tests.models import arguments, reloaded
from tests.oracles import expected

KINDS = IoULoss.hyperparameters["kind"].choices
every_kind = pytest.mark.parametrize("kind", thorough.few(KINDS, 3))

PAIRS = [(BOX, other) for other in BESIDE.values()]
PAIRS += [(true, other) for true in (LINE, POINT) for other in (BOX, LINE, POINT)]
TRUE, PREDICTED = np.swapaxes(np.array(PAIRS, "float32"), 0, 1)


def loss_of(kind, **arguments):
    return IoULoss(kind=kind, reduction="none", **arguments)


@every_kind
@pytest.mark.parametrize("power", [-80, 80])
def test_boxes_of_any_size(kind, power):
    """Another unit of length leaves the values as they are and divides the gradients, bit for bit.

    Sides are about 1e-24 and 1e24, and their areas are beyond float32.
    """
    size = np.float32(2.0**power)
    values, gradient = value_and_gradient(loss_of(kind), TRUE, PREDICTED)
    found, slope = value_and_gradient(loss_of(kind), size * TRUE, size * PREDICTED)
    assert np.isfinite(gradient).all()
    np.testing.assert_array_equal(found, values)
    np.testing.assert_array_equal(slope * size, gradient)


@every_kind
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_zero_over_zero(kind, dtype):
    """A perfect prediction has the value 0 and the gradient 0 exactly, also of lines and points."""
    true = np.array([BOX, LINE, POINT, [0.0] * 4, [1e4, 1e4, 1e4 + 16, 2e4]])
    for box_format in BOX_FORMATS:
        boxes = in_format(true, box_format).astype(dtype)
        values, gradient = value_and_gradient(loss_of(kind, box_format=box_format), boxes, boxes)
        np.testing.assert_array_equal(values, 0)
        np.testing.assert_array_equal(gradient, 0)


@every_kind
def test_zero_over_zero_in_double_precision(kind):
    boxes = np.array([BOX, LINE, POINT])
    with double_precision():
        values, gradient = value_and_gradient(loss_of(kind, dtype="float64"), boxes, boxes)
    np.testing.assert_array_equal(values, 0)
    np.testing.assert_array_equal(gradient, 0)


@every_kind
def test_sides_whose_reciprocal_overflows(kind):
    """Sides below the smallest normal number count as 0; 1 / side would be infinite."""
    size = np.float32(2.0**-140)
    values, gradient = value_and_gradient(loss_of(kind), size * TRUE, size * PREDICTED)
    assert np.isfinite(values).all()
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize("inside", ["y_pred", "y_true"])
def test_small_boxes_in_large_ones_keep_their_digits(inside):
    """The slope in the lower edge is width / larger area, or IoU / larger height."""
    large = np.array([[0.0, 0.0, 4096.0, 4096.0]], "float32")
    small = np.array([[1000.3, 1000.7, 1001.5, 1003.5]], "float32")
    true, predicted = (large, small) if inside == "y_pred" else (small, large)
    _, gradient = value_and_gradient(loss_of("iou"), true, predicted)
    width, height = np.diff(small.astype("float64").reshape(2, 2), axis=0)[0]
    slope = -width / 4096**2 if inside == "y_pred" else width * height / 4096**3
    np.testing.assert_allclose(gradient[0, 3], slope, rtol=2e-6)


def test_slope_at_one_equal_edge():
    """Where one edge is right and another is not, the slope is the mean of the slopes on both sides."""
    # Moved to the left by s, the left edge adds 4 s to the union of 16; to the right, it takes 4 s from the
    # intersection of 12.
    true, predicted = np.array([[0.0, 0.0, 4.0, 4.0]]), np.array([[0.0, 0.0, 3.0, 4.0]], "float32")
    _, gradient = value_and_gradient(loss_of("iou"), true, predicted)
    np.testing.assert_allclose(gradient[0, 0], (4 / 16 - 12 * 4 / 16**2) / 2, rtol=2e-6)


@every_kind
def test_small_errors_keep_their_digits(kind):
    """Far from the origin too, where 1 - IoU of rounded areas would have no digit left."""
    true = np.array([[1000.0, 2000.0, 1010.0, 2020.0]], "float32")
    predicted = true + np.float32(2.0**-12) * np.array([[1.0, 0.5, 1.0, -0.5]], "float32")
    loss = loss_of(kind)
    exact = expected(loss, true, predicted.astype("float64"))
    np.testing.assert_allclose(value(loss, true, predicted), exact, rtol=2e-6)
    assert exact < 1e-4


@pytest.mark.parametrize("distance", [10.0, 1e3, 1e5])
def test_giou_pulls_distant_boxes(distance):
    """Unit squares d apart: the union is 2 and the enclosing box d + 1, so the slope is 2 / (d + 1)^2."""
    true, predicted = np.array([[0.0, 0.0, 1.0, 1.0]]), np.array([[distance, 0.0, 1.0, 1.0]], "float32")
    _, gradient = value_and_gradient(loss_of("giou", box_format="center_xywh"), true, predicted)
    np.testing.assert_allclose(gradient[0, 0], 2 / (distance + 1) ** 2, rtol=2e-6)


@pytest.mark.parametrize("kind", ["giou", "diou", "ciou", "eiou"])  # "siou" turns towards one axis first
def test_distant_boxes_are_pulled_on_both_axes(kind):
    """No kind with a penalty is flat for boxes that are apart along both axes."""
    true, predicted = np.array([[2.0, 1.0, 4.0, 2.0]]), np.array([[31.5, 52.0, 3.0, 4.0]], "float32")
    _, gradient = value_and_gradient(loss_of(kind, box_format="center_xywh"), true, predicted)
    assert (gradient[0, :2] > 1e-4).all()


def test_a_flat_prediction_grows():
    """A line inside of the true box has the slope of the boxes that it can become: overlap / true area."""
    true, line = np.array([[0.0, 0.0, 4.0, 4.0]]), np.array([[1.0, 1.0, 1.0, 3.0]], "float32")
    _, gradient = value_and_gradient(loss_of("iou"), true, line)
    np.testing.assert_allclose(gradient, [[2 / 16, 0, -2 / 16, 0]], rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("kind", thorough.few([kind for kind in KINDS if kind != "ciou"], 2))
def test_second_derivative(kind):
    """For boxes that overlap and boxes that do not; "ciou" is left out, which holds alpha constant."""
    along = np.array([[1.0, -0.5, 0.7, 1.3]] * 2)
    true, predicted = np.array([BOX] * 2), np.array([BESIDE["moved"], [6.0, 3.5, 9.5, 5.0]])
    with double_precision():
        loss = loss_of(kind, dtype="float64")
        found = second_derivative(loss, true, predicted, along)
        near = [value_and_gradient(loss, true, predicted + step * along)[1] for step in (-1e-4, 1e-4)]
    np.testing.assert_allclose(found, (near[1] - near[0]) / 2e-4, rtol=1e-5, atol=1e-7)


# Formats ------------------------------------------------------------------------------------------------


@every_kind
def test_every_format(kind):
    """The same boxes have the same values in every format; relative ones, with the shape of the image."""
    height, width = 8.0, 16.0
    values = value(loss_of(kind), TRUE, PREDICTED)
    for box_format in BOX_FORMATS:
        relative = box_format.startswith("rel_")
        unit = [width, height, width, height] if relative else 1.0
        true, predicted = (in_format(boxes / unit, box_format) for boxes in (TRUE, PREDICTED))
        shape = {"image_shape": (height, width)} if relative else {}
        found = value(loss_of(kind, box_format=box_format, **shape), true, predicted.astype("float32"))
        np.testing.assert_allclose(found, values, rtol=2e-6, atol=1e-7, err_msg=box_format)


@every_kind
def test_relative_coordinates_without_the_shape_of_the_image(kind):
    """Areas do not depend on it; distances and angles do, as the docstring says."""
    true, predicted = np.array([[0.1, 0.1, 0.3, 0.4]]), np.array([[0.2, 0.3, 0.6, 0.5]])
    one, other = (
        value(loss_of(kind, box_format="rel_xyxy", image_shape=shape), true, predicted)
        for shape in (None, (100, 300))
    )
    assert np.isclose(one, other, rtol=1e-5).all() == (kind in ("iou", "giou"))


def test_the_shape_of_the_image_is_for_relative_coordinates():
    with pytest.raises(ValueError, match=r"Received: image_shape=\(480\.0, 640\.0\), box_format='xywh'"):
        IoULoss(box_format="xywh", image_shape=(480, 640))


# Weights, masks, shapes -----------------------------------------------------------------------------------


@every_kind
def test_padding(kind):
    """A weight of 0 or a mask takes padded boxes out, whatever they hold, and images may be weighted."""
    true = np.stack([TRUE[:3], TRUE[3:6]])
    predicted = np.stack([PREDICTED[1:4], PREDICTED[4:7]])
    kept = np.array([[True, True, False], [True, False, False]])
    values = value(loss_of(kind), true, predicted)
    padded_true = np.where(kept[..., None], true, np.float32([np.nan, 0, -1, np.nan]))
    padded = np.where(kept[..., None], predicted, np.float32(np.nan))
    for given in ({"mask": kept}, {"sample_weight": kept.astype("float32")}):
        found, gradient = value_and_gradient(loss_of(kind), padded_true, padded, **given)
        np.testing.assert_allclose(found, np.where(kept, values, 0), rtol=1e-6)
        assert np.isfinite(gradient).all()
        assert (gradient[~kept] == 0).all()
    mean = value(IoULoss(kind=kind), padded_true, padded, mask=kept)
    np.testing.assert_allclose(mean, values[kept].mean(), rtol=1e-6)
    found = value(loss_of(kind), true, predicted, sample_weight=np.array([2.0, 0.5], "float32"))
    np.testing.assert_allclose(found, values * [[2.0], [0.5]], rtol=1e-6)


@pytest.mark.parametrize("shape", [(1, 4), (1, 1, 4), (1, 3, 4), (3, 1, 4)])
def test_a_batch_of_one_box_keeps_its_axes(shape):
    """TensorFlow Addons' GIoULoss squeezes the values, so that a batch of one box becomes a scalar."""
    true, predicted = np.resize(TRUE, shape), np.resize(PREDICTED[1:], shape)
    assert value(loss_of("giou"), true, predicted).shape == shape[:-1]
    weights = np.full(shape[:1], 2.0, "float32")
    once, twice = (value(IoULoss(), true, predicted, sample_weight=x) for x in (None, weights))
    np.testing.assert_allclose(twice, 2 * once, rtol=1e-6)


@pytest.mark.parametrize(
    ("true", "predicted"),
    [
        ((4,), (4,)),
        ((6, 4), (4,)),
        ((6, 5), (6, 5)),
        ((6, 1), (6, 4)),
        ((2, 3, 4), (2, 5, 4)),
        ((3, 4), (1, 4)),
    ],
)
def test_shapes_that_are_not_of_boxes(true, predicted):
    with pytest.raises(ValueError, match=r"must have the same shape \(\.\.\., boxes, 4\)") as caught:
        IoULoss()(np.zeros(true), np.zeros(predicted))
    assert f"y_true of shape {true}, y_pred of shape {predicted}" in str(caught.value)


@every_kind
def test_an_invalid_box_alone_is_nan_without_checks(kind):
    """A true box with swapped corners or without a corner is NaN; lines and points are valid."""
    true = np.array([BOX, LINE, POINT, [4.0, 2.0, 3.5, 6.0], [1.0, 6.0, 4.0, 2.0], [1.0, 2.0, np.nan, 6.0]])
    with unchecked():
        found = value(loss_of(kind), true, np.array([BOX] * 6, "float32"))
    assert np.isnan(found).tolist() == [False] * 3 + [True] * 3


# Saving ---------------------------------------------------------------------------------------------------


def test_ciou_comes_back_from_its_config(tmp_path):
    """KerasCV's CIoULoss leaves its box format out of the config, which then does not load."""
    loss = IoULoss(kind="ciou", box_format="rel_yxyx", image_shape=(480, 640), name="boxes")
    again = keras.losses.deserialize(keras.losses.serialize(loss))
    assert arguments(again) == arguments(loss)
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(4)])
    model.compile("sgd", loss=loss)
    again = reloaded(model, tmp_path).loss
    assert arguments(again) == arguments(loss)
    assert again.image_shape == (480.0, 640.0)
