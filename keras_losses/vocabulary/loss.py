"""Cross-entropy of language models with 100,000 classes and more, computed in chunks of tokens.

The head layers return ordinary logits and attach the hidden states and the kernel to them. While a step is
traced, the loss takes the hidden states and the kernel and computes the logits of some tokens at a time. Then
nothing uses the whole logits, and the compiler removes them.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, replace
from typing import Any

from keras import ops

from keras_losses import config, keras_private, numerics
from keras_losses.core import Card, Identity, Labels, Predictions, checks, labels, parameter, wanted_values
from keras_losses.core.reduction import Samples, blanked, divisor, pooled_weights, prepare
from keras_losses.losses.crossentropy import CrossentropyLoss
from keras_losses.numerics import Tensor
from keras_losses.vocabulary.chunks import Options, chunked_loss
from keras_losses.vocabulary.head import Head, TokenMetrics, attached_head

MANY = 4096
"""Number of classes from which on a warning says that the logits are whole in memory."""


@dataclass(frozen=True)
class _Tokens:
    """Labels, weights and masks of tokens."""

    truth: Labels
    samples: Samples


class VocabularyCrossentropy(CrossentropyLoss):
    """Cross-entropy for language models, with the logits of only a few hundred tokens in memory at a time.

        loss = -log p_t + z_loss * (logsumexp_j z_j)^2,   z = soft_cap * tanh(logits / soft_cap)

    The values and gradients equal those of `CrossentropyLoss(from_logits=True)`. The loss is computed in
    chunks if the model ends in a `VocabularyHead` or a `VocabularyEmbedding` and the step is compiled, as
    `fit` and `evaluate` do on TensorFlow and JAX. The logits of a chunk of tokens are computed, used and
    dropped, and the gradients of the hidden states and the kernel are summed at the same time. With 4,096
    tokens and 131,072 classes this takes an eighth of the memory. In eager mode and on PyTorch the same
    numbers are computed from the whole logits. `predict` returns the logits without the soft cap.

    With either layer, the logs of `fit` and `evaluate` contain `token_accuracy` and `perplexity`, with the
    weights and masks of the loss and without another pass over the vocabulary. A token counts as right if its
    class is likelier than every other class. The perplexity is exp of the mean of -log p_t, without
    smoothing, z-loss and class weights.

    Second derivatives of a loss in chunks are right on JAX and raise an error on TensorFlow.

    Args:
        soft_cap: None, or the bound of the capped logits, above 0 (30 in Gemma 2).
        chunk: None, or the number of tokens in a chunk. By default 3/4 of the width of the hidden states, so
            that the logits of a chunk take 3/4 of the memory of the kernel's gradient; more if the kernel is
            small. Fewer tokens take less memory and more time.
        z_loss: the weight, 0 or above, of the squared log-normalizer (1e-4 in PaLM).

    Further keyword arguments (`label_smoothing`, `class_weight`, `ignore_class`, `axis`, `name`, `reduction`,
    `dtype`) are those of `keras_losses.core.CrossentropyFamily`. To leave out padding, use a mask, for
    instance that of `VocabularyEmbedding(mask_zero=True)`, weights of 0, or `ignore_class`.

    Shapes: `y_pred` `(..., C)`; `y_true` class ids `(...)` or `(..., 1)`, or one-hot or soft labels
    `(..., C)`, which take as much memory as whole logits. With `reduction="none"` the result is `(...)`.

    Raises:
        ValueError: for hyper-parameters outside their domain, shapes that do not match and, in eager mode,
            invalid labels. In compiled steps the loss of an invalid label is NaN.

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

    soft_cap: float | None = parameter(default=None, within="(0, inf)", live=True, optional=True)
    chunk: int | None = parameter(default=None, within="[1, inf)", integer=True, optional=True, kw_only=True)
    from_logits = True
    multi_label = False
    pos_weight = None

    def per_sample(self, labels: Labels, predictions: Predictions) -> Tensor:
        return super().per_sample(labels, predictions.map(self._capped))

    def _capped(self, logits: Tensor) -> Tensor:
        if self.soft_cap is None:
            return logits
        capped = self.soft_cap * numerics.tanh(logits / self.soft_cap)
        # A masked class stays masked: its logit is -inf, not -soft_cap.
        return ops.where(numerics.is_unmasked(logits), capped, logits)

    def _reduced(self, y_true: Any, y_pred: Any, sample_weight: Any, reduction: str | None) -> Tensor:
        head = attached_head(y_pred)
        if head is None or self.axis not in (-1, len(y_pred.shape) - 1):
            self._warn_of_logits(y_pred)
            return super()._reduced(y_true, y_pred, sample_weight, reduction)
        mask = keras_private.mask_of(y_pred)
        tokens = self._tokens(y_true, y_pred, y_pred.shape[-1], sample_weight, mask)
        # Chunks give no gradients of learned hyper-parameters, and save no memory beside one-hot labels.
        if not numerics.is_concrete(y_pred) and not self._learned and tokens.truth.encoding == "sparse":
            return self._in_chunks(head, tokens, reduction)
        if head.metrics is not None:
            self._update_metrics(head.metrics, y_pred, tokens)
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
        """Return the loss of the logits `hidden @ kernel + bias` in chunks, for custom training loops.

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
                f"`{owner}`: `hidden` must be (..., d), `kernel` (d, C), or (C, d) with is_embedding=True, "
                f"and `bias` (C,). Received: shapes {tuple(hidden.shape)}, {tuple(kernel.shape)} and "
                f"{None if bias is None else tuple(bias.shape)}."
            )
        tokens = self._tokens(y_true, hidden, classes, sample_weight, mask)
        if tokens.truth.encoding != "sparse" or self._learned:
            raise ValueError(
                f"`{owner}`: in chunks, labels must be class ids, and no hyper-parameter may be Learned. "
                f"Received: {tokens.truth.encoding} labels, and learned: {sorted(self._learned)}. Call the "
                "loss on logits instead."
            )
        if numerics.is_concrete(hidden) and config.values_are_validated():
            wanted = tokens.samples.wanted
            wanted = None if wanted is None else numerics.to_numpy(wanted)
            checks.check_labels(owner, wanted_values(tokens.truth.received, wanted), tokens.truth, False)
        return self._in_chunks(Head(hidden, kernel, bias, is_embedding), tokens, self.reduction)

    def _tokens(self, y_true: Any, y_pred: Any, classes: int, sample_weight: Any, mask: Any) -> _Tokens:
        owner = type(self).__name__
        truth = labels.class_labels(owner, self._convert_labels(y_true), y_pred, self.ignore_class, classes)
        leading = tuple(y_pred.shape[:-1])
        return _Tokens(truth, prepare(owner, truth, sample_weight, mask, leading, self.compute_dtype))

    def _in_chunks(self, head: Head, tokens: _Tokens, reduction: str | None) -> Tensor:
        dtype, samples = self.compute_dtype, tokens.samples
        hidden, ids = head.hidden, tokens.truth.values
        shape = ops.shape(ids)
        if samples.wanted is not None:
            # The hidden states of masked tokens may be NaN.
            hidden, ids = blanked(hidden, samples.wanted), blanked(ids, samples.wanted)
        counts = pooled_weights(ops.ones_like(ids, dtype=dtype), samples)
        weights = counts
        if self.class_weight is not None:
            weights = weights * self._class_weights(replace(tokens.truth, values=ids))
        separate = reduction in (None, "none")
        if not separate and reduction != "sum":
            # Dividing the weights avoids a division of every gradient afterwards.
            weights = numerics.divide_by_replicas(
                numerics.divide_no_nan(weights, divisor(counts, samples, reduction))
            )
        values = chunked_loss(
            hidden=ops.reshape(hidden, (-1, hidden.shape[-1])),
            kernel=head.kernel,
            bias=head.bias,
            ids=ops.reshape(ids, (-1,)),
            weights=None if separate else ops.reshape(weights, (-1,)),
            numbers={name: getattr(self, name) for name in ("label_smoothing", "z_loss", "soft_cap")},
            options=Options(head.is_embedding, dtype, self.chunk),
        )
        if head.metrics is not None:
            head.metrics.add(values.crossentropy, values.hits, ops.reshape(counts, (-1,)))
        return ops.reshape(values.loss, shape) * weights if separate else values.loss

    def _update_metrics(self, metrics: TokenMetrics, y_pred: Tensor, tokens: _Tokens) -> None:
        """Update the metrics of the head from whole logits."""
        logits = self._capped(self.convert(ops.stop_gradient(y_pred)))
        ids = labels.class_ids(tokens.truth)
        counts = pooled_weights(ops.ones_like(ids, dtype=self.compute_dtype), tokens.samples)
        wanted = tokens.samples.wanted
        if wanted is not None:
            logits, ids = blanked(logits, wanted), blanked(ids, wanted)
        chosen = numerics.is_class(ids, logits)
        others = numerics.max_last(ops.where(chosen, numerics.full_like(logits, -math.inf), logits))
        hits = ops.cast(numerics.take_class_masked(ids, logits) > others, self.compute_dtype)
        metrics.add(numerics.sparse_crossentropy(ids, logits).value, hits, counts)

    def _warn_of_logits(self, y_pred: Any) -> None:
        shape = tuple(getattr(y_pred, "shape", ()))
        if shape and (shape[-1] or 0) >= MANY and not numerics.is_concrete(ops.convert_to_tensor(y_pred)):
            warnings.warn(
                f"`{type(self).__name__}`: the {shape[-1]} logits of each token are not the output of a "
                "VocabularyHead or VocabularyEmbedding. The loss is right, but all logits are in memory at "
                "once. End the model with one of these layers, without an activation.",
                stacklevel=2,
            )
