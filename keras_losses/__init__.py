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
from keras_losses.likelihood import (
    BetaNLLLoss,
    EvidentialClassificationLoss,
    EvidentialRegressionLoss,
    GaussianCRPSLoss,
    GaussianMixtureLoss,
    GaussianNLLLoss,
    LaplaceNLLLoss,
    LogNormalNLLLoss,
    NegativeBinomialLoss,
    PoissonNLLLoss,
    StudentTNLLLoss,
    ZeroInflatedPoissonLoss,
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
    "AsymmetricLoss",
    "BetaNLLLoss",
    "BiTemperedLoss",
    "BootstrapLoss",
    "CoralDense",
    "CoralLoss",
    "CornLoss",
    "CrossentropyLoss",
    "CumulativeLink",
    "CumulativeLinkLoss",
    "EarlyLearningLoss",
    "EarlyLearningTargets",
    "EqualizedFocalLoss",
    "EvidentialClassificationLoss",
    "EvidentialRegressionLoss",
    "FocalLoss",
    "GaussianCRPSLoss",
    "GaussianMixtureLoss",
    "GaussianNLLLoss",
    "GeneralizedCrossentropyLoss",
    "HingeLoss",
    "HuberLoss",
    "JensenShannonConsistencyLoss",
    "KLDivergenceLoss",
    "LDAMLoss",
    "LaplaceNLLLoss",
    "LogNormalNLLLoss",
    "LogitAdjustedLoss",
    "Loss",
    "ModifiedHuberLoss",
    "MulticlassHingeLoss",
    "NegativeBinomialLoss",
    "OrdinalLabels",
    "PoissonNLLLoss",
    "PolyLoss",
    "RegularizedLoss",
    "SeesawLoss",
    "SmoothHingeLoss",
    "SquaredErrorLoss",
    "StudentTNLLLoss",
    "SymmetricCrossentropyLoss",
    "TaylorCrossentropyLoss",
    "WeightedKappaLoss",
    "ZeroInflatedPoissonLoss",
    "class_counts",
    "class_weights",
    "config",
    "output_bias",
    "regularize",
]
