"""The contract of a loss, and all that the author of one needs.

from keras_losses.core import Card, ElementwiseLoss, parameter
"""

from keras_losses.core.base import (
    ClassificationLoss,
    CrossentropyFamily,
    ElementwiseLoss,
    Loss,
    PackedLoss,
    wanted_values,
)
from keras_losses.core.card import Card, Identity, Learned, Parameter, flag, parameter
from keras_losses.core.labels import Labels, Predictions

__all__ = [
    "Card",
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
