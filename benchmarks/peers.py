"""What a user would pick instead of a loss: Keras's own, focal-loss, optax and PyTorch."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from benchmarks.backends import Function
from tests.kinds.kind import hot

BOTH, VALUE, GRADIENT = ("value", "gradient"), ("value",), ("gradient",)


@dataclass(frozen=True)
class Peer:
    """A function that stands where the loss stands."""

    name: str
    make: Callable[[], Function]
    package: str = "keras"
    """What must be installed."""
    labels: Callable[[np.ndarray, int], np.ndarray] = lambda y, classes: y
    """What it takes in place of our labels, made before anything is measured; of these and the classes."""
    times: float = 1.0
    """Ours is so many times it."""
    agrees: tuple[str, ...] = BOTH
    """What is that; where something is left out, a comment says why."""


BACKEND = {"focal_loss": "tensorflow", "tensorflow": "tensorflow", "optax": "jax", "torch": "torch"}
"""The backend of a package that has only one."""


def of_keras(
    kind: str, before: Callable[[Any], Any] = lambda x: x, /, name: str = "Keras", **options: Any
) -> Peer:
    """One of Keras's classes, of the predictions once `before` has made of them what it takes."""
    about = {key: options.pop(key) for key in ("labels", "times", "agrees") if key in options}

    def make() -> Function:
        loss = getattr(keras.losses, kind)(**options)
        return lambda y, x: loss(y, before(x))

    return Peer(name, make, **about)


def of_focal_loss(name: str) -> Peer:
    def make() -> Function:
        import focal_loss

        return getattr(focal_loss, name)(gamma=2.0, from_logits=True)  # type: ignore[no-any-return]

    return Peer("focal-loss", make, "focal_loss")


def of_optax(name: str) -> Peer:
    """Their functions take the predictions first, and return one value for each sample or number."""

    def make() -> Function:
        import optax

        function = getattr(optax.losses, name)
        return lambda y, x: function(x, y).mean()

    return Peer("optax", make, "optax")


def _tensorflow_similarity() -> Peer:
    def make() -> Function:
        import tensorflow as tf

        return lambda y, x: tf.reduce_mean(1.0 - tf.image.ssim(y, x, 1.0))

    return Peer("tf.image.ssim", make, "tensorflow")


def of_torch(make: Callable[[Any], Function], **about: Any) -> Peer:
    """A function of `torch`, as one writes it."""

    def made() -> Function:
        import torch

        return make(torch)

    return Peer("PyTorch", made, "torch", **about)


def of_functional(name: str, **about: Any) -> Peer:
    """One of `torch.nn.functional`, of predictions and labels in one shape."""
    return of_torch(lambda torch: lambda y, x: getattr(torch.nn.functional, name)(x, y), **about)


def _rows(x: Any) -> Any:
    """With one axis of samples, as PyTorch wants the classes in the second."""
    return x.reshape(-1, x.shape[-1])


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

    return Peer("optax", make, "optax")


def _torch_kl(torch: Any) -> Function:
    f = torch.nn.functional
    return lambda y, x: f.kl_div(f.log_softmax(x, -1), y, reduction="batchmean")


def _torch_distillation(torch: Any) -> Function:
    f = torch.nn.functional
    return lambda y, x: 4.0 * f.kl_div(f.log_softmax(x / 2, -1), f.softmax(y / 2, -1), reduction="batchmean")


def _long(y: np.ndarray, classes: int) -> np.ndarray:
    return y.astype("int64")


def _one_hot(y: np.ndarray, classes: int) -> np.ndarray:
    return hot(y, classes).astype("float32")


LOGITS: dict[str, Any] = {"from_logits": True}
ONE_HOT: dict[str, Any] = {"name": "Keras one-hot", "labels": _one_hot, **LOGITS}


def _torch_crossentropy(torch: Any) -> Function:
    f = torch.nn.functional
    return lambda y, x: f.cross_entropy(_rows(x), y.reshape(-1) if y.ndim < x.ndim else _rows(y))


PEERS: dict[str, dict[str, tuple[Peer, ...]]] = {
    "CrossentropyLoss": {
        "sparse": (
            of_keras("SparseCategoricalCrossentropy", **LOGITS),
            of_keras("CategoricalCrossentropy", **ONE_HOT),
            of_optax("softmax_cross_entropy_with_integer_labels"),
            of_torch(_torch_crossentropy, labels=_long),
        ),
        "one-hot": (
            of_keras("CategoricalCrossentropy", **LOGITS),
            of_optax("softmax_cross_entropy"),
            of_torch(_torch_crossentropy),
        ),
        "binary": (
            of_keras("BinaryCrossentropy", **LOGITS),
            of_optax("sigmoid_binary_cross_entropy"),
            of_functional("binary_cross_entropy_with_logits"),
        ),
    },
    "FocalLoss": {
        "sparse": (
            of_focal_loss("SparseCategoricalFocalLoss"),
            of_keras("CategoricalFocalCrossentropy", alpha=1.0, **ONE_HOT),
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
        "one-hot": (of_keras("CategoricalHinge", agrees=VALUE),),
    },
    "KLDivergenceLoss": {
        "distributions": (of_keras("KLDivergence", ops.softmax), _optax_kl(), of_torch(_torch_kl))
    },
    "DistillationLoss": {"logits": (_keras_distillation(), of_torch(_torch_distillation))},
    "HingeLoss": {"signs": (of_keras("Hinge"), of_optax("hinge_loss"))},
    "HingeLoss(power=2)": {"signs": (of_keras("SquaredHinge"),)},
    # Keras adds 1e-7 to the ratios, where ours adds a pixel.
    "DiceLoss": {"one-hot masks": (of_keras("Dice", axis=(1, 2), agrees=()),)},
    "TverskyLoss": {"one-hot masks": (of_keras("Tversky", alpha=0.3, beta=0.7, axis=(1, 2), agrees=()),)},
    "StructuralSimilarityLoss": {"pictures": (_tensorflow_similarity(),)},
    "SquaredErrorLoss": {
        "numbers": (of_keras("MeanSquaredError"), of_optax("squared_error"), of_functional("mse_loss"))
    },
    "AbsoluteErrorLoss": {"numbers": (of_keras("MeanAbsoluteError"), of_functional("l1_loss"))},
    "HuberLoss": {"numbers": (of_keras("Huber"), of_optax("huber_loss"), of_functional("huber_loss"))},
    "SmoothL1Loss": {"numbers": (of_functional("smooth_l1_loss"),)},
    "LogCoshLoss": {"numbers": (of_keras("LogCosh"), of_optax("log_cosh"))},
    "CompositeLoss": {"numbers": (_keras_sum(),)},
    # The deviance is 0 for the best prediction, the likelihood is not.
    "PoissonLoss": {
        "amounts": (
            of_keras("Poisson", ops.exp, times=2.0, agrees=GRADIENT),
            of_functional("poisson_nll_loss", times=2.0, agrees=GRADIENT),
        )
    },
}
"""For each loss, as `Measured.label` has it, and each workload."""


def peers(label: str, workload: str) -> tuple[Peer, ...]:
    """Those of a loss on a workload that are there with this backend; pixels are labelled as samples are."""
    found, backend = PEERS.get(label, {}).get(workload.removesuffix(" pixels"), ()), keras.backend.backend()
    here = (peer for peer in found if BACKEND.get(peer.package, backend) == backend)
    return tuple(peer for peer in here if importlib.util.find_spec(peer.package))
