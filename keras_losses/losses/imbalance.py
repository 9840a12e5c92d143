"""Rare classes: counts, weights and biases made of the labels, and losses that are told the counts."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_losses import numerics
from keras_losses.core import Card, CrossentropyFamily, Identity, Predictions, labels, parameter
from keras_losses.losses.crossentropy import checked_alpha, weights_by_alpha
from keras_losses.numerics import Tensor

# Counts, weights and biases, made of the labels ---------------------------------------------------------


def class_counts(
    y: Any, num_classes: int | None = None, *, one_hot: bool | None = None, ignore_class: int | None = None
) -> np.ndarray:
    """How many samples there are of each class, of labels in any form, a batch at a time.

    Class ids are counted; one-hot, soft and multi-label rows are added up. Which of them `y` holds is read
    off its shape and dtype, and never guessed from its values:

    - of rank 1, or with a last axis of 1: class ids;
    - floats with a longer last axis: rows;
    - integers or bool with a longer last axis may be either (masks of ids, one-hot rows): say `one_hot`.

    Args:
        y: labels as an array, tensor, list of numbers, pandas Series, DataFrame or Categorical (its codes);
            or batches of them, as a `tf.data.Dataset`, a `keras.utils.PyDataset`, a generator or any other
            iterable, whose elements are `y`, `(x, y)` or `(x, y, sample_weight)`. Weights are not counted.
            A dataset that is not batched may have scalars for labels, or rows with `one_hot=True`.
        num_classes: the number of classes; by default one more than the largest id, the number of columns,
            or of pandas's categories. Give it where the last classes may be absent.
        one_hot: True where the last axis is that of the classes, False where every entry is a class id.
        ignore_class: the label that is not to be counted, as in the losses.

    Returns:
        A float64 array of length `num_classes`.

    Raises:
        ValueError: for labels that are no class ids or rows, none at all, more classes than `num_classes`,
            an ambiguous shape, or a dataset without an end.

    Example:

    >>> import numpy as np
    >>> from keras_losses import class_counts
    >>> class_counts([0, 2, 2, 0, 2], num_classes=4).tolist()
    [2.0, 0.0, 3.0, 0.0]
    >>> class_counts(np.array([[1, 0], [0, 1], [0, 1]]), one_hot=True).tolist()
    [1.0, 2.0]
    >>> class_counts(np.array([i, i + 1]) for i in range(3)).tolist()  # a generator of three batches
    [1.0, 2.0, 2.0, 1.0]
    """
    return _tally("class_counts", y, num_classes, one_hot, ignore_class)[0]


def class_weights(
    counts: Sequence[float] | np.ndarray, method: str = "effective_number", beta: float = 0.999
) -> np.ndarray:
    """Weights with mean 1 that let rare classes count more, from how many samples there are of each.

        "inverse"            1 / n
        "sqrt_inverse"       1 / sqrt(n)
        "effective_number"   (1 - beta) / (1 - beta^n)

    The effective number of samples is what n samples are worth if each overlaps with those before it: for
    few samples it is n, and it ends at 1 / (1 - beta). So beta = 0 weighs all classes alike, and beta
    towards 1 is the inverse. Use the result as `class_weight=` of a loss, `dict(enumerate(weights))` as that
    of `fit`, or as `FocalLoss(alpha=...)`.

    Args:
        counts: the number of samples of each class, as `class_counts` gives it.
        method: one of the three above.
        beta: of `"effective_number"`, in [0, 1); 0.9 to 0.9999 in the paper, the more the larger the data.

    Returns:
        A float64 array with a weight for each class.

    Raises:
        ValueError: for a class without samples, whose weight would be infinite, and arguments out of range.

    Example:

    >>> from keras_losses import class_weights
    >>> class_weights([100, 300], method="inverse").tolist()  # 1 : 1/3
    [1.5, 0.5]
    >>> class_weights([1, 2], beta=0.5).round(4).tolist()  # 1 / (1 - 1/2) : 1 / (1 - 1/4) = 2 : 4/3
    [1.2, 0.8]

    References:
        - Cui et al. 2019, Class-Balanced Loss Based on Effective Number of Samples,
          https://arxiv.org/abs/1901.05555
    """
    n = np.asarray(counts, "float64")
    if n.ndim != 1 or not n.size or not (np.isfinite(n) & (n >= 0)).all():
        raise ValueError(
            "class_weights: `counts` must be a sequence with a number from 0 up for each class. Received: "
            f"counts={counts!r}. class_counts(y) counts labels."
        )
    if method not in ("inverse", "sqrt_inverse", "effective_number"):
        raise ValueError(
            "class_weights: `method` must be one of 'inverse', 'sqrt_inverse', 'effective_number'. "
            f"Received: method={method!r}"
        )
    if isinstance(beta, bool) or not 0 <= beta < 1:
        raise ValueError(f"class_weights: `beta` must be a number in [0, 1). Received: beta={beta!r}")
    if (n == 0).any():
        raise ValueError(
            f"class_weights: class {int(n.argmin())} has no samples, so its weight would be infinite. "
            f"Received: counts={counts!r}. Leave the class out, or smooth the counts: counts + 1."
        )
    if method == "effective_number":
        with np.errstate(divide="ignore"):  # log 0 is -inf, and beta^n is 0
            weights = -1.0 / np.expm1(n * np.log1p(beta - 1.0))
    else:
        weights = n ** (-1.0 if method == "inverse" else -0.5)
    found: np.ndarray = weights / weights.mean()
    return found


def output_bias(
    y: Any,
    outputs: int | None = None,
    *,
    multi_label: bool = False,
    one_hot: bool | None = None,
    ignore_class: int | None = None,
    smoothing: float = 0.0,
) -> np.ndarray:
    """The bias with which an untrained last layer predicts the base rates, so that training starts there.

        one output        log(n_1 / n_0)
        a softmax         log(n_j / n)
        `multi_label`     log(n_j / (n - n_j)) for each output, of n samples

    Without it, the first epochs of a model of rare classes go into learning that they are rare, with large
    gradients. At a kernel of 0 the cross-entropy is then the entropy of the labels.

        head = keras.layers.Dense(1, bias_initializer=keras.initializers.Constant(output_bias(y)))

    The array is saved with the model and loaded with it. It is for cross-entropy and its relatives on the
    plain logits: `LogitAdjustedLoss` adds the priors itself, and starts best from a bias of 0.

    Args:
        y: labels in any form that `class_counts` takes.
        outputs: the units of the last layer. By default as many as the labels' rows have columns; for class
            ids 1 where there are two classes, else a softmax over the classes. `outputs=2` is a softmax over
            two classes.
        multi_label: whether each output is a probability of its own; `y` then holds rows of 0 and 1.
        one_hot: as in `class_counts`.
        ignore_class: as in `class_counts`.
        smoothing: what is added to the number of samples of each class (of each label of each output), 0 or
            more; 1 keeps the bias finite where a class has no samples.

    Returns:
        A float64 array with a bias for each output.

    Raises:
        ValueError: for labels as in `class_counts`, for a class without samples where nothing is smoothed,
            and for labels that do not fit the number of outputs.

    Example:

    >>> import numpy as np
    >>> from keras_losses import output_bias
    >>> output_bias([0, 0, 0, 1]).round(4).tolist()  # log(1 / 3)
    [-1.0986]
    >>> output_bias([0, 0, 0, 1], outputs=2).round(4).tolist()  # log 3/4, log 1/4
    [-0.2877, -1.3863]
    >>> output_bias(np.array([[1, 0], [1, 1], [0, 0]]), multi_label=True).round(4).tolist()  # log 2, log 1/2
    [0.6931, -0.6931]

    References:
        - Lin et al. 2017, Focal Loss for Dense Object Detection, https://arxiv.org/abs/1708.02002 (4.1)
    """
    owner = "output_bias"
    _check_whole(owner, "outputs", outputs)
    if isinstance(smoothing, bool) or not 0 <= smoothing < math.inf:
        raise ValueError(
            f"{owner}: `smoothing` must be a number in [0, inf). Received: smoothing={smoothing!r}"
        )
    if multi_label:
        if one_hot is False:
            raise ValueError(
                f"{owner}: multi_label=True needs a label for each output, and one_hot=False says that `y` "
                "holds class ids. Received: multi_label=True, one_hot=False."
            )
        present, known = _tally(owner, y, outputs, True, ignore_class)
        present, absent = present + smoothing, known - present + smoothing
        _check_present(owner, np.stack([present, absent], axis=-1), smoothing)
        return np.asarray(np.log(present) - np.log(absent))
    classes = 2 if outputs == 1 else outputs
    counts, known = _tally(owner, y, classes, one_hot, ignore_class)
    rows = known.size > 1
    if rows and outputs == 1:
        raise ValueError(
            f"{owner}: one output has labels of 0 and 1, and `y` holds rows of {counts.size} columns. "
            f"Received: outputs=1. Give the last layer {counts.size} outputs."
        )
    if counts.size == 1:
        counts = np.append(counts, 0.0)
    counts = counts + smoothing
    _check_present(owner, counts, smoothing)
    if outputs == 1 or (outputs is None and not rows and counts.size == 2):
        bias: np.ndarray = np.log(counts[1:]) - np.log(counts[:1])
    else:
        bias = np.log(counts) - np.log(counts.sum())
    return bias


def _check_present(owner: str, counts: np.ndarray, smoothing: float) -> None:
    if (counts > 0).all():
        return
    where = np.argwhere(counts <= 0)[0]
    if counts.ndim == 1:
        what = f"class {where[0]} has no samples"
    else:
        what = f"output {where[0]} has no samples of the label {1 - where[1]}"
    raise ValueError(
        f"{owner}: {what}, so a bias would be infinite. Received: smoothing={smoothing!r}. Pass smoothing=1, "
        "or leave the class out."
    )


def _check_whole(owner: str, name: str, value: Any) -> None:
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool) and value >= 1
    if value is not None and not whole:
        raise ValueError(
            f"{owner}: `{name}` must be an integer in [1, inf), or None. Received: {name}={value!r}"
        )


# Labels in any form -------------------------------------------------------------------------------------


def _tally(
    owner: str, y: Any, classes: int | None, one_hot: bool | None, ignored: int | None
) -> tuple[np.ndarray, np.ndarray]:
    """The number of each class, and the number of labels: of each column of rows, or one for all ids."""
    _check_whole(owner, "num_classes", classes)
    counts, known, encoding = np.zeros(classes or 0), np.zeros(0), None
    for values, is_element in _arrays(owner, y):
        values = getattr(values, "cat", values)  # of a pandas Series of categories
        categories = len(values.categories) if hasattr(values, "categories") else None
        values = _checked(owner, values)
        if not values.size:
            continue
        rows = _are_rows(owner, values, one_hot, is_element)
        found, number = (_of_rows if rows else _of_ids)(owner, values, classes or categories, ignored)
        if encoding not in (None, rows) or (rows and encoding and len(known) != len(number)):
            raise ValueError(
                f"{owner}: every batch of `y` must have labels of one encoding and one number of classes. "
                f"Received: a batch of shape {values.shape} and dtype {values.dtype} after others. Pass "
                "num_classes and one_hot, or give all batches one shape."
            )
        counts, known, encoding = _sum(counts, found), _sum(known, number), rows
    if not known.sum() > 0:
        raise ValueError(f"{owner}: `y` must hold at least one label. Received: none that is to be counted.")
    return counts, known


def _sum(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    total = np.zeros(max(a.size, b.size))
    total[: a.size] += a
    total[: b.size] += b
    return total


def _arrays(owner: str, y: Any) -> Iterator[tuple[Any, bool]]:
    """The labels in `y`, an array or a batch at a time, and whether each is an element of something."""
    if isinstance(y, str | bytes | Mapping) or not (hasattr(y, "__iter__") or _is_array(y) or _is_batches(y)):
        raise ValueError(
            f"{owner}: `y` must be labels or batches of labels. Received: y of type {type(y).__name__}. Of "
            "several outputs, pass the labels of one."
        )
    if isinstance(y, keras.utils.PyDataset):
        if y.num_batches is None:
            raise _endless(owner)
        yield from ((_labels_of(owner, y[index]), True) for index in range(y.num_batches))
    elif hasattr(y, "element_spec") and hasattr(y, "cardinality"):  # a tf.data.Dataset
        if int(y.cardinality()) == -1:
            raise _endless(owner)
        yield from ((_labels_of(owner, element), True) for element in y)
    elif _is_array(y) or (isinstance(y, list | tuple) and not _holds_arrays(y)):
        yield y, False
    elif isinstance(y, tuple):
        raise ValueError(
            f"{owner}: `y` must be labels or batches of labels. Received: a tuple of {len(y)} arrays, which "
            "looks like (x, y). Pass y alone."
        )
    else:
        yield from ((_labels_of(owner, element), True) for element in y)


def _endless(owner: str) -> ValueError:
    return ValueError(
        f"{owner}: `y` must have an end. Received: a dataset that repeats for ever. Count before .repeat(), "
        "or pass y.take(batches)."
    )


def _is_array(y: Any) -> bool:
    """An array, a tensor of any backend, or one of pandas's kinds."""
    return hasattr(y, "__array__") and not isinstance(y, type)


