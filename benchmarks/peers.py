"""What a user would pick instead of a loss: Keras's own, focal-loss, optax and PyTorch."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import keras
import numpy as np
from keras import ops

from benchmarks.backends import Function
from benchmarks.workloads import one_hot

ALL = ("tensorflow", "jax", "torch")


@dataclass(frozen=True)
class Peer:
    """A function that stands where the loss stands."""

    name: str
    make: Callable[[], Function]
    backends: tuple[str, ...] = ALL
    package: str = "keras"
    """What must be installed."""
    labels: Callable[[np.ndarray, int], np.ndarray] = lambda y, classes: y
    """What it takes in place of our labels, made before anything is measured; of these and the classes."""
    times: float = 1.0
    """Ours is so many times it."""
    agrees: tuple[Literal["value", "gradient"], ...] = ("value", "gradient")
    """What is that; where something is left out, a comment says why."""


def of_keras(name: str, before: Callable[[Any], Any] = lambda x: x, **options: Any) -> Peer:
    """One of Keras's classes, of the predictions once `before` has made of them what it takes."""

    def make() -> Function:
        loss = getattr(keras.losses, name)(**options)
        return lambda y, x: loss(y, before(x))

    return Peer("Keras", make)


def of_focal_loss(name: str) -> Peer:
    def make() -> Function:
        import focal_loss

        return getattr(focal_loss, name)(gamma=2.0, from_logits=True)  # type: ignore[no-any-return]

    return Peer("focal-loss", make, ("tensorflow",), "focal_loss")


def of_optax(name: str, **options: Any) -> Peer:
    """Their functions take the predictions first, and return one value for each sample or number."""

    def make() -> Function:
        import optax

        function = getattr(optax.losses, name)
        return lambda y, x: function(x, y, **options).mean()

    return Peer("optax", make, ("jax",), "optax")


def of_torch(make: Callable[[Any], Function]) -> Peer:
    """A function of `torch`, as one writes it."""

    def made() -> Function:
        import torch

        return make(torch)

    return Peer("PyTorch", made, ("torch",), "torch")


def of_torch_distribution(make: Callable[[Any, tuple[Any, ...], Callable[[Any], Any]], Any]) -> Peer:
    """The mean of -log density of a distribution; of `torch`, the packed numbers, and what makes scales."""

    def made(torch: Any) -> Function:
        def scale(raw: Any) -> Any:
            return torch.nn.functional.softplus(raw) + 1e-3

        def function(y: Any, x: Any) -> Any:
            numbers = x.reshape(*y.shape[:-1], -1, y.shape[-1]).unbind(-2)
            return -make(torch, numbers, scale).log_prob(y).mean()

        return function

    return of_torch(made)


def _rows(x: Any) -> Any:
    """With one axis of samples, as PyTorch wants the classes in the second."""
    return x.reshape(-1, x.shape[-1])


def _mixture(torch: Any, parts: tuple[Any, ...], scale: Callable[[Any], Any]) -> Any:
    d = torch.distributions
    logits, means, scales = (torch.stack(parts[k : k + 2], -1) for k in (0, 2, 4))
    return d.MixtureSameFamily(
        d.Categorical(logits=logits, validate_args=False),
        d.Normal(means, scale(scales), validate_args=False),
        validate_args=False,
    )


def _negative_binomial(torch: Any, parts: tuple[Any, ...], scale: Callable[[Any], Any]) -> Any:
    log_mean, dispersion = parts[0], scale(parts[1])
    return torch.distributions.NegativeBinomial(
        1 / dispersion, logits=log_mean + torch.log(dispersion), validate_args=False
    )


def _beta(torch: Any, parts: tuple[Any, ...], scale: Callable[[Any], Any]) -> Any:
    mean, concentration = torch.sigmoid(parts[0]), scale(parts[1])
    return torch.distributions.Beta(mean * concentration, (1 - mean) * concentration, validate_args=False)


def _two(name: str) -> Peer:
    """A distribution of a location and a scale."""
    return of_torch_distribution(
        lambda torch, parts, scale: getattr(torch.distributions, name)(
            parts[0], scale(parts[1]), validate_args=False
        )
    )


def _keras_sum() -> Peer:
    def make() -> Function:
        losses = keras.losses.MeanSquaredError(), keras.losses.MeanAbsoluteError()
        return lambda y, x: sum(loss(y, x) for loss in losses)

    return Peer("Keras", make)


def _keras_distillation() -> Peer:
    """As Keras's own example of distillation has it."""

    def make() -> Function:
        loss = keras.losses.KLDivergence()
        return lambda y, x: 4.0 * loss(ops.softmax(y / 2.0), ops.softmax(x / 2.0))

    return Peer("Keras", make)


def _optax_kl() -> Peer:
    def make() -> Function:
        import jax
        import optax

        return lambda y, x: optax.losses.kl_divergence(jax.nn.log_softmax(x), y).mean()

    return Peer("optax", make, ("jax",), "optax")


def _torch_kl(torch: Any) -> Function:
    f = torch.nn.functional
    return lambda y, x: f.kl_div(f.log_softmax(x, -1), y, reduction="batchmean")


def _torch_distillation(torch: Any) -> Function:
    f = torch.nn.functional
    return lambda y, x: 4.0 * f.kl_div(f.log_softmax(x / 2, -1), f.softmax(y / 2, -1), reduction="batchmean")


def _long(y: np.ndarray, classes: int) -> np.ndarray:
    return y.astype("int64")


LOGITS: dict[str, Any] = {"from_logits": True}

