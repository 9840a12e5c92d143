"""Statistics of labels for imbalanced classes: counts, class weights and the bias of the last layer."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from keras_losses.core.parameters import Parameter

COUNT = Parameter(within="[1, inf)", integer=True, optional=True)

# Counts, weights and biases, made of the labels ---------------------------------------------------------


def class_counts(
    y: Any, num_classes: int | None = None, *, one_hot: bool | None = None, ignore_class: int | None = None
) -> np.ndarray:
    """Count the samples of each class, from labels in any form, one batch at a time.

    Class ids are counted; one-hot, soft and multi-label rows are summed. The shape and dtype of `y` decide
    which of them it holds. Its values are never used to guess:

    - rank 1, or a last axis of 1: class ids;
    - floats with a longer last axis: rows;
    - integers or bool with a longer last axis: ambiguous (masks of ids, or one-hot rows), so pass `one_hot`.

    Args:
        y: labels as an array, tensor, list of numbers, pandas Series, DataFrame or Categorical (its codes);
            or batches of labels, as a `tf.data.Dataset`, a `keras.utils.PyDataset`, a generator or any other
            iterable, whose elements are `y`, `(x, y)` or `(x, y, sample_weight)`. Sample weights are not
            used. The elements of an unbatched dataset are scalar ids, or rows with `one_hot=True`.
        num_classes: number of classes, 1 or more. By default one more than the largest id, the number of
            columns, or the number of pandas categories. Pass it if the last classes may be absent.
        one_hot: True if the last axis is that of the classes, False if every entry is a class id.
        ignore_class: label that is not counted, as in the losses.

    Returns:
        A float64 array of length `num_classes`.

    Raises:
        ValueError: for invalid labels, no labels at all, more classes than `num_classes`, an ambiguous shape,
            or a dataset that repeats for ever.

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
    return _count("class_counts", y, num_classes, one_hot, ignore_class)[0]


