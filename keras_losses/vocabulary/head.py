"""The last layers of language models, which attach the hidden states and the kernel to their logits."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
from keras import ops

from keras_losses import keras_private, numerics
from keras_losses.core import Parameter
from keras_losses.core.saving import PACKAGE
from keras_losses.numerics import Tensor
from keras_losses.vocabulary.arrays import product

SIZE = Parameter(within="[1, inf)", integer=True)


@dataclass(frozen=True)
class Head:
    """The operands of logits: hidden states `(..., d)`, and a kernel `(d, C)` or embeddings `(C, d)`."""

    hidden: Tensor
    kernel: Tensor
    bias: Tensor | None = None
    is_embedding: bool = False
    metrics: TokenMetrics | None = None

    def logits(self) -> Tensor:
        """Return the logits `(..., C)`."""
        dtype = self.hidden.dtype
        kernel = ops.cast(self.kernel, dtype)
        logits = ops.cast(product(self.hidden, kernel, transpose_b=self.is_embedding), dtype)
        return logits if self.bias is None else logits + ops.cast(self.bias, dtype)


_ATTRIBUTE = "_keras_losses_head"

_ATTACHED: dict[int, Head] = {}
"""Heads by the id of their logits, for tensors that cannot have attributes: those that JAX traces."""


def _attach(head: Head, logits: Tensor) -> None:
    """Attach a head to its logits, until the logits are deleted."""
    try:
        setattr(logits, _ATTRIBUTE, head)
    except AttributeError:
        _ATTACHED[id(logits)] = head
        weakref.finalize(logits, _ATTACHED.pop, id(logits), None)


def attached_head(logits: Tensor) -> Head | None:
    """Return the head that is attached to logits, or None."""
    head: Head | None = getattr(logits, _ATTRIBUTE, None) or _ATTACHED.get(id(logits))
    return head


@keras.saving.register_keras_serializable(PACKAGE)
class TokenMetrics(keras.metrics.Metric):  # type: ignore[misc]
    """Token accuracy and perplexity. `VocabularyCrossentropy` updates them; the head layers own them."""

    def __init__(self, name: str = "token_metrics", dtype: Any = "float32") -> None:
        super().__init__(name=name, dtype=dtype)
        # Sums over tokens of the weights, the weighted cross-entropies and the weighted hits.
        self.sums = self.add_variable((3,), "zeros", name="sums")
        self.in_use = False

    def add(self, crossentropy: Tensor, hits: Tensor, weights: Tensor) -> None:
        """Add the values of tokens.

        Args:
            crossentropy: -log p_t of each token.
            hits: 1 if the likeliest class was right, else 0.
            weights: weight of each token.
        """
        # On JAX a tensor that is traced outside of the model's own step must not be assigned to a variable.
        in_step = numerics.is_concrete(crossentropy) or keras_private.in_stateless_scope()
        if in_step or keras.backend.backend() != "jax":
            self.in_use = True
            sums = [weights, weights * crossentropy, weights * hits]
            self.sums.assign_add(
                ops.stop_gradient(ops.stack([ops.sum(ops.cast(x, self.dtype)) for x in sums]))
            )

    def update_state(self, *args: Any, **kwargs: Any) -> None:
        """Do nothing: the loss calls `add`."""

    def result(self) -> dict[str, Tensor]:
        # With another loss nothing is added, and the logs contain no token metrics.
        if not self.in_use:
            return {}
        sums = ops.convert_to_tensor(self.sums)
        weight, crossentropies, hits = sums[0], sums[1], sums[2]
        crossentropy = numerics.divide_no_nan(crossentropies, weight)
        accuracy = numerics.divide_no_nan(hits, weight)
        return {"token_accuracy": accuracy, "perplexity": ops.exp(crossentropy)}

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, "dtype": self.dtype}


class _HeadLayer(keras.layers.Layer):  # type: ignore[misc]
    """Base of the head layers: logits with the head attached, and metrics that the loss updates."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True
        self.token_metrics = TokenMetrics()

    def _logits(self, inputs: Tensor, kernel: Any, bias: Any, is_embedding: bool) -> Tensor:
        self.token_metrics.in_use = False
        kernel = ops.convert_to_tensor(kernel)
        bias = None if bias is None else ops.convert_to_tensor(bias)
        head = Head(inputs, kernel, bias, is_embedding, self.token_metrics)
        logits = head.logits()
        _attach(head, logits)
        return logits


