"""Language-model heads at 100,000 classes and more, whose logits are never whole in memory.

The head layers return ordinary logits, and note beside them of which hidden states and kernel they are. A
loss that is computed of such logits while a step is traced computes it of those instead, some tokens at a
time; nobody reads the logits then, and the compiler leaves them out.
"""

from __future__ import annotations

import math
import warnings
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import keras
from keras import ops

# Keras has no public way to read or set the mask of a tensor, nor to tell when a model's state is passed
# around rather than set. tests/test_private_keras.py fails when these move.
from keras.src.backend import get_keras_mask, in_stateless_scope, set_keras_mask

from keras_losses import config, numerics
from keras_losses.core import Card, Identity, Labels, Predictions, labels, parameter, wanted_values
from keras_losses.core.base import PACKAGE, _blank, _both
from keras_losses.losses.crossentropy import CrossentropyLoss
from keras_losses.numerics import Tensor

MANY = 4096
"""The number of classes from which on logits that no head has noted are warned of."""


# The layers -----------------------------------------------------------------------------------------


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
        found = ops.cast(_product(self.hidden, kernel, False, self.is_embedding), self.hidden.dtype)
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


def _noted(logits: Tensor) -> Head | None:
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
        if numerics.is_concrete(crossentropy) or in_stateless_scope() or keras.backend.backend() != "jax":
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
        crossentropy, accuracy = (numerics.ratio(sums[turn], sums[0]) for turn in (1, 2))
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
        self.units = _whole("VocabularyHead", "units", units)
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
                "VocabularyHead: hidden states must be of shape (..., d) with d known. Received: "
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
        self.input_dim = _whole("VocabularyEmbedding", "input_dim", input_dim)
        self.output_dim = _whole("VocabularyEmbedding", "output_dim", output_dim)
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
                    "VocabularyEmbedding: with reverse=True it takes hidden states "
                    f"(..., {self.output_dim}). Received: shape {tuple(inputs.shape)}."
                )
            found = self._logits(inputs, self.embeddings, None, True)
        else:
            ids = inputs if not numerics.is_float(inputs) else ops.cast(inputs, "int32")
            found = ops.cast(ops.take(self.embeddings, ids, axis=0), self.compute_dtype)
            mask = ops.not_equal(inputs, 0) if self.mask_zero else None
        # `compute_mask` is not told which of the two it was.
        if mask is not None:
            set_keras_mask(found, mask)
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


def _whole(owner: str, name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"{owner}: `{name}` must be a whole number from 1 up. Received: {name}={value!r}.")
    return value


# The loss -------------------------------------------------------------------------------------------


