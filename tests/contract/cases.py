"""What every law is tried on: each loss with combinations of its hyper-parameters, on every form of its data.

By default a loss's cases have, together, every batch of its kind and every pair of values of two of its
hyper-parameters. `pytest --thorough` tries every combination on every batch. Each case is evaluated once, and
many laws are held to the one result.
"""

from __future__ import annotations

import contextlib
import copy
import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import keras_losses
from keras_losses.core.parameters import REQUIRED
from tests import every_loss as losses
from tests import thorough
from tests.backends import BACKEND, double_precision, evaluated
from tests.every_loss import LOSSES, build, entries, inside, resized
from tests.kinds import KINDS, kind_of
from tests.kinds.kind import Batch
from tests.oracles import REGISTRY, expected, rounded_terms, shares

every_loss = pytest.mark.parametrize("loss", LOSSES)
every_loss_or_path = pytest.mark.parametrize("loss", thorough.few_paths(LOSSES, losses.ONE_OF_EACH_PATH))
"""All losses; where few cases are tried, one for each path through the base."""
every_loss_alone = pytest.mark.parametrize("loss", losses.ALONE)

MEANS = ("sum_over_batch_size", "mean", "mean_with_sample_weight")
REDUCTIONS = ("none", "sum", *MEANS)

ALONG_AN_AXIS = {"smoothness": "smoothness_axes"}
"""Hyper-parameters for predictions with axes of time or space, and what else says where such an axis is."""


OF_OUTPUTS = ("pos_weight",)
"""Hyper-parameters for 0/1 labels, which losses refuse where classes exclude one another."""


@dataclass(frozen=True, eq=False)
class Case:
    """A loss with some hyper-parameters, and data that it takes."""

    loss: str
    options: Mapping[str, Any]
    batch: Batch

    def build(self, **common: Any) -> Any:
        return build(self.loss, {**self.batch.options, **self.options}, self.batch.outputs, **common)

    def __repr__(self) -> str:
        words = [f"{name}={value}" for name, value in self.options.items()]
        return f"{self.loss}({', '.join(words)}) on {self.batch.name}"

    @property
    def y_true(self) -> np.ndarray:
        """The labels in single precision, where they are not whole numbers."""
        y_true = self.batch.y_true
        return y_true.astype("float32") if y_true.dtype == "float64" else y_true

    @property
    def y_pred(self) -> np.ndarray:
        """The predictions in single precision."""
        return self.batch.y_pred.astype("float32")


@contextlib.contextmanager
def about(case: Any) -> Iterator[None]:
    """Adds the case to the message of an error."""
    try:
        yield
    except BaseException as error:
        error.add_note(f"in the case {case!r}")
        raise


@functools.cache
def batches(loss: str) -> tuple[Batch, ...]:
    """The batches of the loss's kind whose arguments are all hyper-parameters of the loss."""
    kind = kind_of(loss)
    made = list(kind.batches(thorough.ASKED))
    found = tuple(batch for batch in made if batch.options.keys() <= LOSSES[loss].hyperparameters.keys())
    assert found, (
        f"{loss}: each batch of the kind {kind.name!r} needs an argument that the loss does not have: "
        f"{sorted({argument for batch in made for argument in batch.options})}. Name another kind in `takes`."
    )
    return found


def cases(loss: str) -> Sequence[Case]:
    """What the laws of a loss are tried on."""
    return thorough.few(every_case(loss), 2)


@functools.cache
def every_case(loss: str) -> tuple[Case, ...]:
    """Every batch and every row of hyper-parameters, each at least once, the defaults first."""
    rows, data = losses.rows(loss), batches(loss)
    if thorough.ASKED:
        found = [case for row in rows for batch in data if (case := combined(loss, row, batch))]
        return tuple({repr(case): case for case in found}.values())
    found = [case for batch in data[:1] if (case := combined(loss, {}, batch))]
    used = {0} if found else set()
    turn = 1
    for row in rows[1:] if found else rows:
        for step in range(len(data)):
            place = (turn + step) % len(data)
            case = combined(loss, row, data[place])
            if case is not None and (case.options or not row):
                found.append(case)
                used.add(place)
                turn = place + 1
                break
    turn = 0
    for place in [place for place in range(len(data)) if place not in used]:
        for step in range(len(rows)):
            case = combined(loss, rows[(turn + step) % len(rows)], data[place])
            if case is not None:
                found.append(case)
                turn += step + 1
                break
    return tuple(found)


@functools.cache
def plain(loss: str) -> tuple[Case, ...]:
    """The loss with its default hyper-parameters on every batch that takes them."""
    return tuple(case for batch in batches(loss) if (case := combined(loss, {}, batch)))


def first(loss: str) -> Case:
    """The defaults on the first batch with an axis of samples and one of outputs, or else of images."""
    return next(case for case in plain(loss) if is_flat(case) and case.batch.known is None)


def is_flat(case: Case) -> bool:
    """Whether there is an axis of samples and one of outputs, or an image for each sample if that must be."""
    return case.batch.y_pred.ndim == 2 or kind_of(case.loss).whole_images


@functools.cache
def changed(loss: str) -> Case:
    """The case on a batch with an axis of samples and one of outputs that changes most hyper-parameters."""
    flat = [case for case in every_case(loss) if is_flat(case) and case.batch.known is None]
    return max(flat, key=lambda case: len(case.options))