def class_weights(
    counts: Sequence[float] | np.ndarray, method: str = "effective_number", beta: float = 0.999
) -> np.ndarray:
    """Return class weights with mean 1 that give rare classes more weight, from the counts of the classes.

        "inverse"            1 / n
        "sqrt_inverse"       1 / sqrt(n)
        "effective_number"   (1 - beta) / (1 - beta^n)

    The effective number of samples is smaller than n because samples overlap. It is near n for few samples
    and approaches 1 / (1 - beta) for many. So beta = 0 gives all classes the same weight, and beta near 1
    gives the inverse of the counts. Pass the result as `class_weight=` of a loss, as
    `dict(enumerate(weights))` to `fit`, or as `FocalLoss(alpha=...)`.

    Args:
        counts: number of samples of each class, above 0, as `class_counts` returns them. Labels are not
            counts: write `class_weights(class_counts(y))`.
        method: one of the three names above.
        beta: overlap for `"effective_number"`, in [0, 1); 0.9 to 0.9999 in the paper, larger for more data.

    Returns:
        A float64 array with a weight for each class.

    Raises:
        ValueError: for a class without samples, whose weight would be infinite, and for arguments outside
            their range.

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
            "`class_weights`: `counts` must be a sequence with a number from 0 up for each class. Received: "
            f"counts={counts!r}. To count labels, use class_counts(y)."
        )
    if method not in ("inverse", "sqrt_inverse", "effective_number"):
        raise ValueError(
            "`class_weights`: `method` must be one of 'inverse', 'sqrt_inverse', 'effective_number'. "
            f"Received: method={method!r}"
        )
    if isinstance(beta, bool) or not 0 <= beta < 1:
        raise ValueError(f"`class_weights`: `beta` must be a number in [0, 1). Received: beta={beta!r}")
    if (n == 0).any():
        raise ValueError(
            "`class_weights`: `counts` must be above 0, since a class without samples would get an infinite "
            f"weight. Received: counts={counts!r}, where class {int(n.argmin())} has no samples. If "
            "these are labels, count them: class_weights(class_counts(y)). Otherwise leave the class out, or "
            "smooth the counts: counts + 1."
        )
    if method == "effective_number":
        with np.errstate(divide="ignore"):  # log 0 is -inf, and beta^n is 0
            weights = -1.0 / np.expm1(n * np.log1p(beta - 1.0))
    else:
        weights = n ** (-1.0 if method == "inverse" else -0.5)
    normalized: np.ndarray = weights / weights.mean()
    return normalized


def output_bias(
    y: Any,
    outputs: int | None = None,
    *,
    multi_label: bool = False,
    one_hot: bool | None = None,
    ignore_class: int | None = None,
    smoothing: float = 0.0,
) -> np.ndarray:
    """Return the bias with which an untrained last layer predicts the base rates of the labels.

        one output        log(n_1 / n_0)
        a softmax         log(n_j / n)
        `multi_label`     log(n_j / (n - n_j)) for each output, of n samples

    Without it, a model of rare classes spends its first epochs, with large gradients, on learning that they
    are rare. With it and a kernel of 0, the cross-entropy starts at the entropy of the labels.

        head = keras.layers.Dense(1, bias_initializer=keras.initializers.Constant(output_bias(y)))

    The array is saved and loaded with the model. It is meant for cross-entropy and related losses of plain
    logits. `LogitAdjustedLoss` adds the priors itself and starts best from a bias of 0.

    Args:
        y: labels in any form that `class_counts` takes.
        outputs: number of units of the last layer. By default the number of columns of rows; for class ids, 1
            if there are two classes, else the number of classes. `outputs=2` is a softmax over two classes.
        multi_label: whether each output is a probability of its own; `y` then holds rows of 0 and 1.
        one_hot: as in `class_counts`.
        ignore_class: as in `class_counts`.
        smoothing: added to the number of samples of each class (of each label of each output), in [0, inf);
            1 keeps the bias finite if a class has no samples.

    Returns:
        A float64 array with a bias for each output.

    Raises:
        ValueError: for invalid labels as in `class_counts`, for a class without samples if `smoothing` is 0,
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
    COUNT.check(owner, "outputs", outputs)
    if isinstance(smoothing, bool) or not 0 <= smoothing < math.inf:
        raise ValueError(
            f"`{owner}`: `smoothing` must be a number in [0, inf). Received: smoothing={smoothing!r}"
        )
    if multi_label:
        if one_hot is False:
            raise ValueError(
                f"`{owner}`: `one_hot` must not be False with multi_label=True, which needs a label for each "
                "output. Received: one_hot=False. Leave one_hot out."
            )
        present, known = _count(owner, y, outputs, True, ignore_class)
        present, absent = present + smoothing, known - present + smoothing
        _check_present(owner, np.stack([present, absent], axis=-1), smoothing)
        return np.asarray(np.log(present) - np.log(absent))
    classes = 2 if outputs == 1 else outputs
    counts, known = _count(owner, y, classes, one_hot, ignore_class)
    rows = known.size > 1
    if rows and outputs == 1:
        raise ValueError(
            f"`{owner}`: `outputs` must be the number of columns of `y`. Received: outputs=1, y with rows of "
            f"{counts.size} columns. Give the last layer {counts.size} outputs."
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
        problem = f"class {where[0]} has no samples"
    else:
        problem = f"output {where[0]} has no samples of the label {1 - where[1]}"
    raise ValueError(
        f"`{owner}`: `smoothing` must be above 0, since {problem} and a bias would be infinite. Received: "
        f"smoothing={smoothing!r}. Pass smoothing=1, or leave the class out."
    )


# Labels in any form -------------------------------------------------------------------------------------


def _count(
    owner: str, y: Any, classes: int | None, one_hot: bool | None, ignored: int | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return the counts of the classes and the number of labels, in all or for each column of rows."""
    COUNT.check(owner, "num_classes", classes)
    counts, known, previous_are_rows = np.zeros(classes or 0), np.zeros(0), None
    for values, is_element in _batches(owner, y):
        values = getattr(values, "cat", values)  # the categories of a pandas Series
        categories = len(values.categories) if hasattr(values, "categories") else None
        values = _as_numbers(owner, values)
        if not values.size:
            continue
        are_rows = _are_rows(owner, values, one_hot, is_element)
        count = _count_rows if are_rows else _count_ids
        batch_counts, batch_known = count(owner, values, classes or categories, ignored)
        other_encoding = previous_are_rows is not None and previous_are_rows != are_rows
        if other_encoding or (are_rows and previous_are_rows and len(known) != len(batch_known)):
            raise ValueError(
                f"`{owner}`: every batch of `y` must have labels of one encoding and one number of classes. "
                f"Received: a batch of shape {values.shape} and dtype {values.dtype} after others. Pass "
                "num_classes and one_hot, or give all batches one shape."
            )
        counts, known = _padded_sum(counts, batch_counts), _padded_sum(known, batch_known)
        previous_are_rows = are_rows
    if not known.sum() > 0:
        raise ValueError(
            f"`{owner}`: `y` must hold at least one label. Received: no labels, or only ignored ones. Check "
            "y and ignore_class."
        )
    return counts, known


def _padded_sum(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    total = np.zeros(max(a.size, b.size))
    total[: a.size] += a
    total[: b.size] += b
    return total


def _batches(owner: str, y: Any) -> Iterator[tuple[Any, bool]]:
    """Yield the labels of `y`, one array or batch at a time, each with True if an iterable holds it."""
    if isinstance(y, str | bytes | Mapping) or not (
        hasattr(y, "__iter__") or _is_array(y) or isinstance(y, keras.utils.PyDataset)
    ):
        raise ValueError(
            f"`{owner}`: `y` must be labels or batches of labels. Received: y of type {type(y).__name__}. "
            "For several outputs, pass the labels of one."
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
            f"`{owner}`: `y` must be labels or batches of labels. Received: a tuple of {len(y)} arrays, "
            "which looks like (x, y). Pass y alone."
        )
    else:
        yield from ((_labels_of(owner, element), True) for element in y)


def _endless(owner: str) -> ValueError:
    return ValueError(
        f"`{owner}`: `y` must have an end. Received: a dataset that repeats for ever. Count before "
        ".repeat(), or pass y.take(batches)."
    )


def _is_array(y: Any) -> bool:
    """Return whether `y` is an array, a tensor of any backend, or a pandas object."""
    return hasattr(y, "__array__") and not isinstance(y, type)


def _holds_arrays(y: Any) -> bool:
    """Return whether nested lists and tuples end in arrays that have an axis, rather than in numbers."""
    while isinstance(y, list | tuple) and len(y):
        y = y[0]
    return not isinstance(y, list | tuple) and getattr(y, "ndim", 0) > 0


def _labels_of(owner: str, element: Any) -> Any:
    """Return the labels of an element `y`, `(x, y)` or `(x, y, sample_weight)`."""
    pair = isinstance(element, tuple) or (isinstance(element, list) and _holds_arrays(element))
    if pair and len(element) not in (2, 3):
        raise ValueError(
            f"`{owner}`: the elements of `y` must be y, (x, y) or (x, y, sample_weight). Received: a "
            f"{type(element).__name__} of {len(element)}."
        )
    labels = element[1] if pair else element
    if isinstance(labels, str | bytes | Mapping) or labels is None:
        raise ValueError(
            f"`{owner}`: each element of `y` must have its labels in one array. Received: labels of type "
            f"{type(labels).__name__}. For several outputs, map the elements to the labels of one."
        )
    return labels


def _as_numbers(owner: str, y: Any) -> np.ndarray:
    """Return the labels as a NumPy array of numbers."""
    if hasattr(y, "codes"):  # pandas categories
        y = y.codes
    if hasattr(y, "detach"):  # a PyTorch tensor, which may be on a GPU
        y = y.detach().cpu()
        y = y.float() if str(y.dtype) == "torch.bfloat16" else y
    try:
        values = np.asarray(y)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"`{owner}`: `y` must hold numbers in one array. Received: y of type {type(y).__name__} "
            f"({error})."
        ) from None
    if values.dtype.name == "bfloat16":
        values = values.astype("float32")
    if values.dtype.kind not in "biuf":
        raise ValueError(
            f"`{owner}`: `y` must hold class ids or rows of labels as numbers, without gaps. Received: y of "
            f"dtype {values.dtype}. Turn names into ids, for instance with "
            "np.unique(y, return_inverse=True), and drop missing labels."
        )
    return values


def _are_rows(owner: str, y: np.ndarray, one_hot: bool | None, is_element: bool) -> bool:
    if one_hot and y.ndim < (1 if is_element else 2):
        raise ValueError(
            f"`{owner}`: with one_hot=True the last axis of `y` must be that of the classes. Received: y of "
            f"shape {y.shape}. Leave one_hot out for class ids."
        )
    if one_hot is not None or y.ndim < 2 or y.shape[-1] == 1:
        return bool(one_hot)
    if y.dtype.kind == "f":
        return True
    raise ValueError(
        f"`{owner}`: `one_hot` must say what `y` holds, since integers of this shape may be class ids or "
        f"one-hot rows of {y.shape[-1]} classes. Received: one_hot=None, y of shape {y.shape} and dtype "
        f"{y.dtype}. Pass one_hot=False for ids, one_hot=True for rows."
    )


def _count_ids(
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
            f"`{owner}`: `y` must hold integer class ids from 0 {last}. Received: {ids[wrong][0]:g}. To skip "
            "an id, pass it as ignore_class. num_classes must be above the largest id."
        )
    counts = np.bincount(ids.astype("int64"), minlength=classes or 0).astype("float64")
    return counts, np.array([float(ids.size)])


def _count_rows(
    owner: str, y: np.ndarray, classes: int | None, ignored: int | None
) -> tuple[np.ndarray, np.ndarray]:
    rows = y.reshape(-1, y.shape[-1]).astype("float64")
    columns = rows.shape[-1]
    if classes not in (None, columns):
        raise ValueError(
            f"`{owner}`: `y` must have a column for each of the {classes} classes. Received: y of shape "
            f"{y.shape}. Change the number of classes, or the columns of y."
        )
    known = np.ones(rows.shape, bool)
    if ignored is not None and 0 <= ignored < columns:
        known &= (rows.argmax(-1) != ignored)[:, None]
    elif ignored is not None:
        known &= rows != ignored
    wrong = known & ~((rows >= 0) & (rows <= 1))
    if wrong.any():
        raise ValueError(
            f"`{owner}`: rows of `y` must hold labels between 0 and 1. Received: {rows[wrong][0]:g}. If "
            "every entry is a class id, pass one_hot=False."
        )
    return np.where(known, rows, 0.0).sum(0), known.sum(0).astype("float64")
