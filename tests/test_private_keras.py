"""Private names of Keras that the library uses: when one of these fails, Keras has changed it."""

import keras
import numpy as np
import pytest

import keras_losses


def test_the_mask_of_a_prediction():
    """base.py reads it with keras.src.backend.get_keras_mask."""
    from keras.src.backend import get_keras_mask

    inputs = keras.Input((2, 1))
    model = keras.Model(inputs, keras.layers.Masking()(inputs))
    outputs = model(np.array([[[0.0], [1.0]]], "float32"))
    assert keras.ops.convert_to_numpy(get_keras_mask(outputs)).tolist() == [[False, True]]
    assert get_keras_mask(keras.ops.ones(2)) is None


def test_keras_trying_a_model_out():
    """base.py asks keras.src.backend.in_stateless_scope, and then checks no values."""
    from keras.src.backend import in_stateless_scope

    loss, ids = keras_losses.CrossentropyLoss(from_logits=True), np.array([7])
    assert not in_stateless_scope()
    with keras.StatelessScope():
        assert in_stateless_scope()
        loss(ids, np.zeros((1, 3), "float32"))
    with pytest.raises(ValueError, match="from 0 to 2"):
        loss(ids, np.zeros((1, 3), "float32"))


def test_the_layers_inside_a_layer():
    """penalties.py lists them with Layer._flatten_layers."""
    inner = keras.layers.Dense(1)
    outer = keras.layers.TimeDistributed(inner)
    assert list(outer._flatten_layers(include_self=False, recursive=False)) == [inner]


def test_the_logits_kept_beside_a_probability():
    """numerics.py looks for `_keras_logits`; traced by JAX a tensor cannot have them."""
    logits = keras.ops.convert_to_tensor([[1.0, 2.0]])
    for activation in (keras.activations.softmax, keras.activations.sigmoid):
        assert activation(logits)._keras_logits is logits
