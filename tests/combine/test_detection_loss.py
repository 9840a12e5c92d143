"""Detectors: what is summed, divided, masked and named, in one model after the other."""

import keras
import numpy as np
import pytest

from keras_losses import (
    AbsoluteErrorLoss,
    CrossentropyLoss,
    DetectionLoss,
    DiceLoss,
    FocalLoss,
    IoULoss,
    LossAwareModel,
    SquaredErrorLoss,
)
from tests.backends import value, value_and_gradient

SIZES = DetectionLoss(CrossentropyLoss(multi_label=True), AbsoluteErrorLoss())
NONE = [0.0, 0.0, 0.0, 0.0, -1.0]
# Two objects in the first image, none in the second. The boxes are off by 4 and 8 in one coordinate.
Y = np.array([[[0, 0, 2, 2, 0], [1, 1, 3, 3, 1], NONE], [NONE] * 3], "float32")
P = np.full((2, 3, 6), 0.5, "float32")
P[0, 0, :4], P[0, 1, :4] = [0, 0, 2, 6], [1, 1, 3, 11]


def terms(loss, *data, **options):
    return {name: float(keras.ops.convert_to_numpy(x)) for name, x in loss.terms(*data, **options).items()}


def test_the_divisor_is_the_number_of_objects():
    """Two objects, and one for the image without any: 6 boxes of log 2, and boxes off by 1 and 2."""
    found = terms(SIZES, Y, P)
    assert found == pytest.approx({"class": 6 * np.log(2) / 3, "box": (4 / 4 + 8 / 4) / 3}, rel=1e-6)
    each = value(DetectionLoss(SIZES.class_loss, SIZES.box_loss, reduction="none"), Y, P)
    np.testing.assert_allclose(each, [3 * np.log(2) + 3, 3 * np.log(2)], rtol=1e-6)


def test_weights_of_boxes_and_of_images():
    """A box of weight 0 is no object and counts in no term; an image has its weight as a whole."""
    of_boxes = np.ones((2, 3), "float32")
    of_boxes[0, 1] = 0
    broken = P.copy()
    broken[0, 1] = np.nan
    found = terms(SIZES, Y, broken, sample_weight=of_boxes)
    assert found == pytest.approx({"class": 5 * np.log(2) / 2, "box": 1 / 2}, rel=1e-6)
    found = terms(SIZES, Y, P, sample_weight=np.array([2.0, 0.0], "float32"))
    assert found == pytest.approx({"class": 2 * 3 * np.log(2) / 3, "box": 2 * 3 / 3}, rel=1e-6)


def test_masked_boxes_are_left_out():
    mask = np.array([[True, False, True], [True, True, False]])
    broken = np.where(mask[..., None], P, np.float32(np.nan))
    found, slope = value_and_gradient(SIZES, Y, broken, mask=mask)
    np.testing.assert_allclose(found, (4 * np.log(2) + 1) / 2, rtol=1e-6)
    assert (slope[~mask] == 0).all()


def test_boxes_without_an_object_have_no_gradient():
    _, slope = value_and_gradient(DetectionLoss(SIZES.class_loss, IoULoss()), Y, P)
    assert (slope[0, 2, :4] == 0).all()
    assert (slope[1, :, :4] == 0).all()
    assert (slope[..., 4:] != 0).all()


def test_box_loss_may_be_a_sum_and_losses_may_be_of_keras():
    both = DetectionLoss(
        keras.losses.BinaryCrossentropy(), 2 * IoULoss() + 5 * AbsoluteErrorLoss(), weights={"box": 0.5}
    )
    iou = terms(DetectionLoss(SIZES.class_loss, IoULoss()), Y, P)
    found = terms(both, Y, P)
    assert found["box"] == pytest.approx(2 * iou["box"] + 5 * 1.0, rel=1e-6)
    assert found["class"] == pytest.approx(iou["class"], rel=1e-5)
    np.testing.assert_allclose(value(both, Y, P), found["class"] + 0.5 * found["box"], rtol=1e-6)


@pytest.mark.parametrize("classes", ["sigmoid", "softmax", "objectness"])
def test_a_detector_trains_and_is_saved(tmp_path, classes):
    """Every term is in the logs, and a saved model goes on with the same numbers."""
    focal = FocalLoss(from_logits=True, multi_label=True)
    softmax = CrossentropyLoss(from_logits=True)
    loss = {
        "sigmoid": DetectionLoss(focal, IoULoss("ciou"), weights={"box": 2.0}),
        "softmax": DetectionLoss(softmax, IoULoss("giou")),
        "objectness": DetectionLoss(softmax, IoULoss("giou"), softmax),
    }[classes]
    outputs = 4 + {"sigmoid": 2, "softmax": 3, "objectness": 2 + 1}[classes]
    inputs = keras.Input((3, 4))
    model = LossAwareModel(inputs, keras.layers.Dense(outputs)(inputs))
    model.compile(keras.optimizers.SGD(0.1), loss=loss, jit_compile=False)
    x = np.random.default_rng(0).normal(0, 1, (2, 3, 4)).astype("float32")
    history = model.fit(x, Y, epochs=3, verbose=0).history
    assert history["loss"][-1] < history["loss"][0]
    named = {"class", "box", *(["objectness"] if classes == "objectness" else [])}
    assert named <= history.keys()
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(*(m.evaluate(x, Y, verbose=0)[0] for m in (model, again)), rtol=1e-6)


def test_errors():
    with pytest.raises(ValueError, match=r"must have the shape \(batch, boxes, 4 \+ 1\).*\(2, 3, 4\)"):
        SIZES(Y[..., :4], P)
    with pytest.raises(ValueError, match=r"from 0 to 1\. Received: 2\. The predictions have 2 outputs"):
        SIZES(np.where(Y == 1, np.float32(2), Y), P)
    softmax = DetectionLoss(CrossentropyLoss(from_logits=True), SquaredErrorLoss())
    with pytest.raises(
        ValueError, match=r"from 0 to 0\. Received: 1\. .* the last of which stands for no object"
    ):
        softmax(Y, P)
    with pytest.raises(
        ValueError, match=r"`dice_loss` must return one value for each box, of shape \(2, 3\)"
    ):
        DetectionLoss(DiceLoss(multi_label=True), SquaredErrorLoss())(Y, P)
    with pytest.raises(
        ValueError, match=r"`weights` must have the names of the losses, class, box\. Received: 'dice'"
    ):
        DetectionLoss(CrossentropyLoss(), SquaredErrorLoss(), weights={"dice": 1.0})