class VocabularyCrossentropy(CrossentropyLoss):
    """Cross-entropy for language models, of whose logits only those of a few hundred tokens exist at a time.

        loss = -log p_t + z_loss * (logsumexp_j z_j)^2,   z = soft_cap * tanh(logits / soft_cap)

    The values and gradients are those of `CrossentropyLoss(from_logits=True)` after a head of ordinary
    logits. Where the model ends in a `VocabularyHead` or a `VocabularyEmbedding`, and the step is compiled
    (TensorFlow and JAX, as `fit` and `evaluate` do by themselves), the logits are made, used and forgotten
    chunk by chunk, and the gradients of the hidden states and the kernel are added up on the way: at 4,096
    tokens and 131,072 classes an eighth of the memory. Everywhere else, as in eager mode and on PyTorch, the
    same numbers come from the whole logits. `predict` gives the logits, without the soft cap.

    With either layer, the logs of `fit` and `evaluate` have `token_accuracy` and `perplexity`, under the
    weights and masks of the loss and without another pass over the vocabulary. A token is right where its
    class is likelier than every other; the perplexity is exp of the mean of -log p_t, without smoothing,
    z-loss and class weights.

    The first derivatives are those of the formula. Second derivatives of a loss in chunks are right on JAX
    and an error elsewhere.

    Args:
        soft_cap: None, or the bound that logits are bent to stay within, above 0 (30 in Gemma 2).
        chunk: None, or how many tokens to take at a time; by default 3/4 of the width of the hidden states,
            so that their logits take 3/4 of the memory of the kernel's gradient, or more tokens where that is
            little. Fewer take less memory, and more time.
        z_loss: the weight, 0 or more, of the square of the log-normaliser (1e-4 in PaLM).

    Further keyword arguments (`label_smoothing`, `class_weight`, `ignore_class`, `axis`, `name`, `reduction`,
    `dtype`) are those of `keras_losses.core.CrossentropyFamily`. Padding is left out by a mask, as of
    `VocabularyEmbedding(mask_zero=True)`, by a weight of 0 or by `ignore_class`.

    Shapes: `y_pred` `(..., C)`; `y_true` class ids `(...)` or `(..., 1)`, or one-hot or soft labels
    `(..., C)`, which take the memory of the logits themselves. With `reduction="none"` the result is `(...)`.

    Raises:
        ValueError: for hyper-parameters out of range, shapes that do not match and, in eager mode, for
            labels that are none; in compiled steps the loss of a label that is none is NaN.

    Example:

    >>> import numpy as np
    >>> from keras_losses import VocabularyCrossentropy
    >>> loss = VocabularyCrossentropy(soft_cap=2.0)
    >>> round(float(loss(np.array([0]), np.array([[100.0, -100.0]]))), 6)  # log(1 + e^-4)
    0.01815

    References:
        - Wijmans et al. 2024, Cut Your Losses in Large-Vocabulary Language Models,
          https://arxiv.org/abs/2411.09009
        - Gemma Team 2024, Gemma 2, https://arxiv.org/abs/2408.00118 (the soft cap)
        - Chowdhery et al. 2022, PaLM, https://arxiv.org/abs/2204.02311 (the z-loss, section 5)
    """

    card = Card(
        family="vocabulary",
        formula="-log p_t + z_loss * logsumexp(z)^2, z = soft_cap * tanh(logits / soft_cap)",
        paper="Wijmans 2024, 2411.09009",
        labels="class ids, one-hot or soft labels",
        predictions="logits, of a VocabularyHead or VocabularyEmbedding",
        use="language models: tens of thousands of classes, whose logits would fill the memory",
        avoid="a few hundred classes, where the logits are no burden",
        elicits="class probability",
        gradient_bound="1 in a logit, without z_loss",
        identities=(Identity({"z_loss": 0.0}, "CrossentropyLoss", {"from_logits": True}),),
    )

    soft_cap: float | None = parameter(default=None, within="(0, inf)", optional=True)
    chunk: int | None = parameter(default=None, within="[1, inf)", integer=True, optional=True, kw_only=True)
    from_logits = True
    multi_label = False

    def per_sample(self, labels: Labels, predictions: Predictions) -> Tensor:
        return super().per_sample(labels, predictions.map(self._capped))

    def _capped(self, logits: Tensor) -> Tensor:
        if self.soft_cap is None:
            return logits
        return self.soft_cap * numerics.tanh_with_slope(logits / self.soft_cap)

    def _reduced(self, y_true: Any, y_pred: Any, sample_weight: Any, reduction: str | None) -> Tensor:
        head = _noted(y_pred)
        if head is None or self.axis not in (-1, len(y_pred.shape) - 1):
            self._warn_of_logits(y_pred)
            return super()._reduced(y_true, y_pred, sample_weight, reduction)
        mask = get_keras_mask(y_pred)
        tokens = self._tokens(y_true, y_pred, y_pred.shape[-1], sample_weight, mask)
        # What is learned needs a gradient of its own, and labels of the logits' size save nothing.
        if not numerics.is_concrete(y_pred) and not self._learned and tokens.truth.encoding == "sparse":
            return self._in_chunks(head, tokens, reduction)
        if head.measured is not None:
            self._measure_whole(head.measured, y_pred, tokens)
        return super()._reduced(y_true, y_pred, sample_weight, reduction)

    def of_hidden_states(
        self,
        y_true: Any,
        hidden: Any,
        kernel: Any,
        bias: Any = None,
        sample_weight: Any = None,
        mask: Any = None,
        is_embedding: bool = False,
    ) -> Tensor:
        """The loss of the logits `hidden @ kernel + bias`, in chunks, for training loops of one's own.

        Args:
            y_true: class ids `(...)` or `(..., 1)`.
            hidden: hidden states `(..., d)`.
            kernel: `(d, C)`, or `(C, d)` with `is_embedding`.
            bias: None, or `(C,)`.
            sample_weight: None, or weights of samples or tokens.
            mask: None, or which samples or tokens count.
        """
        owner = type(self).__name__
        self._check_learned()
        hidden, kernel = ops.convert_to_tensor(hidden), ops.convert_to_tensor(kernel)
        bias = None if bias is None else ops.convert_to_tensor(bias)
        wide, classes = reversed(kernel.shape) if is_embedding else kernel.shape
        if hidden.shape[-1] != wide or (bias is not None and tuple(bias.shape) != (classes,)):
            raise ValueError(
                f"{owner}: `hidden` must be (..., d), `kernel` (d, C), or (C, d) with is_embedding=True, and "
                f"`bias` (C,). Received: shapes {tuple(hidden.shape)}, {tuple(kernel.shape)} and "
                f"{None if bias is None else tuple(bias.shape)}."
            )
        tokens = self._tokens(y_true, hidden, classes, sample_weight, mask)
        if tokens.truth.encoding != "sparse" or self._learned:
            raise ValueError(
                f"{owner}: in chunks it takes class ids, and hyper-parameters that are not learned. Call the "
                "loss on logits instead."
            )
        if numerics.is_concrete(hidden) and config.values_are_validated():
            wanted = None if tokens.wanted is None else numerics.to_numpy(tokens.wanted)
            labels.check_labels(owner, wanted_values(tokens.truth.given, wanted), tokens.truth)
        return self._in_chunks(Head(hidden, kernel, bias, is_embedding), tokens, self.reduction)

    def _tokens(self, y_true: Any, y_pred: Any, classes: int, sample_weight: Any, mask: Any) -> _Tokens:
        owner, leading = type(self).__name__, tuple(y_pred.shape[:-1])
        truth = labels.class_labels(owner, self._convert_labels(y_true), y_pred, self.ignore_class, classes)
        counted = _both(self._spread("mask", mask, leading, "bool"), truth.known)
        weight = self._spread("sample_weight", sample_weight, leading, self.compute_dtype)
        wanted = _both(counted, None if weight is None else ops.not_equal(weight, 0))
        return _Tokens(truth, weight, counted, wanted)

    def _in_chunks(self, head: Head, tokens: _Tokens, reduction: str | None) -> Tensor:
        dtype = self.compute_dtype
        hidden, ids = head.hidden, tokens.truth.values
        shape = ops.shape(ids)
        ones = ops.ones_like(ids, dtype=dtype)
        counts = ones if tokens.weight is None else ones * tokens.weight
        if tokens.wanted is not None:
            # With it goes what a token that does not count has as its hidden state, be it NaN.
            hidden, ids = _blank(hidden, tokens.wanted), _blank(ids, tokens.wanted)
            counts = _blank(counts, tokens.wanted)
        rows = counts
        if self.class_weight is not None:
            rows = rows * self._class_weights(replace(tokens.truth, values=ids))
        separate = reduction in (None, "none")
        if not separate and reduction != "sum":
            # The divisors of `base._reduce`, before the chunks: no gradient is divided afterwards.
            by_weight = reduction == "mean_with_sample_weight" and tokens.weight is not None
            shares = ones * tokens.weight if by_weight else ones
            if tokens.counted is not None:
                shares = _blank(shares, tokens.counted)
            rows = numerics.share_of_replica(numerics.ratio(rows, ops.sum(shares)))
        found = _fused(
            hidden=ops.reshape(hidden, (-1, hidden.shape[-1])),
            kernel=head.kernel,
            bias=head.bias,
            ids=ops.reshape(ids, (-1,)),
            rows=None if separate else ops.reshape(rows, (-1,)),
            numbers={name: getattr(self, name) for name in ("label_smoothing", "z_loss", "soft_cap")},
            plan=_Plan(head.is_embedding, dtype, self.chunk),
        )
        if head.measured is not None:
            head.measured.add(found.crossentropy, found.hits, ops.reshape(counts, (-1,)))
        return ops.reshape(found.value, shape) * rows if separate else found.value

    def _measure_whole(self, measured: TokenMetrics, y_pred: Tensor, tokens: _Tokens) -> None:
        logits = self._capped(self.convert(ops.stop_gradient(y_pred)))
        ids = labels.class_ids(tokens.truth)
        counts = ops.ones_like(ids, dtype=self.compute_dtype)
        counts = counts if tokens.weight is None else counts * tokens.weight
        if tokens.wanted is not None:
            logits, ids, counts = (_blank(x, tokens.wanted) for x in (logits, ids, counts))
        chosen = numerics.is_class(ids, logits)
        others = numerics.peak(ops.where(chosen, numerics.full(logits, -math.inf), logits))
        hits = ops.cast(numerics.of_class(ids, logits) > others, self.compute_dtype)
        measured.add(numerics.sparse_crossentropy(ids, logits).value, hits, counts)

    def _warn_of_logits(self, y_pred: Any) -> None:
        shape = tuple(getattr(y_pred, "shape", ()))
        if shape and (shape[-1] or 0) >= MANY and not numerics.is_concrete(ops.convert_to_tensor(y_pred)):
            warnings.warn(
                f"{type(self).__name__}: the {shape[-1]} logits of each token come from no VocabularyHead or "
                "VocabularyEmbedding, or something stands between that layer and the loss. The loss is "
                "right, but all logits are in memory at once. Let the model end in one of these layers.",
                stacklevel=2,
            )