def _is_batches(y: Any) -> bool:
    return isinstance(y, keras.utils.PyDataset)


def _holds_arrays(y: Any) -> bool:
    """Whether what nested lists and tuples end in are arrays with an axis, rather than numbers."""
    while isinstance(y, list | tuple) and len(y):
        y = y[0]
    return not isinstance(y, list | tuple) and getattr(y, "ndim", 0) > 0


def _labels_of(owner: str, element: Any) -> Any:
    """The labels in an element `y`, `(x, y)` or `(x, y, sample_weight)`."""
    pair = isinstance(element, tuple) or (isinstance(element, list) and _holds_arrays(element))
    if pair and len(element) not in (2, 3):
        raise ValueError(
            f"{owner}: the elements of `y` must be y, (x, y) or (x, y, sample_weight). Received: a "
            f"{type(element).__name__} of {len(element)}."
        )
    found = element[1] if pair else element
    if isinstance(found, str | bytes | Mapping) or found is None:
        raise ValueError(
            f"{owner}: the elements of `y` must have labels in one array. Received: labels of type "
            f"{type(found).__name__}. Of several outputs, map the elements to the labels of one."
        )
    return found


def _checked(owner: str, y: Any) -> np.ndarray:
    """As an array of numbers, in memory that NumPy can read."""
    if hasattr(y, "codes"):  # of pandas's categories
        y = y.codes
    if hasattr(y, "detach"):  # a tensor of PyTorch
        y = y.detach().cpu()
        y = y.float() if str(y.dtype) == "torch.bfloat16" else y
    try:
        values = np.asarray(y)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{owner}: `y` must hold numbers in one array. Received: y of type {type(y).__name__} ({error})."
        ) from None
    if values.dtype.name == "bfloat16":
        values = values.astype("float32")
    if values.dtype.kind not in "biuf":
        raise ValueError(
            f"{owner}: `y` must hold class ids or rows of labels as numbers, without gaps. Received: y of "
            f"dtype {values.dtype}. Turn names into ids first, for instance with "
            "np.unique(y, return_inverse=True), and drop what is missing."
        )
    return values


