"""The values: worked out by hand, by an independent reference, and by the identities on the cards."""

import math

import keras
import numpy as np
import pytest

from keras_losses import (
    CrossentropyLoss,
    FocalLoss,
    HingeLoss,
    HuberLoss,
    KLDivergenceLoss,
    MulticlassHingeLoss,
    RegularizedLoss,
    SquaredErrorLoss,
)
from tests.backends import value, value_and_gradient
from tests.cases import BY_HAND
from tests.contract.cases import about, batches, bound, cases, computes_in_float64, double, every_loss, single
from tests.every_loss import LOSSES, build
from tests.kinds.kind import Seeded
from tests.oracles import REGISTRY, expected

exp = math.exp


@pytest.mark.parametrize(("loss", "options", "y_true", "y_pred", "result"), BY_HAND)
def test_by_hand(loss, options, y_true, y_pred, result):
    """Arithmetic that a reader can check gives the loss's values."""
    found = value(loss(**options, reduction="none"), np.asarray(y_true), np.asarray(y_pred, "float32"))
    np.testing.assert_allclose(found, result, rtol=2e-6)


@every_loss
def test_three_cases_by_hand(loss):
    """Every loss has at least three cases that were worked out by hand."""
    assert sum(case[0].__name__ == loss for case in BY_HAND) >= 3


def test_confidently_wrong_focal_sample_still_learns():
    """Focal loss on logits 20 and 0, second class true: the value is 20, the gradient 1 and -1 in size."""
    loss = FocalLoss(from_logits=True, reduction="none")
    found, gradient = value_and_gradient(loss, np.array([1]), np.array([[20.0, 0.0]], "float32"))
    # ce = log(1 + e^20), q = 1 - p_t = 1 / (1 + e^-20); d/dz_1 = -q (q^2 + 2 ce p q) with p = 1 - q
    p, ce = exp(-20) / (1 + exp(-20)), 20 + math.log1p(exp(-20))
    slope = (1 - p) ** 3 + 2 * ce * p * (1 - p) ** 2
    np.testing.assert_allclose(found, [(1 - p) ** 2 * ce], rtol=2e-6)
    np.testing.assert_allclose(gradient, [[slope, -slope]], rtol=2e-6)


def test_nearly_perfect_sample_keeps_its_digits():
    """Cross-entropy on logits 20 and 0, first class true: 2.06e-9 with the gradient -2.06e-9, not 0."""
    loss = CrossentropyLoss(from_logits=True, reduction="none")
    found, gradient = value_and_gradient(loss, np.array([0]), np.array([[20.0, 0.0]], "float32"))
    slope = exp(-20) / (1 + exp(-20))
    np.testing.assert_allclose(found, [math.log1p(exp(-20))], rtol=2e-6)
    np.testing.assert_allclose(gradient, [[-slope, slope]], rtol=2e-6)


# The independent reference ----------------------------------------------------------------------------


@every_loss
def test_oracle_in_single_precision(loss):
    """float32 gives the reference's values to 2e-6, of the terms where they cancel."""
    for case in cases(loss):
        with about(case):
            found, exact = single(case).values, single(case).exact
            assert found.shape == case.batch.leading
            assert found.dtype == "float32"
            limit = bound(case.build(), case.y_true, case.y_pred, exact, found, case.batch.axis)
            assert (np.abs(found - exact) <= limit).all(), (found, exact)


@every_loss
def test_oracle_in_double_precision(loss):
    """float64 gives the reference's values to 1e-12, of the terms where they cancel."""
    for case in filter(computes_in_float64, cases(loss)):
        with about(case):
            found, exact, batch = double(case).values, double(case).exact, case.batch
            assert found.dtype == "float64"
            limit = bound(case.build(dtype="float64"), batch.y_true, batch.y_pred, exact, found, batch.axis)
            assert (np.abs(found - exact) <= limit).all(), (found, exact)


# Identities ------------------------------------------------------------------------------------------

IDENTITIES = [
    pytest.param(name, identity, id=f"{name} {dict(identity.when)}")
    for name, loss in LOSSES.items()
    for identity in (loss.card.identities if loss.card else ())
]


