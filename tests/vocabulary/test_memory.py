"""A compiled step of a vocabulary head never has the logits of all tokens in memory."""

import gc

import numpy as np
import pytest

from keras_losses import CrossentropyLoss, VocabularyCrossentropy
from keras_losses.vocabulary import arrays as chunk_arrays
from keras_losses.vocabulary import head
from tests.backends import BACKEND, tensor
from tests.vocabulary.test_vocabulary import IDS, LABELS, network

if BACKEND == "tensorflow":
    import tensorflow as tf
elif BACKEND == "jax":
    import jax

WHOLE = ("[48,5,11]", "[240,11]", "[11,240]")
"""Shapes of the logits of all tokens."""


def step_of(model, loss):
    """The model's loss and its gradients, as a function that is compiled, and the text of what it became."""
    model(IDS[:1])
    ids, truth = tensor(np.tile(IDS, (8, 1)), "int32"), tensor(np.tile(LABELS, (8, 1)), "int32")
    if BACKEND == "jax":
        others = [v.value for v in model.non_trainable_variables]

        def total(trained):
            return loss(truth, model.stateless_call(trained, others, ids)[0])

        given = [v.value for v in model.trainable_variables]
        return jax.jit(jax.value_and_grad(total)).lower(given).compile().as_text()

    @tf.function(autograph=False, jit_compile=True)
    def both():
        with tf.GradientTape() as tape:
            value = loss(truth, model(ids))
        return value, tape.gradient(value, [v.value for v in model.trainable_variables])

    return both.experimental_get_compiler_ir()(stage="optimized_hlo")


@pytest.mark.skipif(BACKEND == "torch", reason="nothing is compiled on PyTorch")
@pytest.mark.parametrize(
    ("kind", "axis"), [("head", 2), pytest.param("tied", -1, marks=pytest.mark.thorough)]
)
def test_the_logits_are_not_in_the_compiled_step(kind, axis, monkeypatch):
    """48 sequences of 5 tokens: in no shape are there 240 times 11 logits."""
    monkeypatch.setattr(head, "_ATTACHED", {})
    compiled = step_of(network(kind), VocabularyCrossentropy(chunk=16, axis=axis))
    assert not any(shape in compiled for shape in WHOLE)
    assert "[16,11]" in compiled  # as the logits of a chunk are
    gc.collect()
    assert not head._ATTACHED  # nothing that was traced is kept


@pytest.mark.thorough
@pytest.mark.skipif(BACKEND == "torch", reason="nothing is compiled on PyTorch")
def test_the_logits_of_dense_are_in_the_compiled_step():
    """So the shapes above are those that whole logits would have."""
    compiled = step_of(network("dense"), CrossentropyLoss(from_logits=True))
    assert any(shape in compiled for shape in WHOLE)


@pytest.mark.skipif(BACKEND != "tensorflow", reason="on JAX all is compiled")
def test_the_compiler_is_known_while_a_graph_is_traced():
    """Only XLA adds to the kernel's gradient in place; TensorFlow says so in a private module."""
    seen = []

    def look(x):
        seen.append(chunk_arrays.updates_in_place())
        return tf.while_loop(
            lambda k: k < 1, lambda k: seen.append(chunk_arrays.updates_in_place()) or (k + 1,), (x,)
        )

    for jit_compile in (True, False):
        tf.function(look, autograph=False, jit_compile=jit_compile)(tf.constant(0))
    assert seen == [True, True, False, False]