@dataclass(frozen=True)
class _Tokens:
    """The labels; the weights, which tokens are in the means' divisors, and which add to the loss."""

    truth: Labels
    weight: Tensor | None
    counted: Tensor | None
    wanted: Tensor | None


# In chunks --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Plan:
    """What is known before anything is traced."""

    is_embedding: bool
    dtype: str
    chunk: int | None


@dataclass(frozen=True)
class _Found:
    """The sum of the weighted values, or without weights each of them; and what is counted of each token."""

    value: Tensor
    crossentropy: Tensor
    hits: Tensor


def _fused(
    hidden: Tensor,
    kernel: Tensor,
    bias: Tensor | None,
    ids: Tensor,
    rows: Tensor | None,
    numbers: dict[str, Any],
    plan: _Plan,
) -> _Found:
    """With a scalar's gradients made on the way; for those of a vector, the chunks are gone through again."""
    backend = keras.backend.backend()
    attach = {"tensorflow": _with_tensorflow, "jax": _with_jax}.get(backend, _with_torch)
    arrays = [x for x in (hidden, kernel, bias) if x is not None]
    fixed = {name: x for name, x in numbers.items() if x is None or numerics.is_number(x)}
    live = {name: x for name, x in numbers.items() if name not in fixed}

    def run(
        arrays: Sequence[Tensor], ids: Tensor, live: dict[str, Tensor], rows: Tensor | None
    ) -> tuple[list[Tensor], list[Tensor]]:
        return _scanned(arrays, ids, {**fixed, **live}, rows, plan)

    return _Found(*attach(run, arrays, ids, live, rows))


