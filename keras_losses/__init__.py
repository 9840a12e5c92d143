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
from keras_losses.deviance import GammaLoss, PoissonLoss, TweedieLoss
from keras_losses.divergence import KLDivergenceLoss
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
from keras_losses.quantile import ExpectileLoss, QuantileLoss
from keras_losses.regression import (
    AbsoluteErrorLoss,
    BarronLoss,
    CauchyLoss,
    EpsilonInsensitiveLoss,
    GemanMcClureLoss,
    HuberLoss,
    LogCoshLoss,
    PseudoHuberLoss,
    SmoothL1Loss,
    SquaredErrorLoss,
    TukeyBiweightLoss,
    WelschLoss,
    WingLoss,
)
from keras_losses.regularized import RegularizedLoss, regularize

__version__ = "0.1.0"

__all__ = [
    "AbsoluteErrorLoss",
    "ActivePassiveLoss",
    "AsymmetricLoss",
    "BarronLoss",
    "BiTemperedLoss",
    "BootstrapLoss",
    "CauchyLoss",
    "CoralDense",
    "CoralLoss",
    "CornLoss",
    "CrossentropyLoss",
    "CumulativeLink",
    "CumulativeLinkLoss",
    "EarlyLearningLoss",
    "EarlyLearningTargets",
    "EpsilonInsensitiveLoss",
    "EqualizedFocalLoss",
    "ExpectileLoss",
    "FocalLoss",
    "GammaLoss",
    "GemanMcClureLoss",
    "GeneralizedCrossentropyLoss",
    "HingeLoss",
    "HuberLoss",
    "JensenShannonConsistencyLoss",
    "KLDivergenceLoss",
    "LDAMLoss",
    "LogCoshLoss",
    "LogitAdjustedLoss",
    "Loss",
    "ModifiedHuberLoss",
    "MulticlassHingeLoss",
    "OrdinalLabels",
    "PoissonLoss",
    "PolyLoss",
    "PseudoHuberLoss",
    "QuantileLoss",
    "RegularizedLoss",
    "SeesawLoss",
    "SmoothHingeLoss",
    "SmoothL1Loss",
    "SquaredErrorLoss",
    "SymmetricCrossentropyLoss",
    "TaylorCrossentropyLoss",
    "TukeyBiweightLoss",
    "TweedieLoss",
    "WeightedKappaLoss",
    "WelschLoss",
    "WingLoss",
    "class_counts",
    "class_weights",
    "config",
    "output_bias",
    "regularize",
]