def _are_rows(owner: str, y: np.ndarray, one_hot: bool | None, is_element: bool) -> bool:
    if one_hot and y.ndim < (1 if is_element else 2):
        raise ValueError(
            f"{owner}: with one_hot=True the last axis of `y` must be that of the classes. Received: y of "
            f"shape {y.shape}. Leave one_hot out for class ids."
        )
    if one_hot is not None or y.ndim < 2 or y.shape[-1] == 1:
        return bool(one_hot)
    if y.dtype.kind == "f":
        return True
    raise ValueError(
        f"{owner}: `y` of shape {y.shape} and dtype {y.dtype} may hold class ids, or one-hot rows of "
        f"{y.shape[-1]} classes. Received: one_hot=None. Pass one_hot=False for ids, one_hot=True for rows."
    )


def _of_ids(
    owner: str, y: np.ndarray, classes: int | None, ignored: int | None
) -> tuple[np.ndarray, np.ndarray]:
    ids = y.reshape(-1)
    if ignored is not None:
        ids = ids[ids != ignored]
    wrong = ~((ids >= 0) & (ids <= (np.inf if classes is None else classes - 1)) & (ids == np.floor(ids)))
    wrong |= ~np.isfinite(ids)
    if wrong.any():
        last = "up" if classes is None else f"to {classes - 1}"
        raise ValueError(
            f"{owner}: `y` must hold integer class ids from 0 {last}. Received: {ids[wrong][0]:g}. Name an "
            "id to skip with ignore_class; num_classes is one more than the largest id."
        )
    counts = np.bincount(ids.astype("int64"), minlength=classes or 0).astype("float64")
    return counts, np.array([float(ids.size)])