Run = Callable[..., tuple[list[Tensor], list[Tensor]]]
"""Of the arrays, ids, live numbers and weights: what is found of each token, and the arrays' gradients."""


def _with_tensorflow(
    run: Run, arrays: list[Tensor], ids: Tensor, live: dict[str, Tensor], rows: Tensor | None
) -> list[Tensor]:
    import tensorflow as tf

    def refuse(*upstream: Any) -> Any:
        raise NotImplementedError(NO_SECOND)

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def function(*given: Tensor) -> Any:
        (values, *counted), slopes = run(
            given[: len(arrays)], ids, live, given[-1] if rows is not None else None
        )

        def gradient(upstream: Tensor, *_: Any) -> Any:
            @tf.custom_gradient  # type: ignore[untyped-decorator]
            def once(upstream: Tensor, *given: Tensor) -> Any:
                if rows is None:
                    _, found = run(given, ids, live, upstream)
                    return tuple(found), refuse
                return (*(_times(upstream, slope) for slope in slopes), upstream * values), refuse

            return once(upstream, *given)

        return (tf.reduce_sum(given[-1] * values) if rows is not None else values, *counted), gradient

    return list(function(*arrays, *([] if rows is None else [rows])))


def _with_jax(
    run: Run, arrays: list[Tensor], ids: Tensor, live: dict[str, Tensor], rows: Tensor | None
) -> list[Tensor]:
    import jax

    @jax.custom_vjp  # type: ignore[untyped-decorator]
    def function(arrays: list[Tensor], rows: Tensor | None, ids: Tensor, live: dict[str, Tensor]) -> Any:
        return forward(arrays, rows, ids, live)[0]

    def forward(arrays: list[Tensor], rows: Tensor | None, ids: Tensor, live: dict[str, Tensor]) -> Any:
        if rows is None:
            (values, *counted), _ = run(arrays, ids, live, None)
            return (values, *counted), (arrays, ids, live)
        (values, *counted), slopes = run(arrays, ids, live, rows)
        return ((rows * values).sum(), *counted), (slopes, values)

    def backward(kept: Any, upstream: Any) -> Any:
        upstream = upstream[0]
        if rows is None:
            arrays, ids, live = kept
            return run(arrays, ids, live, upstream)[1], None, None, None
        slopes, values = kept
        return [_times(upstream, slope) for slope in slopes], upstream * values, None, None

    function.defvjp(forward, backward)
    return list(function(arrays, rows, ids, live))