@pytest.mark.parametrize(("loss", "identity"), IDENTITIES)
def test_identity(loss, identity):
    """The identities on the card hold to 1e-6."""
    # An identity may be one for other hyper-parameters than a batch states.
    fitting = [
        batch
        for batch in batches(loss)
        if all(batch.options.get(key, value) == value for key, value in identity.when.items())
        and not isinstance(batch.options.get("loss"), str)
    ]
    assert fitting
    for batch in fitting[:: -(-len(fitting) // 4)]:
        one = build(loss, {**batch.options, **identity.when}, batch.outputs, reduction="none")
        if identity.equals == "the inner loss":
            config = batch.options["loss"].get_config()
            other = type(batch.options["loss"]).from_config({**config, "reduction": "none"})
        else:
            of_other = LOSSES[identity.equals].hyperparameters
            told = {key: value for key, value in batch.options.items() if key in of_other}
            other = build(identity.equals, {**told, **identity.arguments}, reduction="none")
        y_pred = batch.y_pred.astype("float32")
        np.testing.assert_allclose(
            value(one, batch.y_true, y_pred),
            identity.factor * value(other, batch.y_true, y_pred),
            rtol=1e-6,
            err_msg=batch.name,
        )


# Other people's code -----------------------------------------------------------------------------------


def test_references_agree_with_other_libraries():
    """The references themselves agree with scikit-learn and PyTorch, where those have the loss."""
    metrics = pytest.importorskip("sklearn.metrics")
    torch = pytest.importorskip("torch")
    functional = torch.nn.functional
    r = Seeded("other libraries").random
    z, ids, y = r.normal(0, 2, (8, 3)), r.integers(0, 3, 8), r.integers(0, 2, 8)
    as_torch = {"input": torch.tensor(z), "target": torch.tensor(ids), "reduction": "none"}
    p = np.exp(z) / np.exp(z).sum(-1, keepdims=True)

    def reference(loss, y_true, y_pred):
        return expected(loss, y_true, np.asarray(y_pred))

    pairs = [
        (CrossentropyLoss(from_logits=True), ids, z, functional.cross_entropy(**as_torch)),
        (
            CrossentropyLoss(from_logits=True, label_smoothing=0.2),
            ids,
            z,
            functional.cross_entropy(**as_torch, label_smoothing=0.2),
        ),
        (
            CrossentropyLoss(from_logits=True, class_weight=[0.5, 2.0, 1.0]),
            ids,
            z,
            functional.cross_entropy(**as_torch, weight=torch.tensor([0.5, 2.0, 1.0], dtype=torch.float64)),
        ),
        (
            CrossentropyLoss(from_logits=True),
            y,
            z[:, 0],
            functional.binary_cross_entropy_with_logits(
                torch.tensor(z[:, 0]), torch.tensor(y, dtype=torch.float64), reduction="none"
            ),
        ),
        (
            CrossentropyLoss(from_logits=True, multi_label=True, pos_weight=[0.5, 3.0, 2.0]),
            (z > 0).astype(int),
            z[::-1].copy(),
            functional.binary_cross_entropy_with_logits(
                torch.tensor(z[::-1].copy()),
                torch.tensor((z > 0).astype("float64")),
                pos_weight=torch.tensor([0.5, 3.0, 2.0], dtype=torch.float64),
                reduction="none",
            ).mean(-1),
        ),
        (
            MulticlassHingeLoss(kind="weston_watkins", power=2.0),
            ids,
            z,
            3 * functional.multi_margin_loss(**as_torch, p=2),
        ),
        (
            HuberLoss(delta=0.7),
            z[:, 0],
            z[:, 1],
            functional.huber_loss(torch.tensor(z[:, 1]), torch.tensor(z[:, 0]), delta=0.7, reduction="none"),
        ),
        (
            KLDivergenceLoss(from_logits=True),
            p,
            z[::-1].copy(),
            functional.kl_div(
                torch.log_softmax(torch.tensor(z[::-1].copy()), -1), torch.tensor(p), reduction="none"
            ).sum(-1),
        ),
    ]
    for loss, y_true, y_pred, theirs in pairs:
        np.testing.assert_allclose(reference(loss, y_true, y_pred), theirs.numpy(), rtol=1e-9, atol=1e-12)

    assert reference(CrossentropyLoss(), ids, p).mean() == pytest.approx(metrics.log_loss(ids, p), rel=1e-9)
    signed = 2 * y - 1
    assert reference(HingeLoss(), signed, z[:, 0]).mean() == pytest.approx(
        metrics.hinge_loss(signed, z[:, 0]), rel=1e-9
    )
    assert reference(MulticlassHingeLoss(), ids, z).mean() == pytest.approx(
        metrics.hinge_loss(ids, z, labels=[0, 1, 2]), rel=1e-9
    )
    assert reference(SquaredErrorLoss(), z, p) == pytest.approx(((z - p) ** 2).mean(-1))
    # Lin 2017 as torchvision writes it: ce (1 - p_t)^gamma a_t.
    q = 1 / (1 + np.exp(-z[:, 0]))
    p_t, a_t = np.where(y, q, 1 - q), np.where(y, 0.25, 0.75)
    assert reference(FocalLoss(alpha=0.25, from_logits=True), y, z[:, 0]) == pytest.approx(
        -a_t * (1 - p_t) ** 2 * np.log(p_t)
    )


def test_every_oracle_has_its_loss():
    """No reference is left over from a loss that is gone."""
    assert set(REGISTRY) == set(LOSSES)


@pytest.mark.parametrize("y_true", [[1, 2, 0], [[1], [2], [0]]])
def test_what_an_inner_loss_of_keras_ignores_is_not_counted(y_true):
    """The mean is over the labels that are left."""
    loss = RegularizedLoss(keras.losses.SparseCategoricalCrossentropy(ignore_class=2), activity_l1=1.0)
    found = value(loss, np.array(y_true), np.array([[0.5, 0.25, 0.25]] * 3, "float32"))
    np.testing.assert_allclose(found, (math.log(4) + 1 + math.log(2) + 1) / 2, rtol=2e-6)


def test_reduced_value_is_that_of_keras():
    """A loss called as Keras calls it, with the default reduction, is the mean of its values."""
    assert isinstance(CrossentropyLoss(), keras.losses.Loss)
    found = value(FocalLoss(), np.array([1, 0]), np.array([0.9, 0.9], "float32"))
    np.testing.assert_allclose(found, (0.1**2 * -math.log(0.9) + 0.9**2 * -math.log(0.1)) / 2, rtol=2e-6)