def _of_rows(
    owner: str, y: np.ndarray, classes: int | None, ignored: int | None
) -> tuple[np.ndarray, np.ndarray]:
    rows = y.reshape(-1, y.shape[-1]).astype("float64")
    columns = rows.shape[-1]
    if classes not in (None, columns):
        raise ValueError(
            f"{owner}: `y` must have a column for each of the {classes} classes. Received: y of shape "
            f"{y.shape}."
        )
    known = np.ones(rows.shape, bool)
    if ignored is not None and 0 <= ignored < columns:
        known &= (rows.argmax(-1) != ignored)[:, None]
    elif ignored is not None:
        known &= rows != ignored
    wrong = known & ~((rows >= 0) & (rows <= 1))
    if wrong.any():
        raise ValueError(
            f"{owner}: rows of `y` must hold labels between 0 and 1. Received: {rows[wrong][0]:g}. If every "
            "entry is a class id, pass one_hot=False."
        )
    return np.where(known, rows, 0.0).sum(0), known.sum(0).astype("float64")


# Hyper-parameters: a number for each class ----------------------------------------------------------------


def _positive(value: Any) -> list[float]:
    """a sequence with a number above 0 for each class"""
    numbers = labels.numbers(value)
    if 0 in numbers:
        raise ValueError(
            f"class {numbers.index(0)} has no samples; leave it out, or smooth the counts: counts + 1"
        )
    return numbers


def _counts(value: Any) -> list[float]:
    """a sequence with a number from 0 up for each class, not all of them 0"""
    numbers = labels.numbers(value)
    if not any(numbers):
        raise ValueError
    return numbers


REFUSED: tuple[Any, ...] = (
    "many",
    3.0,
    [],
    [-1.0, 2.0, 3.0],
    [float("nan"), 1.0, 2.0],
    [float("inf"), 1.0, 1.0],
    [0.0, 0.0],
)


# Losses -------------------------------------------------------------------------------------------------


