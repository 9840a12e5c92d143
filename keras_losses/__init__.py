"""Losses for Keras 3 that are exact at the extremes, drop in, and can be saved."""

from keras_losses import config
from keras_losses.base import Loss
from keras_losses.crossentropy import (
    AsymmetricLoss,
    CrossentropyLoss,
    FocalLoss,
    PolyLoss,
    TaylorCrossentropyLoss,
)
from keras_losses.divergence import (
    AlphaDivergenceLoss,
    DistillationLoss,
    EarthMoverLoss,
    GaussianKLLoss,
    HellingerLoss,
    JensenShannonLoss,
    KLDivergenceLoss,
    RenyiLoss,
    TotalVariationLoss,
)
from keras_losses.imbalance import (
    EqualizedFocalLoss,
    LDAMLoss,
    LogitAdjustedLoss,
    SeesawLoss,
    class_counts,
    class_weights,
    output_bias,
)
from keras_losses.margin import HingeLoss, ModifiedHuberLoss, MulticlassHingeLoss, SmoothHingeLoss
from keras_losses.noise import (
    ActivePassiveLoss,
    BiTemperedLoss,
    BootstrapLoss,
    EarlyLearningLoss,
    EarlyLearningTargets,
    GeneralizedCrossentropyLoss,
    JensenShannonConsistencyLoss,
    SymmetricCrossentropyLoss,
)
from keras_losses.ordinal import (
    CoralDense,
    CoralLoss,
    CornLoss,
    CumulativeLink,
    CumulativeLinkLoss,
    OrdinalLabels,
    WeightedKappaLoss,
)
from keras_losses.regression import AbsoluteErrorLoss, HuberLoss, SquaredErrorLoss
from keras_losses.regularized import RegularizedLoss, regularize

__version__ = "0.1.0"

__all__ = [
    "AbsoluteErrorLoss",
    "ActivePassiveLoss",
    "AlphaDivergenceLoss",
    "AsymmetricLoss",
    "BiTemperedLoss",
    "BootstrapLoss",
    "CoralDense",
    "CoralLoss",
    "CornLoss",
    "CrossentropyLoss",
    "CumulativeLink",
    "CumulativeLinkLoss",
    "DistillationLoss",
    "EarlyLearningLoss",
    "EarlyLearningTargets",
    "EarthMoverLoss",
    "EqualizedFocalLoss",
    "FocalLoss",
    "GaussianKLLoss",
    "GeneralizedCrossentropyLoss",
    "HellingerLoss",
    "HingeLoss",
    "HuberLoss",
    "JensenShannonConsistencyLoss",
    "JensenShannonLoss",
    "KLDivergenceLoss",
    "LDAMLoss",
    "LogitAdjustedLoss",
    "Loss",
    "ModifiedHuberLoss",
    "MulticlassHingeLoss",
    "OrdinalLabels",
    "PolyLoss",
    "RegularizedLoss",
    "RenyiLoss",
    "SeesawLoss",
    "SmoothHingeLoss",
    "SquaredErrorLoss",
    "SymmetricCrossentropyLoss",
    "TaylorCrossentropyLoss",
    "TotalVariationLoss",
    "WeightedKappaLoss",
    "class_counts",
    "class_weights",
    "config",
    "output_bias",
    "regularize",
]