def _with_torch(
    run: Run, arrays: list[Tensor], ids: Tensor, live: dict[str, Tensor], rows: Tensor | None
) -> list[Tensor]:
    import torch

    class Function(torch.autograd.Function):  # type: ignore[misc]
        @staticmethod
        def forward(ctx: Any, *given: Tensor) -> Any:
            of_rows = given[-1] if rows is not None else None
            (values, *counted), slopes = run(given[: len(arrays)], ids, live, of_rows)
            ctx.mark_non_differentiable(*counted)
            ctx.save_for_backward(*(given if rows is None else (*slopes, values)))
            return (values if rows is None else (given[-1] * values).sum(), *counted)

        @staticmethod
        @torch.autograd.function.once_differentiable  # type: ignore[untyped-decorator]
        def backward(ctx: Any, upstream: Tensor, *_: Any) -> Any:
            if rows is None:
                return tuple(run(ctx.saved_tensors, ids, live, upstream)[1])
            *slopes, values = ctx.saved_tensors
            return (*(_times(upstream, slope) for slope in slopes), upstream * values)

    return list(Function.apply(*arrays, *([] if rows is None else [rows])))


NO_SECOND = (
    "VocabularyCrossentropy: the loss of a VocabularyHead is computed in chunks, with its first derivatives "
    "alone. For second ones, end the model with keras.layers.Dense, or run eagerly."
)


def _times(upstream: Tensor, slope: Tensor) -> Tensor:
    return ops.cast(upstream, slope.dtype) * slope


