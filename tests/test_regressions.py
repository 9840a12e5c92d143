"""What was found by drawn examples, and where no law looks, each as arithmetic that a reader can check."""

import functools
from math import exp, log, log1p

import numpy as np
import pytest
from keras import ops

from keras_losses import (
    CoralLoss,
    CornLoss,
    CrossentropyLoss,
    CumulativeLinkLoss,
    DistillationLoss,
    EvidentialClassificationLoss,
    FocalLoss,
    Loss,
    MulticlassHingeLoss,
    SquaredErrorLoss,
)
from tests.backends import BACKEND, COMPILED, compiled, unchecked, value, value_and_gradient


def test_any_name():
    """A loss of any name works in eager mode and in graphs, whose own names may not have every character."""
    y_true, y_pred = np.array([[1.0]]), np.array([[3.0]], "float32")
    losses = [SquaredErrorLoss(name=name) for name in ("a/b", "mean square", "Größe", "_mine", "/")]
    assert [loss.name for loss in losses] == ["a/b", "mean square", "Größe", "_mine", "/"]

    def all_of_them(y_true, y_pred, _=None):
        return ops.stack([loss(y_true, y_pred) for loss in losses])

    assert value(all_of_them, y_true, y_pred).tolist() == [(1 - 3) ** 2] * 5
    for mode in COMPILED:
        assert compiled(all_of_them, mode)(y_true, y_pred)[0].tolist() == [(1 - 3) ** 2] * 5


@pytest.mark.parametrize(("dtype", "ignored"), [("bool", -1), ("bool", 255), ("uint8", -1), ("int8", 255)])
def test_ignored_label_that_the_labels_cannot_hold(dtype, ignored):
    """Labels whose dtype has no such number hold none to ignore: True is not -1, though -1 cast to it is."""
    loss = CrossentropyLoss(multi_label=True, ignore_class=ignored, reduction="none")
    found = value(loss, np.array([[1, 0]], dtype), np.array([[0.8, 0.4]], "float32"))
    np.testing.assert_allclose(found, [(-log(0.8) - log(0.6)) / 2], rtol=2e-6)


def test_a_sample_of_weight_zero_counts_alike_in_every_encoding():
    """The mean of CORN counts it as one task, whether its label was an id or a one-hot row."""
    loss, pred = CornLoss(num_classes=3), np.zeros((2, 2), "float32")
    ids, weights = np.array([1, 2]), np.array([1.0, 0.0])
    # Class 1 is in both tasks, each worth log 2; the sample of weight 0 is the third.
    for y_true in (ids, np.eye(3)[ids]):
        np.testing.assert_allclose(value(loss, y_true, pred, weights), 2 * log(2) / 3, rtol=2e-6)


class WorstOfImage(Loss):
    """A value for each image of however many pixels."""

    def call(self, y_true, y_pred):
        y_true, y_pred = self.align(y_true, y_pred)
        return ops.max(ops.abs(y_true - y_pred), axis=tuple(range(1, len(y_pred.shape))))


def test_fewer_values_than_pixels():
    """Weights and masks of images go with their values, and are not spread over the pixels again."""
    loss, y = WorstOfImage(reduction="none"), np.zeros((2, 1, 2, 1))
    pred = np.array([1.0, 3.0, 2.0, 0.0], "float32").reshape(y.shape)
    assert value(loss, y, pred).tolist() == [3, 2]
    assert value(loss, y, pred, np.array([0.0, 5.0])).tolist() == [0, 10]
    assert value(WorstOfImage(), y, pred, np.array([0.0, 5.0])) == 10 / 2
    seen = np.array([[[True, False]], [[False, False]]])  # an image of which nothing is seen does not count
    assert value(loss, y, pred, mask=seen).tolist() == [1, 0]
    assert value(WorstOfImage(), y, pred, mask=seen) == 1
    with pytest.raises(ValueError, match=r"`sample_weight` must have one value for each sample"):
        loss(y, pred, np.ones((2, 1, 2)))


def test_missing_targets_of_single_outputs():
    """The error of a weight for each output says how such weights are given, and what it says is right."""
    y_true, weight = np.array([[1, np.nan], [2, 4]]), np.array([[1, 0], [1, 1]])
    with pytest.raises(ValueError, match=r"a last axis of 1, as in y_true\[\.\.\., None\]"):
        SquaredErrorLoss()(y_true, np.zeros((2, 2)), weight)
    mean = value(SquaredErrorLoss(), y_true[..., None], np.zeros((2, 2, 1)), weight)
    np.testing.assert_allclose(mean, (1 + 0 + 2**2 + 4**2) / 4, rtol=1e-6)


def test_missing_labels_of_several():
    """The error of a NaN names `ignore_class`, with which a missing label does not count."""
    loss, y_pred = CrossentropyLoss(multi_label=True), np.array([[0.1, 0.7]])
    with pytest.raises(ValueError, match="pass ignore_class=-1"):
        loss(np.array([[0, np.nan]]), y_pred)
    known = CrossentropyLoss(multi_label=True, ignore_class=-1)
    np.testing.assert_allclose(value(known, np.array([[0, -1]]), y_pred), -log1p(-0.1), rtol=1e-6)


@pytest.mark.parametrize("mode", ["eager", *COMPILED])
def test_a_binary_sample_that_is_nearly_right(mode):
    """log(1 + e^-20) and its slope: compilers made x of (1 + x) - 1, and so 0 of the loss."""
    loss = CrossentropyLoss(from_logits=True, reduction="none")
    call = functools.partial(value_and_gradient, loss) if mode == "eager" else compiled(loss, mode)
    found, slopes = call(np.array([[1], [0]]), np.array([[20.0], [-20.0]], "float32"))
    np.testing.assert_allclose(found, [log1p(exp(-20))] * 2, rtol=2e-6)
    np.testing.assert_allclose(slopes, [[-1 / (1 + exp(20))], [1 / (1 + exp(20))]], rtol=2e-6)


@pytest.mark.skipif(BACKEND == "torch", reason="on PyTorch one_hot raises")
def test_a_class_that_there_is_not():
    """A class id that is none has the loss NaN where it cannot raise; one beside it has a number."""
    y_true, y_pred = np.array([-1, 4, 1]), np.tile(np.array([0.5, 1.0, 2.0], "float32"), (3, 1))
    with unchecked():
        for loss in (
            CrossentropyLoss(from_logits=True, reduction="none"),
            CrossentropyLoss(from_logits=True, label_smoothing=0.1, reduction="none"),
            FocalLoss(from_logits=True, reduction="none"),
            MulticlassHingeLoss(reduction="none"),
            CoralLoss(4, reduction="none"),
            CornLoss(4, reduction="none"),
            CumulativeLinkLoss(3, reduction="none"),
            EvidentialClassificationLoss(reduction="none"),
        ):
            assert np.isnan(value(loss, y_true, y_pred)).tolist() == [True, True, False], loss


def test_a_student_at_a_high_temperature():
    """Half the variance of the difference (3, 0, 0) of the logits; two logarithms of sums left rounding."""
    loss = DistillationLoss(temperature=1e6, reduction="none")
    found = value(loss, np.zeros((1, 3), "float32"), np.array([[3.0, 0.0, 0.0]], "float32"))
    np.testing.assert_allclose(found, [(9 / 3 - 1) / 2], rtol=3e-6)