class LogitAdjustedLoss(CrossentropyFamily):
    """Cross-entropy in which the priors do the work of the rare classes, for a model that is balanced.

        loss = -log softmax(z + tau log prior)_t

    The logits are shifted in the loss alone. What is left for the model to learn is how much likelier a
    class is than its prior, so that at test time the largest of the plain logits z has the smallest error
    averaged over the classes, and softmax(z) are the probabilities if all classes were equally frequent.
    With tau = 1 it is the balanced softmax. Class weights aim at the same, but a model that separates its
    training samples stops to feel them; the shift moves the border all the same. `LDAMLoss` asks for a
    margin instead.

    With one output, z + tau (log prior_1 - log prior_0). With `multi_label`, each z_j + tau log(prior_j /
    (1 - prior_j)).

    Args:
        class_prior: a number above 0 for each class, counts (of `class_counts`) or shares alike, for softmax
            does not change with their scale. With one output: those of the labels 0 and 1. With
            `multi_label`: the rate of each output, in (0, 1).
        tau: how much of the prior is taken out, 0 or more; 1 is what theory asks for, 0 is cross-entropy.

    Further keyword arguments (`from_logits`, `multi_label`, `label_smoothing`, `class_weight`,
    `ignore_class`, `axis`, `name`, `reduction`, `dtype`) are those of `keras_losses.core.CrossentropyFamily`.
    A soft or smoothed label is the expectation of the loss over its classes. The logits of probabilities are
    their logarithms (log-odds, for outputs of their own).

    Shapes: `y_pred` `(..., C)`, or `(...)` and `(..., 1)` for one output; `y_true` class ids `(...)` or
    `(..., 1)`, one-hot or soft labels `(..., C)`, or 0/1 labels in the shape of the outputs. With
    `reduction="none"` the result is `(...)`.

    Raises:
        ValueError: for hyper-parameters out of range, another number of priors than of classes, shapes that
            do not match and, in eager mode, for labels or probabilities that are none.

    Example:

    >>> import numpy as np
    >>> from keras_losses import LogitAdjustedLoss
    >>> loss = LogitAdjustedLoss(class_prior=[300, 100], from_logits=True)
    >>> round(float(loss(np.array([1]), np.array([[0.0, 0.0]]))), 4)  # -log 1/4, and not -log 1/2
    1.3863

    References:
        - Menon et al. 2020, Long-tail learning via logit adjustment, https://arxiv.org/abs/2007.07314
        - Ren et al. 2020, Balanced Meta-Softmax for Long-Tailed Visual Recognition,
          https://arxiv.org/abs/2007.10740
    """

    card = Card(
        family="imbalance",
        formula="-log softmax(z + tau log prior)_t",
        paper="Menon 2020, 2007.07314; Ren 2020, 2007.10740 (tau=1)",
        labels="class ids, one-hot or soft labels, or 0/1 labels",
        predictions="logits or probabilities",
        use="rare classes that matter as much as common ones: the first to try against imbalance",
        avoid="probabilities that must be those of the training data; test data as imbalanced as these",
        elicits="class probability over its prior",
        elicits_note="to the power of tau",
        gradient_bound="1 in a logit",
        identities=(Identity({"tau": 0.0}, "CrossentropyLoss"),),
        cost="the logits are shifted before their largest is found",
    )

    class_prior: Sequence[float] | np.ndarray = parameter(
        convert=_positive,
        examples=([0.2, 0.5, 0.3], [0.9, 0.09, 0.01], [400, 20, 5]),
        refused=(*REFUSED, [0.5, 0.0, 0.5]),
    )
    tau: float = parameter(default=1.0, within="[0, inf)")

    def validate(self) -> None:
        if self.multi_label and max(self.class_prior) >= 1:
            raise ValueError(
                "LogitAdjustedLoss: with multi_label=True `class_prior` must be the rate of each output, in "
                f"(0, 1). Received: class_prior={self.class_prior!r}. Divide counts by the number of samples."
            )

    def adjusted(self, predictions: Predictions, of_outputs: bool) -> Predictions:
        shift = self._shift(predictions.values.shape[-1], of_outputs)
        if numerics.is_number(self.tau, 0.0):  # cross-entropy itself
            return predictions
        logits = predictions.as_logits(of_outputs)
        # Beside logits of 1e4 float32 would round the prior.
        logits = (logits if of_outputs else numerics.below_peak(logits)) + self.convert(shift)
        return replace(predictions, values=logits, logits=logits)

    def _shift(self, outputs: int, of_outputs: bool) -> Any:
        one_output = of_outputs and not self.multi_label
        prior = labels.weight_vector(
            type(self).__name__, "class_prior", self.class_prior, 2 if one_output else outputs
        )
        logs = np.log(prior)
        logs = logs[1:] - logs[:1] if one_output else logs - (np.log1p(-prior) if of_outputs else logs.max())
        with np.errstate(over="ignore"):
            return self.tau * self.beside(np.asarray(logs), self.tau)


