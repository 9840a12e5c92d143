"""What was found by drawn examples, and where no law looks, each as arithmetic that a reader can check."""

from math import log

import numpy as np
import pytest
from keras import ops

from keras_losses import CrossentropyLoss, Loss, SquaredErrorLoss
from tests.backends import COMPILED, compiled, value


@pytest.mark.parametrize("name", ["a/b", "mean square", "Größe", "_mine", "/"])
def test_any_name(name):
    """A loss of any name works in eager mode and in graphs, whose own names may not have every character."""
    loss, y_true, y_pred = SquaredErrorLoss(name=name), np.array([[1.0]]), np.array([[3.0]], "float32")
    assert loss.name == name
    assert value(loss, y_true, y_pred) == (1 - 3) ** 2
    for mode in COMPILED:
        assert compiled(loss, mode)(y_true, y_pred)[0] == (1 - 3) ** 2


@pytest.mark.parametrize(("dtype", "ignored"), [("bool", -1), ("bool", 255), ("uint8", -1), ("int8", 255)])
def test_ignored_label_that_the_labels_cannot_hold(dtype, ignored):
    """Labels whose dtype has no such number hold none to ignore: True is not -1, though -1 cast to it is."""
    loss = CrossentropyLoss(multi_label=True, ignore_class=ignored, reduction="none")
    found = value(loss, np.array([[1, 0]], dtype), np.array([[0.8, 0.4]], "float32"))
    np.testing.assert_allclose(found, [(-log(0.8) - log(0.6)) / 2], rtol=2e-6)


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
