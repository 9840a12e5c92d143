"""Alignment of the shapes of labels, predictions, weights and masks, without broadcasting."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras import ops

from keras_losses.numerics import Tensor

Shape = tuple[int | None, ...]
"""A static shape. None is an axis whose length is unknown while a graph is traced."""


def parts_of(x: Tensor, count: int) -> list[Tensor]:
    """Split the last axis into `count` parts of equal length."""
    size = x.shape[-1] // count
    return [x[..., index * size : (index + 1) * size] for index in range(count)]


def agree(a: Sequence[int | None], b: Sequence[int | None]) -> bool:
    """Return whether two static shapes are equal on the axes that both know."""
    return len(a) == len(b) and all(m == n or m is None or n is None for m, n in zip(a, b, strict=True))


def same_shape(owner: str, y_true: Tensor, y_pred: Tensor) -> tuple[Tensor, Tensor]:
    """Return both tensors in one shape with two axes or more. Only a missing last axis of 1 is added."""
    true, pred = static_shape(owner, "y_true", y_true), static_shape(owner, "y_pred", y_pred)
    if agree((*true, 1), pred):
        y_true = ops.expand_dims(y_true, -1)
    elif agree(true, (*pred, 1)):
        y_pred = ops.expand_dims(y_pred, -1)
    elif not agree(true, pred):
        raise ValueError(
            f"`{owner}`: `y_true` and `y_pred` must have the same shape. Received: y_true of shape {true}, "
            f"y_pred of shape {pred}. Losses do not broadcast: {_likely_mistake(true, pred)}"
        )
    if len(y_pred.shape) == 1:
        y_true, y_pred = ops.expand_dims(y_true, -1), ops.expand_dims(y_pred, -1)
    return pinned(y_true, y_pred, len(y_pred.shape)), y_pred


def packed(owner: str, y_true: Tensor, y_pred: Tensor, parts: int) -> tuple[Tensor, Tensor]:
    """Align targets `(..., targets)` with predictions of several numbers each, `(..., parts * targets)`."""
    if parts == 1:
        return same_shape(owner, y_true, y_pred)
    true, pred = static_shape(owner, "y_true", y_true), static_shape(owner, "y_pred", y_pred)
    check_packed(owner, y_pred, parts, f"y_true of shape {true}, ")
    last = (pred[-1] or 0) // parts
    targets = (*pred[:-1], last)
    if agree((*true, 1), targets):
        y_true = ops.expand_dims(y_true, -1)
    elif not agree(true, targets):
        raise ValueError(
            f"`{owner}`: `y_pred` must hold {parts} numbers for each target in its last axis, and `y_true` "
            f"must have the shape {targets}. Received: y_true of shape {true}, y_pred of shape {pred}. End "
            f"the model with Dense({parts * (true[-1] or 1) if len(true) == len(pred) else parts})."
        )
    return pinned_to(y_true, y_pred, last), y_pred


def check_packed(owner: str, y_pred: Tensor, parts: int, received: str = "") -> None:
    """Raise `ValueError` if the last axis of the predictions is not a multiple of `parts`."""
    pred = static_shape(owner, "y_pred", y_pred)
    if len(pred) < (2 if parts > 1 else 1) or not pred[-1] or pred[-1] % parts:
        raise ValueError(
            f"`{owner}`: `y_pred` must have {parts} outputs for each target in its last axis. Received: "
            f"{received}y_pred of shape {pred}. End the model with Dense({parts}), or with {parts} times as "
            "many outputs as there are targets."
        )


def pinned(y_true: Tensor, y_pred: Tensor, axes: int) -> Tensor:
    """Return the labels, with a check when the graph runs if axes were unknown while it was traced.

    The labels must have the first `axes` axes of the predictions. Without the check they could broadcast.
    """
    if None in tuple(y_true.shape)[1:] or None in tuple(y_pred.shape)[1:axes]:
        return ops.reshape(y_true, ops.shape(y_pred)[:axes])
    return y_true


def pinned_to(y_true: Tensor, y_pred: Tensor, last: int) -> Tensor:
    """Return the labels `(..., last)`, checked as by `pinned`; the predictions may have another last axis."""
    if None in tuple(y_true.shape)[1:] or None in tuple(y_pred.shape)[1:]:
        return ops.reshape(y_true, (*ops.shape(y_pred)[:-1], last))
    return y_true


def _likely_mistake(true: Shape, pred: Shape) -> str:
    if len(true) == len(pred) and tuple(reversed(true)) == pred:
        return "one of them looks transposed."
    if len(true) == len(pred) and true[:-1] == pred[:-1]:
        return f"the model has {pred[-1]} outputs and the targets {true[-1]}; change its last layer."
    if len(true) + 1 == len(pred):
        return f"the model's last layer should have 1 output, or the targets a last axis of {pred[-1]}."
    return "reshape one to the other's shape."


def check_is_dense(owner: str, name: str, x: Any) -> None:
    """Raise `TypeError` for ragged and sparse tensors, strings and objects, which no loss takes."""
    while isinstance(x, list | tuple) and x:
        x = x[0]
    dtype = str(getattr(x, "dtype", ""))
    if hasattr(x, "row_splits") or getattr(x, "is_nested", False) is True:
        kind = f"a ragged tensor of type {type(x).__name__}"
        advice = "Pad it, as with .to_tensor(), and leave the padding out with a mask or weights of 0."
    elif hasattr(x, "dense_shape") or hasattr(x, "nse") or getattr(x, "is_sparse", False) is True:
        kind = f"a sparse tensor of type {type(x).__name__}"
        advice = "Make it dense, as with tf.sparse.to_dense."
    elif hasattr(x, "tocsr"):
        kind, advice = f"a sparse matrix of type {type(x).__name__}", "Make it dense, as with .toarray()."
    elif isinstance(x, str | bytes) or dtype.startswith(
        ("<U", ">U", "|S", "object", "<dtype: 'string'", "str")
    ):
        kind = f"values of type {dtype or type(x).__name__}"
        advice = "Turn names into class ids, as with np.unique(y, return_inverse=True) or StringLookup."
    else:
        return
    raise TypeError(f"`{owner}`: `{name}` must hold numbers in one dense tensor. Received: {kind}. {advice}")


def static_shape(owner: str, name: str, x: Tensor) -> Shape:
    """Return the static shape of a tensor; raise `ValueError` if its rank is unknown or 0."""
    if x.shape is None or getattr(x.shape, "rank", 0) is None:
        raise _unknown_rank(owner, name)
    if len(x.shape) == 0:
        raise ValueError(f"`{owner}`: `{name}` must have a batch axis. Received: a scalar.")
    return tuple(x.shape)


def _unknown_rank(owner: str, name: str) -> ValueError:
    return ValueError(
        f"`{owner}`: the number of axes of `{name}` must be known while the graph is traced. Received: "
        f"{name} of unknown rank. Set its shape in the input pipeline, for instance with tf.ensure_shape."
    )


def spread(owner: str, name: str, x: Tensor, leading: Shape) -> Tensor:
    """Return a weight or mask with as many axes as `leading`; it may have fewer, or more of length 1."""
    if getattr(x.shape, "rank", 0) is None:
        raise _unknown_rank(owner, name)
    received = tuple(x.shape)
    if received == ():
        return x
    fitting = received
    while len(fitting) > len(leading) and fitting[-1] == 1:
        fitting = fitting[:-1]
    wrong = len(fitting) > len(leading) or any(
        actual != wanted and actual is not None and wanted is not None and (actual != 1 or axis == 0)
        for axis, (actual, wanted) in enumerate(zip(fitting, leading, strict=False))
    )
    if wrong:
        advice = f"Reshape it to {leading[:1]}."
        if len(fitting) == len(leading) + 1 and agree(fitting[:-1], leading):
            advice = (
                "The loss averages the last axis. For a weight of each output, give labels and predictions "
                "a last axis of 1, as in y_true[..., None]; the outputs must not be classes of a softmax."
            )
        raise ValueError(
            f"`{owner}`: `{name}` must have one value for each sample or for each value of the loss. "
            f"Received: {name} of shape {received}, values of shape {leading}. {advice}"
        )
    for _ in range(len(received) - len(fitting)):
        x = ops.squeeze(x, -1)
    return like_rank(x, len(leading))


def like_rank(x: Tensor, rank: int) -> Tensor:
    """Return the tensor with axes of length 1 added at the end, up to `rank` axes."""
    for _ in range(rank - len(x.shape)):
        x = ops.expand_dims(x, -1)
    return x