CROSSENTROPY = {
    "sparse": (
        of_keras("SparseCategoricalCrossentropy", **LOGITS),
        replace(of_keras("CategoricalCrossentropy", **LOGITS), name="Keras one-hot", labels=one_hot),
        of_optax("softmax_cross_entropy_with_integer_labels"),
        replace(
            of_torch(lambda torch: lambda y, x: torch.nn.functional.cross_entropy(_rows(x), y.reshape(-1))),
            labels=_long,
        ),
    ),
    "one-hot": (
        of_keras("CategoricalCrossentropy", **LOGITS),
        of_optax("softmax_cross_entropy"),
        of_torch(lambda torch: lambda y, x: torch.nn.functional.cross_entropy(_rows(x), _rows(y))),
    ),
    "binary": (
        of_keras("BinaryCrossentropy", **LOGITS),
        of_optax("sigmoid_binary_cross_entropy"),
        of_torch(lambda torch: lambda y, x: torch.nn.functional.binary_cross_entropy_with_logits(x, y)),
    ),
}

PEERS: dict[str, dict[str, tuple[Peer, ...]]] = {
    "CrossentropyLoss": CROSSENTROPY,
    "FocalLoss": {
        "sparse": (
            of_focal_loss("SparseCategoricalFocalLoss"),
            replace(
                of_keras("CategoricalFocalCrossentropy", alpha=1.0, **LOGITS),
                name="Keras one-hot",
                labels=one_hot,
            ),
        ),
        "one-hot": (of_keras("CategoricalFocalCrossentropy", alpha=1.0, **LOGITS),),
        "binary": (
            of_keras("BinaryFocalCrossentropy", **LOGITS),
            of_focal_loss("BinaryFocalLoss"),
            of_optax("sigmoid_focal_loss"),
        ),
    },
    "PolyLoss": {"one-hot": (of_optax("poly_loss_cross_entropy"),)},
    "GeneralizedCrossentropyLoss": {
        "sparse": (of_keras("CategoricalGeneralizedCrossEntropy", ops.softmax, q=0.7),)
    },
    "MulticlassHingeLoss": {
        "sparse": (of_optax("multiclass_hinge_loss"),),
        # Keras's is that of the sparse one only where another score than the true one is above 0.
        "one-hot": (replace(of_keras("CategoricalHinge"), agrees=("value",)),),
    },
    "KLDivergenceLoss": {
        "distributions": (of_keras("KLDivergence", ops.softmax), _optax_kl(), of_torch(_torch_kl))
    },
    "DistillationLoss": {"logits": (_keras_distillation(), of_torch(_torch_distillation))},
    "HingeLoss": {"signs": (of_keras("Hinge"), of_optax("hinge_loss"))},
    "HingeLoss(power=2)": {"signs": (of_keras("SquaredHinge"),)},
    "SquaredErrorLoss": {
        "numbers": (
            of_keras("MeanSquaredError"),
            of_optax("squared_error"),
            of_torch(lambda torch: lambda y, x: torch.nn.functional.mse_loss(x, y)),
        )
    },
    "AbsoluteErrorLoss": {
        "numbers": (
            of_keras("MeanAbsoluteError"),
            of_torch(lambda torch: lambda y, x: torch.nn.functional.l1_loss(x, y)),
        )
    },
    "HuberLoss": {
        "numbers": (
            of_keras("Huber"),
            of_optax("huber_loss"),
            of_torch(lambda torch: lambda y, x: torch.nn.functional.huber_loss(x, y)),
        )
    },
    "SmoothL1Loss": {
        "numbers": (of_torch(lambda torch: lambda y, x: torch.nn.functional.smooth_l1_loss(x, y)),)
    },
    "LogCoshLoss": {"numbers": (of_keras("LogCosh"), of_optax("log_cosh"))},
    "CompositeLoss": {"numbers": (_keras_sum(),)},
    # The deviance is 0 for the best prediction, the likelihood is not.
    "PoissonLoss": {
        "amounts": (
            replace(of_keras("Poisson", ops.exp), times=2.0, agrees=("gradient",)),
            replace(
                of_torch(lambda torch: lambda y, x: torch.nn.functional.poisson_nll_loss(x, y)),
                times=2.0,
                agrees=("gradient",),
            ),
        )
    },
    "PoissonNLLLoss": {
        "1 of counts": (
            of_torch_distribution(
                lambda torch, parts, scale: torch.distributions.Poisson(parts[0].exp(), validate_args=False)
            ),
        )
    },
    "GaussianNLLLoss": {"2 of reals": (_two("Normal"),)},
    "LaplaceNLLLoss": {"2 of reals": (_two("Laplace"),)},
    "LogNormalNLLLoss": {"2 of positives": (_two("LogNormal"),)},
    "StudentTNLLLoss": {
        "3 of reals": (
            of_torch_distribution(
                lambda torch, parts, scale: torch.distributions.StudentT(
                    scale(parts[2]), parts[0], scale(parts[1]), validate_args=False
                )
            ),
        )
    },
    "GaussianMixtureLoss": {"6 of reals": (of_torch_distribution(_mixture),)},
    # The difference of PyTorch's digammas has two digits in float32.
    "NegativeBinomialLoss": {
        "2 of counts": (replace(of_torch_distribution(_negative_binomial), agrees=("value",)),)
    },
    "BetaNLLLoss": {"2 of shares": (of_torch_distribution(_beta),)},
}
"""For each loss, as `Measured.label` has it, and each workload."""


def peers(label: str, workload: str) -> tuple[Peer, ...]:
    """Those of a loss on a workload that are there with this backend; pixels are labelled as samples are."""
    found = PEERS.get(label, {}).get(workload.removesuffix(" pixels"), ())
    here = (peer for peer in found if keras.backend.backend() in peer.backends)
    return tuple(peer for peer in here if importlib.util.find_spec(peer.package))