@keras.saving.register_keras_serializable(PACKAGE)
class VocabularyHead(_HeadLayer):
    """The last layer of a language model with `VocabularyCrossentropy`, used like `keras.layers.Dense`.

        logits = hidden @ kernel + bias

    It is used, saved and loaded like `Dense`. With `VocabularyCrossentropy` a compiled training step does not
    compute whole logits, and the logs contain `token_accuracy` and `perplexity`. The output of the layer must
    be the output of the model: another layer or an activation after it makes the step compute whole logits.

    Args:
        units: number of classes, an integer in [1, inf).
        use_bias: whether to add a bias.
        kernel_initializer, bias_initializer, kernel_regularizer, bias_regularizer, kernel_constraint,
            bias_constraint: as in `keras.layers.Dense`.

    Shapes: `(..., d)` to `(..., units)`.

    Raises:
        TypeError, ValueError: for an argument outside its domain, and hidden states of unknown width.

    Example:

    >>> import keras
    >>> from keras_losses import VocabularyCrossentropy, VocabularyHead
    >>> model = keras.Sequential([keras.Input((8, 16)), VocabularyHead(1000)])
    >>> model.compile("adam", loss=VocabularyCrossentropy())
    >>> model.output_shape
    (None, 8, 1000)
    """

    def __init__(
        self,
        units: int,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.units: int = SIZE.check("VocabularyHead", "units", units)
        self.use_bias = use_bias
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.bias_initializer = keras.initializers.get(bias_initializer)
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)
        self.bias_regularizer = keras.regularizers.get(bias_regularizer)
        self.kernel_constraint = keras.constraints.get(kernel_constraint)
        self.bias_constraint = keras.constraints.get(bias_constraint)

    def build(self, input_shape: Sequence[int | None]) -> None:
        if len(input_shape) < 2 or input_shape[-1] is None:
            raise ValueError(
                "`VocabularyHead`: the last axis of the hidden states must be known. Received: shape "
                f"{tuple(input_shape)}. Pass hidden states of shape (batch, ..., width)."
            )
        # Under mixed precision the loss casts the kernel itself, so that its gradient is summed in float32.
        self.kernel = self.add_weight(
            name="kernel",
            shape=(input_shape[-1], self.units),
            initializer=self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
            autocast=False,
        )
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(
                name="bias",
                shape=(self.units,),
                initializer=self.bias_initializer,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
                autocast=False,
            )

    def call(self, inputs: Tensor) -> Tensor:
        return self._logits(inputs, self.kernel, self.bias, False)

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> tuple[int | None, ...]:
        return (*input_shape[:-1], self.units)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "units": self.units,
            "use_bias": self.use_bias,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "bias_initializer": keras.initializers.serialize(self.bias_initializer),
            "kernel_regularizer": keras.regularizers.serialize(self.kernel_regularizer),
            "bias_regularizer": keras.regularizers.serialize(self.bias_regularizer),
            "kernel_constraint": keras.constraints.serialize(self.kernel_constraint),
            "bias_constraint": keras.constraints.serialize(self.bias_constraint),
        }


