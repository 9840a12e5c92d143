"""Masked classes: a logit of -inf, with the label 0, is a class that is not there."""

import functools
import math

import numpy as np
import pytest

from keras_losses import CrossentropyLoss, FocalLoss
from tests import thorough
from tests.backends import MODES, compiled, evaluated, value_and_gradient
from tests.contract.cases import about, combined, every_case, every_loss, single
from tests.every_loss import LOSSES
from tests.kinds import kind_of
from tests.oracles import REGISTRY, expected, rounded_terms


def with_masked_classes(loss):
    """Cases on logits, each with the same case on one more class, which is masked."""
    for case in every_case(loss):
        batch = kind_of(loss).masked(case.batch)
        masked = None if batch is None else combined(loss, case.options, batch, finite=False)
        if masked is not None:
            yield case, masked


@every_loss
def test_a_masked_class_is_no_class(loss):
    """One more class that is masked changes neither values nor gradients, and its own gradient is 0."""
    for case, masked in thorough.few(list(with_masked_classes(loss)), 1):
        with about(masked):
            built, pred = masked.build(reduction="none"), masked.y_pred
            values, gradient = evaluated(built, masked.y_true, pred)
            is_masked = np.isneginf(pred)
            assert is_masked.any()
            assert (gradient[is_masked] == 0).all()
            if REGISTRY[loss].counts_classes:
                finite = np.where(np.isneginf(pred), -1e30, pred)
                np.testing.assert_allclose(
                    values, expected(built, masked.y_true, finite), rtol=1e-5, atol=1e-6
                )
                assert np.isfinite(gradient).all()
                continue
            of_outputs = kind_of(loss).mean_over
            times = of_outputs(case.batch) / of_outputs(masked.batch)
            plain = single(case)
            np.testing.assert_allclose(values, times * plain.values, rtol=1e-5, atol=1e-6)
            left = np.delete(gradient, pred.shape[masked.batch.axis] - 1, axis=masked.batch.axis)
            if left.shape == plain.gradient.shape:
                np.testing.assert_allclose(left, times * plain.gradient, rtol=1e-5, atol=1e-6)
            assert np.isfinite(gradient).all()


ONE_OUTPUT = [name for name in LOSSES if name in REGISTRY and kind_of(name).one_output]


@pytest.mark.parametrize("loss", ONE_OUTPUT)
def test_a_masked_output_costs_nothing(loss):
    """An output whose logit is -inf beside the label 0 has the value 0 and the gradient 0."""
    told = {"from_logits": True}
    if "label_smoothing" in LOSSES[loss].hyperparameters:
        told["label_smoothing"] = 0.1
    batch = next(batch for batch in kind_of(loss).batches() if batch.outputs == 1 and batch.y_pred.ndim == 1)
    case = combined(loss, told, batch)
    y_true, pred = np.array([0, 1, 0]), np.array([-np.inf, 0.5, -0.5], "float32")
    values, gradient = evaluated(case.build(reduction="none"), y_true, pred)
    assert abs(values[0]) <= 2e-6 * rounded_terms(case.build(), y_true, np.maximum(pred, -1e30))[0]
    assert gradient[0] == 0
    assert np.isfinite(values).all()
    assert np.isfinite(gradient).all()
    assert (gradient[1:] != 0).all()


LABELS = [np.array([2]), np.array([[0, 0, 1]]), np.array([[0.0, 0.0, 1.0]])]
"""A class id, and one-hot rows of integers and of floats."""


@pytest.mark.parametrize("y_true", LABELS, ids=repr)
@pytest.mark.parametrize("mode", ["eager", *MODES])
def test_by_hand(y_true, mode):
    """Logits 1, -inf and 2 with the last class true: log(1 + e^-1), and smoothing over two classes."""
    pred = np.array([[1.0, -np.inf, 2.0]], "float32")
    other = math.exp(-1) / (1 + math.exp(-1))
    cases = [
        (CrossentropyLoss(from_logits=True), math.log1p(math.exp(-1)), other),
        # The label 0.9 + 0.1 / 2 of the true class, and 0.1 / 2 of the other one.
        (
            CrossentropyLoss(from_logits=True, label_smoothing=0.1),
            math.log1p(math.exp(-1)) + 0.05,
            other - 0.05,
        ),
        (FocalLoss(gamma=1.0, from_logits=True), other * math.log1p(math.exp(-1)), None),
    ]
    for loss, exact, slope in cases:
        run = functools.partial(value_and_gradient, loss) if mode == "eager" else compiled(loss, mode)
        found, gradient = run(y_true, pred)
        np.testing.assert_allclose(found, exact, rtol=2e-6)
        if slope is not None:
            np.testing.assert_allclose(gradient, [[slope, 0.0, -slope]], rtol=2e-6)
        assert gradient[0, 1] == 0
        np.testing.assert_allclose(gradient.sum(), 0, atol=1e-7)
