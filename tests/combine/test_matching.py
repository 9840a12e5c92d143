"""Sets of boxes: the assignment of the smallest loss, whatever the order of objects and predictions."""

import itertools
import sys

import keras
import numpy as np
import pytest

from keras_losses import (
    AbsoluteErrorLoss,
    CrossentropyLoss,
    DetectionLoss,
    FocalLoss,
    IoULoss,
    LossAwareModel,
    SetPredictionLoss,
    SquaredErrorLoss,
    match_boxes,
)
from tests import thorough
from tests.backends import BACKEND, MODES, compiled, value, value_and_gradient

FOCAL = DetectionLoss(FocalLoss(from_logits=True, multi_label=True), 2 * IoULoss() + AbsoluteErrorLoss())
SOFTMAX = DetectionLoss(CrossentropyLoss(from_logits=True), SquaredErrorLoss())
OBJECTNESS = DetectionLoss(CrossentropyLoss(from_logits=True), IoULoss(), CrossentropyLoss(from_logits=True))


def data(outputs, images=2, objects=3, boxes=4):
    """Objects of two classes, the last of each image padding, and predictions."""
    random = np.random.default_rng(0)
    corners = np.sort(random.normal(0, 2, (images, objects, 2, 2)), axis=2).reshape(images, objects, 4)
    ids = random.integers(0, 2, (images, objects, 1))
    ids[:, -1] = -1
    y_pred = random.normal(0, 1, (images, boxes, 4 + outputs)).astype("float32")
    y_pred[..., 2:4] += 1
    return np.concatenate([corners, ids], -1).astype("float32"), y_pred


CASES = thorough.few([(FOCAL, 2), (SOFTMAX, 3), (OBJECTNESS, 3)], 1)


@pytest.mark.parametrize(("cost", "outputs"), CASES)
def test_the_assignment_has_the_smallest_loss(cost, outputs):
    """Of all ways to give two objects to four predictions."""
    y_true, y_pred = data(outputs)
    found = value(SetPredictionLoss(cost, reduction="none"), y_true, y_pred)
    for image in range(2):
        ways = []
        for boxes in itertools.permutations(range(4), 2):
            labels = np.array([[[0, 0, 0, 0, -1]] * 4], "float32")
            labels[0, list(boxes)] = y_true[image, :2]
            ways.append(float(np.sum(value(cost, labels, y_pred[image : image + 1]))) * 2)
        np.testing.assert_allclose(found[image], min(ways), rtol=1e-5)


@pytest.mark.parametrize(("cost", "outputs"), CASES)
def test_order_has_no_meaning(cost, outputs):
    """Permuted predictions and permuted objects cost the same, and the gradient moves with its prediction."""
    y_true, y_pred = data(outputs)
    loss = SetPredictionLoss(cost)
    exact, slope = value_and_gradient(loss, y_true, y_pred)
    order = [2, 0, 3, 1]
    found, moved = value_and_gradient(loss, y_true[:, ::-1].copy(), y_pred[:, order])
    np.testing.assert_allclose(found, exact, rtol=1e-6)
    np.testing.assert_allclose(moved, slope[:, order], rtol=1e-5, atol=1e-7)


def test_more_objects_than_predictions():
    """The two predictions get the two objects with which the loss is smallest."""
    y_true = np.array([[[0, 0, 1, 1, 0], [5, 5, 6, 6, 1], [9, 9, 10, 10, 0]]], "float32")
    y_pred = np.array([[[9, 9, 10, 10, 3, -3], [0, 0, 1, 1, 3, -3]]], "float32")
    labels = match_boxes(y_true, y_pred, FOCAL)
    assert isinstance(labels, np.ndarray)
    np.testing.assert_array_equal(labels, y_true[:, [2, 0]])


def test_predictions_that_are_not_finite_do_not_stop_a_training():
    """The assignment is found, and the NaN stays visible in the value of its image."""
    y_true, y_pred = data(2)
    y_pred[0, 1] = np.nan
    found = value(SetPredictionLoss(FOCAL, reduction="none"), y_true, y_pred)
    assert np.isnan(found[0])
    assert np.isfinite(found[1])


@pytest.mark.parametrize("mode", MODES)
def test_compiled(mode):
    """Compiled steps have the values and gradients of eager ones; XLA on TensorFlow says what to do."""
    y_true, y_pred = data(2)
    exact, slope = value_and_gradient(SetPredictionLoss(FOCAL), y_true, y_pred)
    run = compiled(SetPredictionLoss(FOCAL), mode)
    if BACKEND == "tensorflow" and mode == "xla":
        with pytest.raises(ValueError, match="jit_compile=False"):
            run(y_true, y_pred)
        return
    found, gradient = run(y_true, y_pred)
    np.testing.assert_allclose(found, exact, rtol=1e-6)
    np.testing.assert_allclose(gradient, slope, rtol=1e-5, atol=1e-7)


def test_a_detector_of_sets_trains_and_is_saved(tmp_path):
    """With its terms in the logs."""
    y_true, _ = data(2)
    inputs = keras.Input((4, 4))
    model = LossAwareModel(inputs, keras.layers.Dense(4 + 2)(inputs))
    model.compile(keras.optimizers.SGD(0.05), loss=SetPredictionLoss(FOCAL), jit_compile=False)
    x = np.random.default_rng(1).normal(0, 1, (2, 4, 4)).astype("float32")
    history = model.fit(x, y_true, epochs=3, verbose=0).history
    assert {"class", "box"} <= history.keys()
    assert history["loss"][-1] < history["loss"][0]
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(*(m.evaluate(x, y_true, verbose=0)[0] for m in (model, again)), rtol=1e-6)


def test_errors(monkeypatch):
    y_true, y_pred = data(2)
    with pytest.raises(TypeError, match="`SetPredictionLoss`: `loss` must be a DetectionLoss"):
        SetPredictionLoss(FocalLoss())
    with pytest.raises(TypeError, match="`match_boxes`: `cost` must be a DetectionLoss"):
        match_boxes(y_true, y_pred, IoULoss())
    with pytest.raises(ValueError, match=r"y_true of shape \(2, 3, 4\)"):
        match_boxes(y_true[..., :4], y_pred, FOCAL)
    with pytest.raises(ValueError, match=r"one value for each image.*sample_weight of shape \(2, 4\)"):
        SetPredictionLoss(FOCAL)(y_true, y_pred, np.ones((2, 4), "float32"))
    unknown = y_true.copy()
    unknown[0, 0, 4] = 7
    with pytest.raises(ValueError, match=r"from 0 to 1\. Received: 7"):
        SetPredictionLoss(FOCAL)(unknown, y_pred)
    monkeypatch.setitem(sys.modules, "scipy.optimize", None)
    with pytest.raises(ImportError, match=r'`match_boxes`: assignments need SciPy.*keras-losses\[scipy\]"'):
        match_boxes(y_true, y_pred, FOCAL)