class LDAMLoss(CrossentropyFamily):
    """Cross-entropy that asks for a margin, the wider the rarer the true class is.

        loss = -log( e^{scale (z_t - m_t)} / (e^{scale (z_t - m_t)} + sum_{j != t} e^{scale z_j}) )
        m_j = max_margin (min_k n_k / n_j)^(1/4)

    A rare class has few samples to say where its border is, so the border is kept farther away from them.
    The margin means something where logits have a scale: the paper's last layer has weights and inputs of
    length 1, whose products are cosines in [-1, 1]. A plain `Dense` layer may grow its logits instead; there
    a scale of 1 and larger margins are nearer to what `LogitAdjustedLoss` does with less. In the paper it is
    put to use with class weights for the last epochs alone (`class_weight` of `class_weights`).

    Args:
        class_counts: how many samples there are of each class, above 0, as `class_counts` counts them. With
            one output: of the labels 0 and 1.
        max_margin: the margin of the rarest class, 0 or more; 0.5 in the paper.
        scale: what the logits are multiplied with, above 0; 30 in the paper's code.

    Further keyword arguments (`from_logits`, `label_smoothing`, `class_weight`, `ignore_class`, `axis`,
    `name`, `reduction`, `dtype`) are those of `keras_losses.core.CrossentropyFamily`; classes exclude one
    another. One output z is two classes with the logits 0 and z. A soft or smoothed label is the expectation
    of the loss over its classes. The logits of probabilities are their logarithms (log-odds, for one output).

    Shapes: `y_pred` `(..., C)`, or `(...)` and `(..., 1)` for one output; `y_true` class ids `(...)` or
    `(..., 1)`, one-hot or soft labels `(..., C)`, or 0/1 labels in the shape of the output. With
    `reduction="none"` the result is `(...)`.

    Raises:
        ValueError: for hyper-parameters out of range, another number of counts than of classes, shapes that
            do not match and, in eager mode, for labels or probabilities that are none.

    Example:

    >>> import numpy as np
    >>> from keras_losses import LDAMLoss
    >>> loss = LDAMLoss(class_counts=[1600, 100], scale=1.0, from_logits=True)  # margins 0.25 and 0.5
    >>> round(float(loss(np.array([0]), np.array([[0.25, 0.0]]))), 4)  # -log 1/2
    0.6931

    References:
        - Cao et al. 2019, Learning Imbalanced Datasets with Label-Distribution-Aware Margin Loss,
          https://arxiv.org/abs/1906.07413
    """

    card = Card(
        family="imbalance",
        formula="-log softmax(scale (z - m_t [j = t]))_t, m_j = max_margin (min_k n_k / n_j)^(1/4)",
        paper="Cao 2019, 1906.07413",
        labels="class ids, one-hot or soft labels of exclusive classes, or 0/1 labels of one output",
        predictions="logits (best: cosines) or probabilities",
        use="rare classes, with a last layer of cosines",
        avoid="probabilities that must be calibrated; plain logits with the scale of 30",
        elicits="likeliest class",
        elicits_note="where scale times the margins is well above 1; small ones favour the rare class",
        gradient_bound="scale in a logit",
        identities=(Identity({"max_margin": 0.0, "scale": 1.0}, "CrossentropyLoss"),),
        conditioning="scale times the error of a logit, relative",
        cost="of soft and one-hot labels the log-odds of every class",
    )

    class_counts: Sequence[float] | np.ndarray = parameter(
        convert=_positive, examples=([100, 40, 5], [3, 7, 1000]), refused=(*REFUSED, [10.0, 0.0, 5.0])
    )
    max_margin: float = parameter(default=0.5, within="[0, inf)")
    scale: float = parameter(default=30.0, within="(0, inf)")
    multi_label = False

    def adjusted(self, predictions: Predictions, of_outputs: bool) -> Predictions:
        if numerics.is_number(self.scale, 1.0):
            return predictions
        logits = predictions.as_logits(of_outputs, times=self.scale)
        if not of_outputs:
            logits = numerics.below_peak(logits)  # near 0 the product keeps more digits
        logits = logits * self.scale
        return replace(predictions, values=logits, logits=logits)

    def id_terms(self, predictions: Predictions, ids: Tensor) -> Tensor:
        margins = self._margins(predictions.values.shape[-1])
        if margins is None:
            return super().id_terms(predictions, ids)
        odds = numerics.sparse_log_odds(ids, predictions.as_logits(of_outputs=False))
        return numerics.softplus(ops.take(margins, ids, axis=0) - odds)

    def class_terms(self, predictions: Predictions) -> Tensor:
        margins = self._margins(predictions.values.shape[-1])
        if margins is None:
            return super().class_terms(predictions)
        return numerics.softplus(margins - numerics.dense_log_odds(predictions.as_logits(of_outputs=False)))

    def output_terms(self, predictions: Predictions) -> tuple[Tensor, Tensor]:
        margins = self._margins(2)
        if margins is None:
            return super().output_terms(predictions)
        odds = predictions.as_logits(of_outputs=True)
        return numerics.softplus(margins[1] - odds), numerics.softplus(margins[0] + odds)

    def _margins(self, classes: int) -> Tensor | None:
        """The margin of each class, multiplied with the scale; None where there are none."""
        counts = labels.weight_vector(type(self).__name__, "class_counts", self.class_counts, classes)
        if numerics.is_number(self.max_margin, 0.0):
            return None
        widest = self.scale * self.max_margin
        return self.convert(widest * self.beside((counts.min() / counts) ** 0.25, widest))


