"""What drawn examples (test_properties.py) have found, each as arithmetic that a reader can check."""

from math import log

import numpy as np
import pytest

from keras_losses import CrossentropyLoss, SquaredErrorLoss
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
