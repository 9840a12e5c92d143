"""Special cases of the losses that take class counts."""

import numpy as np
import pytest

from keras_losses import CrossentropyLoss, LogitAdjustedLoss, class_counts
from tests.backends import value


def test_uniform_priors_are_cross_entropy():
    z = np.random.default_rng(0).normal(0, 2, (6, 3)).astype("float32")
    for prior in ([1, 1, 1], np.full(3, 0.2), np.array([7, 7, 7])):
        found = value(LogitAdjustedLoss(prior, from_logits=True), np.arange(6) % 3, z)
        np.testing.assert_allclose(
            found, value(CrossentropyLoss(from_logits=True), np.arange(6) % 3, z), rtol=1e-6
        )


def test_priors_that_are_no_rates_are_refused_with_several_labels():
    with pytest.raises(
        ValueError, match=r"rate of each output, in \(0, 1\)\. Received: class_prior=\[3\.0, 1\.0\]"
    ):
        LogitAdjustedLoss([3, 1], multi_label=True)
    with pytest.raises(
        ValueError, match=r"class 1 has no samples; leave it out, or smooth the counts: counts \+ 1"
    ):
        LogitAdjustedLoss(class_counts([0, 2]))


def test_another_number_of_priors_than_of_classes():
    with pytest.raises(ValueError, match=r"`class_prior` must have a number for each of the 3 classes"):
        value(LogitAdjustedLoss([3, 1], from_logits=True), np.array([0]), np.zeros((1, 3), "float32"))
