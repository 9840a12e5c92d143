"""A vocabulary's cross-entropy by hand."""

from math import exp, log, tanh

from keras_losses import VocabularyCrossentropy

BY_HAND = [
    (VocabularyCrossentropy, {}, [0, 1], [[0.0, 0.0], [3.0, 0.0]], [log(2), log(1 + exp(3))]),
    (VocabularyCrossentropy, {}, [[2], [0]], [[0.0, 0.0, log(2)]] * 2, [log(2), log(4)]),
    (VocabularyCrossentropy, {"z_loss": 0.5}, [0], [[log(3), 0.0]], [log(4 / 3) + 0.5 * log(4) ** 2]),
    (VocabularyCrossentropy, {"soft_cap": 2.0}, [1], [[3.0, 0.0]], [log(1 + exp(2 * tanh(1.5)))]),
    (VocabularyCrossentropy, {"soft_cap": 30.0}, [1], [[1e4, 0.0]], [30.0]),
    (VocabularyCrossentropy, {"label_smoothing": 0.5}, [0], [[log(3), 0.0]], [log(4 / 3) + 0.25 * log(3)]),
    (VocabularyCrossentropy, {"ignore_class": 7}, [7, 0], [[9.0, 1.0], [0.0, 0.0]], [0.0, log(2)]),
]

REFUSED = [
    (VocabularyCrossentropy, {}, [2], [[0.0, 1.0]], "2"),
    (VocabularyCrossentropy, {"ignore_class": -1}, [-2], [[0.0, 1.0]], "-2"),
]