@keras.saving.register_keras_serializable(PACKAGE)
class VocabularyEmbedding(_HeadLayer):
    """An embedding that is also the last layer of its language model, with `VocabularyCrossentropy`.

        vectors = embeddings[ids],   logits = hidden @ embeddings^T

    It replaces `keras.layers.Embedding` and is called twice, like Keras's `ReversibleEmbedding`: first
    `embedding(ids)`, and at the end `embedding(hidden, reverse=True)`.

    Args:
        input_dim: number of classes, an integer in [1, inf).
        output_dim: width of the vectors and of the hidden states, an integer in [1, inf).
        embeddings_initializer, embeddings_regularizer, embeddings_constraint: as in `keras.layers.Embedding`.
        mask_zero: whether the id 0 is padding, which is masked.

    Shapes: `(...)` to `(..., output_dim)`, and with `reverse=True` `(..., output_dim)` to `(..., input_dim)`.

    Raises:
        TypeError, ValueError: for an argument outside its domain, and hidden states of another width than
            `output_dim`.

    Example:

    >>> import keras
    >>> from keras_losses import VocabularyCrossentropy, VocabularyEmbedding
    >>> ids = keras.Input((8,), dtype="int32")
    >>> embedding = VocabularyEmbedding(1000, 16)
    >>> hidden = keras.layers.GRU(16, return_sequences=True)(embedding(ids))
    >>> model = keras.Model(ids, embedding(hidden, reverse=True))
    >>> model.compile("adam", loss=VocabularyCrossentropy())
    >>> model.output_shape
    (None, 8, 1000)

    References:
        - Press & Wolf 2016, Using the Output Embedding to Improve Language Models,
          https://arxiv.org/abs/1608.05859
    """

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        embeddings_initializer: Any = "uniform",
        embeddings_regularizer: Any = None,
        embeddings_constraint: Any = None,
        mask_zero: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.input_dim: int = SIZE.check("VocabularyEmbedding", "input_dim", input_dim)
        self.output_dim: int = SIZE.check("VocabularyEmbedding", "output_dim", output_dim)
        self.embeddings_initializer = keras.initializers.get(embeddings_initializer)
        self.embeddings_regularizer = keras.regularizers.get(embeddings_regularizer)
        self.embeddings_constraint = keras.constraints.get(embeddings_constraint)
        self.mask_zero = mask_zero
        self.build()

    def build(self, input_shape: Any = None) -> None:
        if hasattr(self, "embeddings"):  # loading a model calls build a second time
            return
        self.embeddings = self.add_weight(
            name="embeddings",
            shape=(self.input_dim, self.output_dim),
            initializer=self.embeddings_initializer,
            regularizer=self.embeddings_regularizer,
            constraint=self.embeddings_constraint,
            autocast=False,
        )
        self.built = True

    def call(self, inputs: Tensor, reverse: bool = False, mask: Tensor | None = None) -> Tensor:
        if reverse:
            if inputs.shape[-1] != self.output_dim:
                raise ValueError(
                    "`VocabularyEmbedding`: with reverse=True the inputs must be hidden states "
                    f"(..., {self.output_dim}). Received: shape {tuple(inputs.shape)}. Change output_dim, or "
                    "the width of the hidden states."
                )
            outputs = self._logits(inputs, self.embeddings, None, True)
        else:
            ids = inputs if not numerics.is_float(inputs) else ops.cast(inputs, "int32")
            outputs = ops.cast(ops.take(self.embeddings, ids, axis=0), self.compute_dtype)
            mask = ops.not_equal(inputs, 0) if self.mask_zero else None
        # Set here, because `compute_mask` is not told which of the two calls it is for.
        if mask is not None:
            keras_private.set_mask(outputs, mask)
        return outputs

    def compute_mask(self, inputs: Any, mask: Any = None) -> None:
        return None

    def compute_output_spec(self, inputs: Any, reverse: bool = False, mask: Any = None) -> keras.KerasTensor:
        shape = (*inputs.shape[:-1], self.input_dim) if reverse else (*inputs.shape, self.output_dim)
        return keras.KerasTensor(shape, dtype=self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "input_dim": self.input_dim,
            "output_dim": self.output_dim,
            "embeddings_initializer": keras.initializers.serialize(self.embeddings_initializer),
            "embeddings_regularizer": keras.regularizers.serialize(self.embeddings_regularizer),
            "embeddings_constraint": keras.constraints.serialize(self.embeddings_constraint),
            "mask_zero": self.mask_zero,
        }