def combined(loss: str, row: Mapping[str, Any], batch: Batch, finite: bool = True) -> Case | None:
    """The case of a row of hyper-parameters, less what the batch states; None if they do not go together.

    With `finite`, nor if the formula is infinite on a sample.
    """
    left = {key: value for key, value in row.items() if key not in batch.options}
    told = {**batch.options, **left}
    for key in left:
        # Sequences have an entry for each output; a loss that is told the classes refuses others itself.
        if isinstance(left[key], list) and (is_required(loss, key) or "num_classes" not in told):
            left[key] = resized(left[key], entries(loss, key, batch.outputs, told))
    case = Case(loss, left, batch)
    along = any(left.get(key) and left.get(at) is None for key, at in ALONG_AN_AXIS.items())
    if along and batch.y_pred.ndim < 3:
        return None
    exclusive = batch.outputs > 1 and not told.get("multi_label", False)
    if exclusive and any(left.get(key) is not None for key in OF_OUTPUTS):
        return None
    try:
        built = case.build()
    except ValueError:
        return None
    if (
        finite
        and kind_of(loss).may_be_infinite
        and not np.isfinite(expected(built, batch.y_true, batch.y_pred)).all()
    ):
        return None
    return case


def pools(case: Case) -> bool:
    """Whether the samples of the batch know of each other."""
    return bool(case.build().pools_batch)


# Results, evaluated once ---------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Result:
    """Value and gradient of each sample, and the values of the oracle."""

    values: np.ndarray
    gradient: np.ndarray
    exact: np.ndarray


@functools.cache
def single(case: Case) -> Result:
    """In single precision, with no weights and no reduction."""
    loss = case.build(reduction="none")
    values, gradient = evaluated(loss, case.y_true, case.y_pred)
    return Result(values, gradient, expected(loss, case.y_true, case.y_pred))


@functools.cache
def double(case: Case) -> Result:
    """In double precision."""
    with double_precision():
        loss = case.build(reduction="none", dtype="float64")
        values, gradient = evaluated(loss, case.batch.y_true, case.batch.y_pred)
    return Result(values, gradient, expected(loss, case.batch.y_true, case.batch.y_pred))


def computes_in_float64(case: Case) -> bool:
    """Whether float64 is kept: a mean of Keras's own has the digits of float32 on JAX and PyTorch."""
    return BACKEND == "tensorflow" or isinstance(inside(case.build()), keras_losses.Loss)


ULPS = 16 * 2.0**-24


def bound(loss: Any, y_true: Any, y_pred: Any, exact: np.ndarray, found: np.ndarray, axis: int) -> np.ndarray:
    """How far from the oracle a formula may be: 2e-6 of its terms in float32, 1e-12 in float64.

    Where that is not enough, also what the oracle changes by when a prediction, a soft label or a
    hyper-parameter is off by 16 units in the last place: no formula can be nearer.
    """
    one = 2e-6 if found.dtype == "float32" else 1e-12
    plain = one * rounded_terms(loss, y_true, y_pred) + (1e-36 if one == 2e-6 else 0)
    if (np.abs(found - exact) <= plain).all():
        return plain
    moved = [expected(other, y_true, y_pred) for other in moved_losses(loss)]
    oracle = REGISTRY.get(type(inside(loss)).__name__)
    if oracle and not KINDS[oracle.takes].exact_residual:
        moved += [expected(loss, y_true, x) for x in moved_outputs(y_pred, axis, ULPS * y_pred)]
        if y_true.shape == y_pred.shape and y_true.dtype.kind == "f":
            moved += [expected(loss, y, y_pred) for y in moved_outputs(y_true, axis, ULPS * y_true)]
    return plain + sum(np.abs(other - exact) for other in moved) * (one / 2e-6)


def moved_outputs(x: np.ndarray, axis: int, by: np.ndarray) -> Iterator[np.ndarray]:
    """The array with one output at a time moved."""
    for output in np.eye(x.shape[axis]) if x.ndim > 1 else [np.ones(1)]:
        where = output if x.ndim == 1 else np.moveaxis(output.reshape(*[1] * (x.ndim - 1), -1), -1, axis)
        yield x + by * where


def moved_losses(loss: Any) -> Iterator[Any]:
    """The loss with one hyper-parameter at a time moved by some units in the last place."""
    for key in type(loss).hyperparameters:
        kept = getattr(loss, key)
        if isinstance(kept, float) and kept:
            moved = [kept * (1 + ULPS)]
        else:
            moved = list(moved_losses(kept)) if isinstance(kept, keras_losses.Loss) else []
        for value in moved:
            other = copy.copy(loss)
            setattr(other, key, value)
            yield other


def spread(x: np.ndarray, leading: tuple[int, ...]) -> np.ndarray:
    """Weights or a mask, one for each loss."""
    x = x[:, 0] if len(leading) == 1 and x.ndim == 2 else x
    return np.broadcast_to(x.reshape(*x.shape, *[1] * (len(leading) - x.ndim)), leading)


def like(x: np.ndarray, y: np.ndarray, axis: int) -> np.ndarray:
    """What there is for each loss, with the axes of labels or predictions behind it."""
    if x.size == y.size:
        return x.reshape(y.shape)
    if x.ndim < y.ndim - 1:
        return np.broadcast_to(x.reshape(*x.shape, *[1] * (y.ndim - x.ndim)), y.shape)
    return np.broadcast_to(np.expand_dims(x, axis), y.shape)


def divisor(case: Case, weights: np.ndarray, mask: np.ndarray, reduction: str) -> Any:
    """What NumPy's sum of the weighted values is divided by."""
    counted = spread(mask, case.batch.leading) & case.batch.counted
    share = shares(case.build(), case.batch.y_true, case.batch.y_pred)
    if reduction == "mean_with_sample_weight":
        return (weights * share)[counted].sum() or 1
    # A sample of weight 0 has no label any more, and counts as one.
    return np.where(weights == 0, 1, share)[counted].sum() or 1 if reduction in MEANS else 1


def is_required(loss: str, key: str) -> bool:
    return LOSSES[loss].hyperparameters[key].default is REQUIRED
