"""Latent codes by hand."""

from math import e

from keras_losses import GaussianKLLoss

BY_HAND = [
    (GaussianKLLoss, {}, [0.0], [[1.0, 2.0, 0.0, 0.0]], [(1 + 4) / 2]),
    (GaussianKLLoss, {}, [[7.0]], [[0.0, 1.0]], [(e - 1 - 1) / 2]),
    (GaussianKLLoss, {}, [0.0], [[0.0, 1e-4]], [(1e-8 / 2 + 1e-12 / 6) / 2]),
    (GaussianKLLoss, {}, [[0.0], [0.0]], [[3.0, -1e4], [0.0, 0.0]], [(9 + 1e4 - 1) / 2, 0.0]),
]
