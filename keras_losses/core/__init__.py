"""The base classes of losses, and everything that the author of a loss imports.

from keras_losses.core import Card, ElementwiseLoss, parameter
"""

from keras_losses.core.card import Card, Identity
from keras_losses.core.checks import wanted_values
from keras_losses.core.classification import ClassificationLoss, ClassProbabilityLoss, CrossentropyFamily
from keras_losses.core.labels import Labels, Predictions
from keras_losses.core.learned import Learned
from keras_losses.core.loss import ElementwiseLoss, Loss, PackedLoss
from keras_losses.core.parameters import Parameter, flag, parameter

__all__ = [
    "Card",
    "ClassProbabilityLoss",
    "ClassificationLoss",
    "CrossentropyFamily",
    "ElementwiseLoss",
    "Identity",
    "Labels",
    "Learned",
    "Loss",
    "PackedLoss",
    "Parameter",
    "Predictions",
    "flag",
    "parameter",
    "wanted_values",
]