class SeesawLoss(CrossentropyFamily):
    """Cross-entropy in which a common class's samples push the rare classes down less.

        loss = -log( e^{z_t} / (e^{z_t} + sum_{j != t} S_tj e^{z_j}) ),   S_tj = M_tj C_tj
        M_tj = (N_j / N_t)^p   where class j is rarer than the true one, else 1
        C_tj = (p_j / p_t)^q   where class j is thought likelier than the true one, else 1

    In a long tail the rare classes drown in the negatives of the common ones. M takes these off; C puts them
    back where a rare class is mistaken for the truth. As in the reference implementation S is held constant
    when the loss is differentiated: it weighs the gradients, and is not itself to be made small. That
    implementation also bounds p_t in C from below by 0.01; here the logarithms are exact and need no bound.

    The paper counts the samples of each class while it trains; a loss has no state here, so the counts are
    given, which is where the paper's end up.

    Args:
        class_counts: how many samples there are of each class, 0 or more, as `class_counts` counts them;
            fewer than 1 counts as 1. With one output: of the labels 0 and 1.
        p: how far a rarer class is spared, 0 or more; 0.8 in the paper.
        q: how much a mistake costs, 0 or more; 2 in the paper.

    Further keyword arguments (`from_logits`, `label_smoothing`, `class_weight`, `ignore_class`, `axis`,
    `name`, `reduction`, `dtype`) are those of `keras_losses.core.CrossentropyFamily`; classes exclude one
    another. One output z is two classes with the logits 0 and z. A soft or smoothed label is the expectation
    of the loss over its classes, which takes C numbers for each class where ids take C in all: prefer ids.
    The logits of probabilities are their logarithms (log-odds, for one output).

    Shapes: `y_pred` `(..., C)`, or `(...)` and `(..., 1)` for one output; `y_true` class ids `(...)` or
    `(..., 1)`, one-hot or soft labels `(..., C)`, or 0/1 labels in the shape of the output. With
    `reduction="none"` the result is `(...)`.

    Raises:
        ValueError: for hyper-parameters out of range, another number of counts than of classes, shapes that
            do not match and, in eager mode, for labels or probabilities that are none.

    Example:

    >>> import numpy as np
    >>> from keras_losses import SeesawLoss
    >>> loss = SeesawLoss(class_counts=[300, 100], p=1.0)
    >>> round(float(loss(np.array([0]), np.array([[0.5, 0.5]]))), 4)  # -log(1 / (1 + 100/300))
    0.2877
    >>> round(float(loss(np.array([1]), np.array([[0.75, 0.25]]))), 4)  # -log(1 / (1 + 3^2 * 3))
    3.3322

    References:
        - Wang et al. 2021, Seesaw Loss for Long-Tailed Instance Segmentation,
          https://arxiv.org/abs/2008.10032
    """

    card = Card(
        family="imbalance",
        formula=(
            "-log(e^{z_t} / (e^{z_t} + sum_{j != t} S_tj e^{z_j})), "
            "S_tj = min(N_j / N_t, 1)^p max(p_j / p_t, 1)^q"
        ),
        paper="Wang 2021, 2008.10032",
        labels="class ids, one-hot or soft labels of exclusive classes, or 0/1 labels of one output",
        predictions="logits or probabilities",
        use="a long tail of many classes, where common classes' samples push the rare ones down",
        avoid="probabilities that must be calibrated; soft labels over many classes, which take C^2",
        elicits="likeliest class",
        elicits_note="of like counts, its probability pulled towards uniform; else rarer classes are raised",
        gradient_bound="1 in a logit",
        identities=(Identity({"p": 0.0, "q": 0.0}, "CrossentropyLoss"),),
        conditioning="q + 1 times the error of a logit, relative",
        cost="a factor for each pair of a label and another class, with a power",
    )

    class_counts: Sequence[float] | np.ndarray = parameter(
        convert=_counts, examples=([3, 2, 5], [1000, 40, 0]), refused=REFUSED
    )
    p: float = parameter(default=0.8, within="[0, inf)")
    q: float = parameter(default=2.0, within="[0, inf)")
    multi_label = False

    def adjusted(self, predictions: Predictions, of_outputs: bool) -> Predictions:
        if numerics.is_number(self.p, 0.0) and numerics.is_number(self.q, 0.0):
            return predictions
        logits = predictions.as_logits(of_outputs)
        return replace(predictions, values=logits, logits=logits)

    def id_terms(self, predictions: Predictions, ids: Tensor) -> Tensor:
        shares = self._shares(predictions.values.shape[-1])
        if predictions.logits is None:  # cross-entropy itself
            return super().id_terms(predictions, ids)
        own = ops.expand_dims(numerics.of_class(ids, predictions.logits), -1)
        share = ops.expand_dims(ops.take(shares, ids, axis=0), -1)
        return self._against(ids, own, predictions.logits, shares - share)

    def class_terms(self, predictions: Predictions) -> Tensor:
        shares = self._shares(predictions.values.shape[-1])
        if predictions.logits is None:
            return super().class_terms(predictions)
        every = predictions.logits
        own = ops.expand_dims(every, -1)
        logits = ops.expand_dims(every, -2) + ops.zeros_like(own)
        ids = ops.broadcast_to(ops.arange(every.shape[-1], dtype="int32"), ops.shape(every))
        return self._against(ids, own, logits, shares - ops.expand_dims(shares, -1))

    def output_terms(self, predictions: Predictions) -> tuple[Tensor, Tensor]:
        shares = self._shares(2)
        if predictions.logits is None:
            return super().output_terms(predictions)
        z, lead = predictions.logits, ops.stop_gradient(predictions.logits)
        one = self._log_mitigation(shares[0] - shares[1]) + self.q * ops.relu(-lead)
        zero = self._log_mitigation(shares[1] - shares[0]) + self.q * ops.relu(lead)
        return numerics.softplus(one - z), numerics.softplus(zero + z)

    def _against(self, ids: Tensor, own: Tensor, logits: Tensor, log_ratio: Tensor) -> Tensor:
        """The value of the labels `ids`, whose own logits are `own`, against all `logits` `(..., C)`."""
        # log C is q max(z_j - z_t, 0). With q (z_t - max z) added to every class nothing changes, and the
        # likeliest ones, which decide, are not rounded to the last digit of a large lead.
        held, kept = ops.stop_gradient(logits), ops.stop_gradient(own)
        log_c = self.q * (ops.where(held > kept, held, kept) - ops.expand_dims(numerics.peak(held), -1))
        against = numerics.below_peak(logits) + self._log_mitigation(log_ratio) + log_c
        return numerics.sparse_crossentropy(ids, against).value

    def _log_mitigation(self, log_ratio: Tensor) -> Tensor:
        """log M, of p log(N_j / N_t)."""
        rarer = -ops.relu(-log_ratio)
        return rarer if numerics.is_number(self.p) else self.p * rarer

    def _shares(self, classes: int) -> Tensor:
        """p log N; log N for a p in a tensor, of which relu would leave no slope at 0."""
        counts = labels.weight_vector(type(self).__name__, "class_counts", self.class_counts, classes)
        logs = np.log(np.maximum(counts, 1.0))
        with np.errstate(over="ignore"):
            return self.convert((self.p if numerics.is_number(self.p) else 1.0) * (logs - logs.max()))


