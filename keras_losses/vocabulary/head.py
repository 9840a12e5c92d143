"""The last layers of language models, which note beside their logits what these were computed from."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
from keras import ops

# Keras has no public way to set the mask of a tensor, nor to tell when a model's state is passed around
# rather than set. tests/test_private_keras.py fails when these move.
from keras_losses import keras_private, numerics
from keras_losses.core import Parameter
from keras_losses.core.saving import PACKAGE
from keras_losses.numerics import Tensor
from keras_losses.vocabulary.chunks import product

SIZE = Parameter(within="[1, inf)", integer=True)


@dataclass(frozen=True)
class Head:
    """Of what logits were computed: hidden states `(..., d)`, a kernel `(d, C)` or embeddings `(C, d)`."""

    hidden: Tensor
    kernel: Tensor
    bias: Tensor | None = None
    is_embedding: bool = False
    measured: TokenMetrics | None = None

    def logits(self) -> Tensor:
        kernel = ops.cast(self.kernel, self.hidden.dtype)
        found = ops.cast(product(self.hidden, kernel, False, self.is_embedding), self.hidden.dtype)
        return found if self.bias is None else found + ops.cast(self.bias, found.dtype)


# Beside which logits stand which heads, where tensors cannot have attributes: those that JAX traces.
_NOTED: dict[int, Head] = {}
_NOTE = "_keras_losses_head"


def _note(logits: Tensor, head: Head) -> Tensor:
    try:
        setattr(logits, _NOTE, head)
    except AttributeError:
        _NOTED[id(logits)] = head
        weakref.finalize(logits, _NOTED.pop, id(logits), None)
    return logits


def noted_head(logits: Tensor) -> Head | None:
    found: Head | None = getattr(logits, _NOTE, None) or _NOTED.get(id(logits))
    return found


@keras.saving.register_keras_serializable(PACKAGE)
class TokenMetrics(keras.metrics.Metric):  # type: ignore[misc]
    """Token accuracy and perplexity, of what `VocabularyCrossentropy` counts; a part of its head layers."""

    def __init__(self, name: str = "token_metrics", dtype: Any = "float32") -> None:
        super().__init__(name=name, dtype=dtype)
        self.sums = self.add_variable((3,), "zeros", name="sums")
        self.in_use = False

    def add(self, crossentropy: Tensor, hits: Tensor, weights: Tensor) -> None:
        """The cross-entropies of tokens, whether the likeliest class was right, and what each counts."""
        # On JAX what is traced outside of a model's own steps must not get into a variable.
        in_step = numerics.is_concrete(crossentropy) or keras_private.in_stateless_scope()
        if in_step or keras.backend.backend() != "jax":
            self.in_use = True
            sums = [weights, weights * crossentropy, weights * hits]
            self.sums.assign_add(
                ops.stop_gradient(ops.stack([ops.sum(ops.cast(x, self.dtype)) for x in sums]))
            )

    def update_state(self, *args: Any, **kwargs: Any) -> None:
        """Does nothing: the loss counts."""

    def result(self) -> dict[str, Tensor]:
        # A model that is trained with another loss has no such numbers.
        if not self.in_use:
            return {}
        sums = ops.convert_to_tensor(self.sums)
        crossentropy, accuracy = (numerics.divide_no_nan(sums[turn], sums[0]) for turn in (1, 2))
        return {"token_accuracy": accuracy, "perplexity": ops.exp(crossentropy)}

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, "dtype": self.dtype}


class _HeadLayer(keras.layers.Layer):  # type: ignore[misc]
    """What the head layers share: the logits, the note beside them, and the metrics that the loss updates."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True
        self.token_metrics = TokenMetrics()

    def _logits(self, inputs: Tensor, kernel: Any, bias: Any, is_embedding: bool) -> Tensor:
        self.token_metrics.in_use = False
        weight = ops.convert_to_tensor(kernel)
        added = None if bias is None else ops.convert_to_tensor(bias)
        head = Head(inputs, weight, added, is_embedding, self.token_metrics)
        return _note(head.logits(), head)


@keras.saving.register_keras_serializable(PACKAGE)
class VocabularyHead(_HeadLayer):
    """The last layer of a language model, for `VocabularyCrossentropy`: in place of `keras.layers.Dense`.

        logits = hidden @ kernel + bias

    It is used, saved and loaded as `Dense` is. With `VocabularyCrossentropy` a training step does without
    the logits, and the logs have `token_accuracy` and `perplexity`. Nothing may stand between the layer and
    the loss, not an activation either.

    Args:
        units: the number of classes, 1 or more.
        use_bias: whether a bias is added.
        kernel_initializer, bias_initializer, kernel_regularizer, bias_regularizer, kernel_constraint,
            bias_constraint: as in `keras.layers.Dense`.

    Shapes: `(..., d)` to `(..., units)`.

    Raises:
        ValueError: for a number of classes below 1, or hidden states of unknown width.

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
                "`VocabularyHead`: hidden states must be of shape (..., d) with d known. Received: "
                f"{tuple(input_shape)}."
            )
        # Not cast here, so that its gradient is added up, and arrives, in its own dtype.
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
        made = {
            name: getattr(keras, f"{kind}s").serialize(getattr(self, f"{of}_{kind}"))
            for kind in ("initializer", "regularizer", "constraint")
            for of in ("kernel", "bias")
            for name in (f"{of}_{kind}",)
        }
        return {**super().get_config(), "units": self.units, "use_bias": self.use_bias, **made}


@keras.saving.register_keras_serializable(PACKAGE)
class VocabularyEmbedding(_HeadLayer):
    """An embedding that is the head of its language model too, for `VocabularyCrossentropy`.

        vectors = embeddings[ids],   logits = hidden @ embeddings^T

    It stands in place of `keras.layers.Embedding`, and is called twice, as Keras's `ReversibleEmbedding` is:
    `embedding(ids)` first, and `embedding(hidden, reverse=True)` at the end.

    Args:
        input_dim: the number of classes, 1 or more.
        output_dim: the width of the vectors, and of the hidden states, 1 or more.
        embeddings_initializer, embeddings_regularizer, embeddings_constraint: as in `keras.layers.Embedding`.
        mask_zero: whether the id 0 is padding, and masked.

    Shapes: `(...)` to `(..., output_dim)`, and with `reverse=True` `(..., output_dim)` to `(..., input_dim)`.

    Raises:
        ValueError: for sizes below 1, and hidden states of another width than `output_dim`.

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
        if hasattr(self, "embeddings"):  # a model that is loaded asks again
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
                    "`VocabularyEmbedding`: with reverse=True it takes hidden states "
                    f"(..., {self.output_dim}). Received: shape {tuple(inputs.shape)}."
                )
            found = self._logits(inputs, self.embeddings, None, True)
        else:
            ids = inputs if not numerics.is_float(inputs) else ops.cast(inputs, "int32")
            found = ops.cast(ops.take(self.embeddings, ids, axis=0), self.compute_dtype)
            mask = ops.not_equal(inputs, 0) if self.mask_zero else None
        # `compute_mask` is not told which of the two it was.
        if mask is not None:
            keras_private.set_mask(found, mask)
        return found

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