def _scanned(
    arrays: Sequence[Tensor], ids: Tensor, numbers: dict[str, Any], rows: Tensor | None, plan: _Plan
) -> tuple[list[Tensor], list[Tensor]]:
    """What is found of each token; and, of the sum weighted by `rows`, the gradients of the arrays."""
    hidden, kernel, bias = (*arrays, None)[:3]
    half = ops.cast(kernel, hidden.dtype)
    across = 0 if plan.is_embedding else 1  # the axis of the classes
    width, classes = hidden.shape[-1], kernel.shape[across]
    tokens = ops.shape(hidden)[0]
    size = plan.chunk or max(3 * width // 4, LEAST_CHUNK, LEAST_LOGITS // classes)
    count = (tokens + size - 1) // size
    size = (tokens + _at_least_1(count) - 1) // _at_least_1(count)

    def chunks(x: Tensor) -> Tensor:
        more = [[0, count * size - tokens], *([0, 0] for _ in x.shape[1:])]
        return ops.reshape(_padded(x, more), (count, size, *x.shape[1:]))

    largest = None
    if rows is not None and keras.backend.standardize_dtype(hidden.dtype) in HALF:
        # In half precision, weights that are all far below 1 would be lost.
        largest = _largest(rows)
        rows = rows / largest

    def step(sums: list[Tensor], chunk: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        h, of_chunk, *weights = chunk
        raw = ops.cast(_product(h, half, False, plan.is_embedding), plan.dtype)
        raw = raw if bias is None else raw + ops.cast(bias, plan.dtype)
        found, slopes = _of_logits(raw, of_chunk, **numbers)
        if not weights:
            return sums, found
        # A label that is no class makes NaN of the gradient as it does of the value.
        weight = ops.expand_dims(ops.where(ops.isnan(found[0]), found[0], weights[0]), -1)
        scaled = ops.cast(weight * ops.cast(h, plan.dtype), h.dtype)

        def add(sums: list[Tensor], first: Any, size: int) -> list[Tensor]:
            """The sums with what a block of classes adds to them."""
            of_hidden, of_kernel, *of_bias = sums
            slope = ops.cast(slopes(first, size), h.dtype)
            part = _block(half, across, first, size)
            of_hidden = of_hidden + ops.cast(_product(slope, part, False, not plan.is_embedding), plan.dtype)
            added = (slope, scaled) if plan.is_embedding else (scaled, slope)
            added = ops.cast(_product(*added, True, False), plan.dtype)
            found = [of_hidden, _with_added(of_kernel, across, first, added)]
            if of_bias:
                added = ops.sum(weight * ops.cast(slope, plan.dtype), axis=0)
                found.append(_with_added(of_bias[0], 0, first, added))
            return found

        of_hidden, *sums = _in_blocks(add, [ops.zeros(ops.shape(h), plan.dtype), *sums], width, classes)
        return sums, [*found, weight * of_hidden]

    sums = [ops.zeros(x.shape, plan.dtype) for x in arrays[1:]] if rows is not None else []
    shapes = [(), (), (), *([] if rows is None else [(width,)])]
    given = [chunks(x) for x in (hidden, ids, rows) if x is not None]
    sums, found = _scan(step, sums, given, count, shapes, plan.dtype)
    found = [ops.reshape(x, (count * size, *x.shape[2:]))[:tokens] for x in found]
    if rows is None:
        return found, []
    *found, of_hidden = found
    slopes = [of_hidden, *sums] if largest is None else [largest * x for x in (of_hidden, *sums)]
    return found, [ops.cast(x, y.dtype) for x, y in zip(slopes, arrays, strict=True)]


HALF = ("float16", "bfloat16")

LEAST_CHUNK = 128
"""So few tokens at least, for the sake of the matrix products."""

LEAST_LOGITS = 2**24
"""So many logits are no burden: 64 MB."""


def _of_logits(
    raw: Tensor, ids: Tensor, label_smoothing: Any, z_loss: Any, soft_cap: Any
) -> tuple[list[Tensor], Callable[[Any, int], Tensor]]:
    """The value, the cross-entropy, and whether it was right, of each token; and the slopes in some logits.

    As in `numerics.sparse_crossentropy`, the true class stays out of the sum: with the others' sum r and
    its own term o, -log p_t = log(1 + r / o), and the slope in its logit is -r / (o + r).
    """
    bent = None if soft_cap is None else numerics.tanh(raw / soft_cap)
    z = raw if bent is None else soft_cap * bent
    smooth, squared = (not numerics.is_number(x, 0.0) for x in (label_smoothing, z_loss))
    chosen, classes = numerics.is_class(ids, z), z.shape[-1]
    own = numerics.chosen(ids, z)
    others = ops.where(chosen, numerics.full(z, -math.inf), z)
    best = ops.max(others, axis=-1)
    won = own > best
    top = ops.where(won, own, best)
    exponentials = ops.exp(others - ops.expand_dims(top, -1))
    rest = ops.sum(exponentials, axis=-1)
    term = ops.exp(own - top)
    total = rest + term
    crossentropy = ops.where(won, ops.log1p(rest), ops.log(total) + (top - own))
    log_total = top + ops.log(total)
    value = crossentropy
    if smooth:
        value = value + label_smoothing * (own - ops.sum(z, axis=-1) / classes)
    if squared:
        value = value + z_loss * ops.square(log_total)

    drift = 2.0 * z_loss * log_total / total if squared else 0.0
    of_true, of_others = drift * term - rest / total, drift + 1.0 / total
    if smooth:
        of_true = of_true + label_smoothing

    def slopes(first: Any, size: int) -> Tensor:
        part = _block(exponentials, 1, first, size)
        chosen = numerics.is_class(ids - ops.cast(first, ids.dtype), part)
        found = ops.where(chosen, ops.expand_dims(of_true, -1), part * ops.expand_dims(of_others, -1))
        if smooth:
            found = found - label_smoothing / classes
        return found if bent is None else found * (1.0 - ops.square(_block(bent, 1, first, size)))

    return [value, crossentropy, ops.cast(won, z.dtype)], slopes


# What differs between backends ------------------------------------------------------------------------


def _at_least_1(count: Any) -> Any:
    return max(count, 1) if isinstance(count, int) else ops.maximum(count, 1)


def _padded(x: Tensor, more: list[list[Any]]) -> Tensor:
    """With zeros at the ends of axes, of which there may be as many as only the graph knows."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.pad(x, more)
    return ops.pad(x, more)


def _largest(rows: Tensor) -> Tensor:
    """The largest size of a weight, or 1 where none is above 0."""
    if keras.backend.backend() == "torch" and rows.shape[0] == 0:
        return ops.ones((), rows.dtype)
    largest = ops.max(ops.abs(rows), initial=0.0)
    return ops.where(largest > 0, largest, ops.ones_like(largest))


def _product(a: Tensor, b: Tensor, transpose_a: bool, transpose_b: bool) -> Tensor:
    """A product of matrices, of half precision in float32 where the backend gives it."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        if len(a.shape) > 2:
            return tf.tensordot(a, b, [[-1], [1 if transpose_b else 0]])
        return tf.matmul(a, b, transpose_a=transpose_a, transpose_b=transpose_b)
    if keras.backend.backend() == "jax":
        import jax

        axes = ((0 if transpose_a else a.ndim - 1,), (1 if transpose_b else 0,))
        wide = None if a.dtype.itemsize > 2 else "float32"
        return jax.lax.dot_general(a, b, (axes, ((), ())), preferred_element_type=wide)
    return (a.T if transpose_a else a) @ (b.T if transpose_b else b)


def _scan(
    step: Callable[[list[Tensor], list[Tensor]], tuple[list[Tensor], list[Tensor]]],
    sums: list[Tensor],
    chunks: list[Tensor],
    count: Any,
    shapes: list[tuple[int, ...]],
    dtype: str,
) -> tuple[list[Tensor], list[Tensor]]:
    """`step` over the chunks: what it adds up, and what it finds of each token of them, of these shapes.

    Keras's own wants to find what is of the sums' shapes on TensorFlow, and one chunk at least on PyTorch.
    """
    if keras.backend.backend() == "jax":
        import jax

        sums, found = jax.lax.scan(step, sums, chunks)
        return sums, found
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        def body(turn: Tensor, sums: list[Tensor], found: list[Any]) -> Any:
            sums, each = step(sums, [x[turn] for x in chunks])
            return turn + 1, sums, [kept.write(turn, x) for kept, x in zip(found, each, strict=True)]

        size = chunks[0].shape[1]
        kept = [tf.TensorArray(dtype, count, element_shape=(size, *shape)) for shape in shapes]
        # One chunk after the other: several at a time would each have their logits.
        _, sums, found = tf.while_loop(
            lambda turn, *_: turn < count, body, (0, sums, kept), parallel_iterations=1
        )
        return sums, [x.stack() for x in found]
    found = []
    for turn in range(count):
        sums, each = step(sums, [x[turn] for x in chunks])
        found.append(each)
    if not found:
        return sums, [ops.zeros((0, 0, *shape), dtype) for shape in shapes]
    return sums, [ops.stack(each) for each in zip(*found, strict=True)]


BLOCK = 2**20
"""So many numbers of the kernel's gradient are added to at a time: what a processor's cache holds."""


def _in_blocks(
    add: Callable[[list[Tensor], Any, int], list[Tensor]], sums: list[Tensor], width: int, classes: int
) -> list[Tensor]:
    """`add(sums, first, size)` for all classes.

    In place, a block of classes after the other: neither their slopes nor a second gradient of the kernel are
    in memory, and what is in the cache is used at once.
    """
    block = max(BLOCK // width, 1)
    if classes < 2 * block or not _adds_in_place():
        return add(sums, 0, classes)
    blocks = classes // block
    sums = list(ops.fori_loop(0, blocks, lambda turn, x: tuple(add(x, turn * block, block)), tuple(sums)))
    rest = classes - blocks * block
    return add(sums, blocks * block, rest) if rest else sums


def _block(x: Tensor, axis: int, first: Any, size: int) -> Tensor:
    """So many of an axis; all of them are x itself."""
    if x.shape[axis] == size:
        return x
    at, shape = [0] * len(x.shape), list(ops.shape(x))
    at[axis], shape[axis] = first, size
    return ops.slice(x, at, shape)


def _with_added(total: Tensor, axis: int, first: Any, added: Tensor) -> Tensor:
    if total.shape[axis] == added.shape[axis]:
        return total + added
    at = [0] * len(total.shape)
    at[axis] = first
    return ops.slice_update(total, at, _block(total, axis, first, added.shape[axis]) + added)


def _adds_in_place() -> bool:
    """Whether XLA compiles for a processor: it updates a slice of an array where the array is."""
    if keras.backend.backend() == "jax":
        import jax

        return bool(jax.default_backend() == "cpu")
    if not numerics.compiled_by_tensorflow():
        return False
    import tensorflow as tf

    return not tf.config.list_logical_devices("GPU")
