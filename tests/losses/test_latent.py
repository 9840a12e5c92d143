"""Latent codes have no targets."""

import numpy as np
import pytest

from keras_losses import GaussianKLLoss
from tests.backends import value
from tests.kinds.kind import Seeded


def test_latent_codes_without_targets():
    """A zero for each sample and a zero for each dimension mean the same; other shapes raise."""
    code = Seeded("code").random.normal(0, 1, (5, 6))
    exact = value(GaussianKLLoss(), np.zeros((5, 3)), code)
    assert value(GaussianKLLoss(), np.full(5, np.nan), code) == exact
    for shape in ((4,), (5, 2), (5, 6), (1, 3), ()):
        with pytest.raises(ValueError, match=r"shape|scalar"):
            GaussianKLLoss()(np.zeros(shape), code)
