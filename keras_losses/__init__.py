"""Losses for Keras 3: exact for extreme values, used like Keras's own losses, saved with the model."""

from keras_losses import config
from keras_losses.combine.around import KerasLoss
from keras_losses.combine.composite import CompositeLoss
from keras_losses.combine.multitask import UncertaintyWeightedLoss
from keras_losses.core import Learned, Loss
from keras_losses.layers.early_learning import EarlyLearningTargets
from keras_losses.layers.ordinal_heads import CoralDense, CumulativeLink
from keras_losses.losses.class_balance import class_counts, class_weights, output_bias
from keras_losses.losses.counts import NegativeBinomialLoss, PoissonNLLLoss, ZeroInflatedPoissonLoss
from keras_losses.losses.crossentropy import (
    AsymmetricLoss,
    CrossentropyLoss,
    FocalLoss,
    PolyLoss,
    TaylorCrossentropyLoss,
)
from keras_losses.losses.deviance import GammaLoss, PoissonLoss, TweedieLoss
from keras_losses.losses.divergence import (
    AlphaDivergenceLoss,
    DistillationLoss,
    EarthMoverLoss,
    HellingerLoss,
    JensenShannonLoss,
    KLDivergenceLoss,
    RenyiLoss,
    TotalVariationLoss,
)
from keras_losses.losses.evidential import EvidentialClassificationLoss, EvidentialRegressionLoss
from keras_losses.losses.imbalance import EqualizedFocalLoss, LDAMLoss, LogitAdjustedLoss, SeesawLoss
from keras_losses.losses.latent import GaussianKLLoss
from keras_losses.losses.likelihood import (
    BetaNLLLoss,
    GaussianCRPSLoss,
    GaussianMixtureLoss,
    GaussianNLLLoss,
    LaplaceNLLLoss,
    LogNormalNLLLoss,
    StudentTNLLLoss,
)
from keras_losses.losses.margin import HingeLoss, ModifiedHuberLoss, MulticlassHingeLoss, SmoothHingeLoss
from keras_losses.losses.noise import (
    ActivePassiveLoss,
    BiTemperedLoss,
    BootstrapLoss,
    EarlyLearningLoss,
    GeneralizedCrossentropyLoss,
    JensenShannonConsistencyLoss,
    SymmetricCrossentropyLoss,
)
from keras_losses.losses.ordinal import CoralLoss, CornLoss, CumulativeLinkLoss, WeightedKappaLoss
from keras_losses.losses.ordinal_labels import OrdinalLabels
from keras_losses.losses.pictures import AdaptiveWingLoss, StructuralSimilarityLoss
from keras_losses.losses.quantile import ExpectileLoss, QuantileLoss
from keras_losses.losses.regression import (
    AbsoluteErrorLoss,
    EpsilonInsensitiveLoss,
    HuberLoss,
    LogCoshLoss,
    PseudoHuberLoss,
    SmoothL1Loss,
    SquaredErrorLoss,
    WingLoss,
)
from keras_losses.losses.robust import (
    AdaptiveBarronLoss,
    BarronLoss,
    CauchyLoss,
    GemanMcClureLoss,
    TukeyBiweightLoss,
    WelschLoss,
)
from keras_losses.penalties.inputs import ConsistencyPenalty, InputGradientPenalty, JacobianPenalty
from keras_losses.penalties.predictions import RegularizedLoss
from keras_losses.penalties.weights import regularize
from keras_losses.training.model import LossAwareModel
from keras_losses.training.state import LossState
from keras_losses.vocabulary import VocabularyCrossentropy, VocabularyEmbedding, VocabularyHead

__version__ = "0.1.0"

__all__ = [
    "AbsoluteErrorLoss",
    "ActivePassiveLoss",
    "AdaptiveBarronLoss",
    "AdaptiveWingLoss",
    "AlphaDivergenceLoss",
    "AsymmetricLoss",
    "BarronLoss",
    "BetaNLLLoss",
    "BiTemperedLoss",
    "BootstrapLoss",
    "CauchyLoss",
    "CompositeLoss",
    "ConsistencyPenalty",
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
    "EpsilonInsensitiveLoss",
    "EqualizedFocalLoss",
    "EvidentialClassificationLoss",
    "EvidentialRegressionLoss",
    "ExpectileLoss",
    "FocalLoss",
    "GammaLoss",
    "GaussianCRPSLoss",
    "GaussianKLLoss",
    "GaussianMixtureLoss",
    "GaussianNLLLoss",
    "GemanMcClureLoss",
    "GeneralizedCrossentropyLoss",
    "HellingerLoss",
    "HingeLoss",
    "HuberLoss",
    "InputGradientPenalty",
    "JacobianPenalty",
    "JensenShannonConsistencyLoss",
    "JensenShannonLoss",
    "KLDivergenceLoss",
    "KerasLoss",
    "LDAMLoss",
    "LaplaceNLLLoss",
    "Learned",
    "LogCoshLoss",
    "LogNormalNLLLoss",
    "LogitAdjustedLoss",
    "Loss",
    "LossAwareModel",
    "LossState",
    "ModifiedHuberLoss",
    "MulticlassHingeLoss",
    "NegativeBinomialLoss",
    "OrdinalLabels",
    "PoissonLoss",
    "PoissonNLLLoss",
    "PolyLoss",
    "PseudoHuberLoss",
    "QuantileLoss",
    "RegularizedLoss",
    "RenyiLoss",
    "SeesawLoss",
    "SmoothHingeLoss",
    "SmoothL1Loss",
    "SquaredErrorLoss",
    "StructuralSimilarityLoss",
    "StudentTNLLLoss",
    "SymmetricCrossentropyLoss",
    "TaylorCrossentropyLoss",
    "TotalVariationLoss",
    "TukeyBiweightLoss",
    "TweedieLoss",
    "UncertaintyWeightedLoss",
    "VocabularyCrossentropy",
    "VocabularyEmbedding",
    "VocabularyHead",
    "WeightedKappaLoss",
    "WelschLoss",
    "WingLoss",
    "ZeroInflatedPoissonLoss",
    "class_counts",
    "class_weights",
    "config",
    "output_bias",
    "regularize",
]
