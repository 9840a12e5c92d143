"""What drawn examples (test_properties.py) have found, each as arithmetic that a reader can check."""

import numpy as np
import pytest

from keras_losses import SquaredErrorLoss
from tests.backends import COMPILED, compiled, value


@pytest.mark.parametrize("name", ["a/b", "mean square", "Größe", "_mine", "/"])
def test_any_name(name):
    """A loss of any name works in eager mode and in graphs, whose own names may not have every character."""
    loss, y_true, y_pred = SquaredErrorLoss(name=name), np.array([[1.0]]), np.array([[3.0]], "float32")
    assert loss.name == name
    assert value(loss, y_true, y_pred) == (1 - 3) ** 2
    for mode in COMPILED:
        assert compiled(loss, mode)(y_true, y_pred)[0] == (1 - 3) ** 2