class EqualizedFocalLoss(CrossentropyFamily):
    """Focal loss with a focus for each class: the rarer its positives, the more it turns from easy samples.

        loss = -a_t (gamma_j / gamma) (1 - p_t)^gamma_j log p_t
        gamma_j = gamma + scale (1 - g_j),   g_j = n_j / max_k n_k

    and the mean over the outputs j. A rare class has so many easy negatives to each positive that the focus
    of a common class is not enough for it; gamma_j / gamma gives back the size that a stronger focus takes.
    Each output is a probability of its own.

    In the paper g_j is measured while it trains: the sum of the gradients of a class's positives, divided by
    that of its negatives. A loss has no state here, so g_j comes from the counts, which that ratio follows:
    1 for the most frequent class, towards 0 for rare ones. It does not move as training balances the classes.

    Args:
        class_counts: how many positives each output has, 0 or more, as `class_counts` counts them.
        gamma: the focus of the most frequent class, above 0; 2 in the paper.
        scale: how much more the focus of a rare class may be, 0 or more; 8 in the paper, 0 is focal loss.
        alpha: as in `FocalLoss`: the weight of the label 1, where the label 0 has 1 - alpha; one number in
            [0, 1] (0.25 in the paper), a sequence with a number for each output, or None for no weights.

    Further keyword arguments (`from_logits`, `label_smoothing`, `class_weight`, `ignore_class`, `axis`,
    `name`, `reduction`, `dtype`) are those of `keras_losses.core.CrossentropyFamily`. A soft or smoothed
    label is the expectation of the loss over 0 and 1.

    Shapes: `y_pred` `(..., C)`, or `(...)` for one output; `y_true` 0/1 labels in the shape of the outputs.
    With `reduction="none"` the result is `(...)`.

    Raises:
        ValueError: for hyper-parameters out of range, another number of counts than of outputs, shapes that
            do not match and, in eager mode, for labels or probabilities that are none.

    Example:

    >>> import numpy as np
    >>> from keras_losses import EqualizedFocalLoss
    >>> loss = EqualizedFocalLoss(class_counts=[4, 1], scale=4.0, alpha=None)  # gammas of 2 and 5
    >>> round(float(loss(np.array([[0.0, 1.0]]), np.array([[0.0, 0.5]]))), 6)  # 5/2 * 0.5^5 * log 2 / 2
    0.027076

    References:
        - Li et al. 2022, Equalized Focal Loss for Dense Long-Tailed Object Detection,
          https://arxiv.org/abs/2201.02593
    """

    card = Card(
        family="imbalance",
        formula="-a_t (gamma_j / gamma) (1 - p_t)^gamma_j log p_t, gamma_j = gamma + scale (1 - n_j / max n)",
        paper="Li 2022, 2201.02593",
        labels="0/1 labels",
        predictions="logits or probabilities",
        use="one-stage detectors and many labels at once, of which some are rare",
        avoid="probabilities that must be calibrated; classes that exclude one another",
        elicits="order of probabilities",
        elicits_note="among outputs of like counts; a rarer one's is pulled nearer to a half",
        gradient_bound="1.5 max(a) gamma_j / gamma in a logit, up to a gamma_j of 10",
        identities=(Identity({"scale": 0.0}, "FocalLoss", {"multi_label": True, "alpha": 0.25}),),
        conditioning="gamma_j + 1 times the relative error of -log p_t",
        cost="two powers with an exponent of each class",
    )

    class_counts: Sequence[float] | np.ndarray = parameter(
        convert=_counts, examples=([6, 2, 4], [1000, 0, 50]), refused=REFUSED
    )
    gamma: float = parameter(default=2.0, within="(0, inf)")
    scale: float = parameter(default=8.0, within="[0, inf)")
    alpha: float | Sequence[float] | np.ndarray | None = parameter(
        default=0.25,
        convert=checked_alpha,
        optional=True,
        examples=(0.6, [0.2, 0.5, 0.3]),
        refused=(-0.1, 1.5, "high", [-1.0, 1.0]),
    )
    multi_label = True

    def output_terms(self, predictions: Predictions) -> tuple[Tensor, Tensor]:
        gammas, factors = self._focus(predictions.values.shape[-1])
        one, zero = predictions.of_outputs()
        return (
            factors * numerics.power(one.complement, gammas) * one.value,
            factors * numerics.power(zero.complement, gammas) * zero.value,
        )

    def output_weights(self, outputs: int) -> tuple[Any, Any] | None:
        return weights_by_alpha(self, self.alpha, outputs)

    def _focus(self, outputs: int) -> tuple[Tensor, Tensor]:
        """gamma_j and gamma_j / gamma."""
        counts = labels.weight_vector(type(self).__name__, "class_counts", self.class_counts, outputs)
        with np.errstate(over="ignore"):
            gamma, scale = self.gamma, self.scale
            gammas = gamma + scale * self.beside(1.0 - counts / counts.max(), gamma, scale)
            return self.convert(gammas), self.convert(gammas / gamma)
