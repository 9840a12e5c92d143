"""What Hypothesis draws: a loss with any hyper-parameters, on any form of its data in any shape and dtype.

The data come from the kinds, by the same code as the fixed batches; the hyper-parameters from their
declarations. What is drawn is valid by construction, so that little is thrown away.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
from hypothesis import assume
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from keras_losses.core import Parameter
from keras_losses.core.interval import Interval
from tests import every_loss as losses
from tests import thorough
from tests.backends import BACKEND
from tests.cases.arguments import argument
from tests.contract.cases import Case, combined
from tests.kinds import kind, kind_of
from tests.kinds.kind import Form, Shape, Source

T = TypeVar("T")

DTYPES: dict[str, Any] = {**kind.DTYPES, "float64": np.float64}
INTEGERS = ("int32", "int64", "uint8", "int8", "int16")
FLOATS = ("float32", "float16", "float64")


class Drawn(Source):
    """Data that Hypothesis draws. In hundredths: where a formula cancels, they leave enough digits."""

    def __init__(self, draw: DrawFn) -> None:
        self.draw = draw

    def choose(self, options: Sequence[T]) -> T:
        return self.draw(st.sampled_from(options))

    def integers(self, low: int, high: int, shape: Shape) -> np.ndarray:
        size = int(np.prod(shape))
        found = self.draw(st.lists(st.integers(low, high), min_size=size, max_size=size))
        return np.array(found, "int64").reshape(shape)

    def numbers(self, shape: Shape) -> np.ndarray:
        return self.integers(-400, 400, shape) / 100

    def shares(self, shape: Shape) -> np.ndarray:
        return self.integers(2, 98, shape) / 100


# Hyper-parameters -------------------------------------------------------------------------------------


@st.composite
def rows(draw: DrawFn, loss: str, wild: bool = False) -> dict[str, Any]:
    """Some of a loss's hyper-parameters; `wild` ones are as large and as small as there are."""
    return {
        key: draw(values(losses.LOSSES[loss].hyperparameters[key], wild))
        for key in losses.free(loss)
        if draw(st.booleans())
    }


def values(parameter: Parameter, wild: bool = False) -> SearchStrategy[Any]:
    """Values of a hyper-parameter, its closed ends among them."""
    if parameter.within is not None:
        found = inside(Interval(parameter.within), parameter.integer, wild)
    else:
        found = st.sampled_from(parameter.choices or argument(parameter).taken)
    return found | st.none() if parameter.optional else found


def inside(interval: Interval, integer: bool = False, wild: bool = False) -> SearchStrategy[Any]:
    """Members of an interval."""
    (low, high), (low_open, high_open) = interval.ends, _open(interval)
    if integer:
        ends = [None if np.isinf(end) else int(end) for end in (low, high)]
        return st.integers(ends[0], ends[1] if wild or ends[1] is not None else (ends[0] or 0) + 10)
    if wild:
        below = {} if np.isinf(low) else {"min_value": low, "exclude_min": low_open}
        above = {} if np.isinf(high) else {"max_value": high, "exclude_max": high_open}
        found = st.floats(**below, **above, allow_nan=False, allow_infinity=False)
        return found | found.map(np.float64)
    low, bounded = max(low, -10.0), min(high, max(low, 0.0) + 10.0)
    first, last = int(low_open), 99 if high_open and bounded == high else 100
    # Hundredths of the way, the first tenth as often as all: powers go wrong where they are fractions.
    steps = st.integers(first, last) | st.integers(first, 10)
    return steps.map(lambda step: round(low + step * (bounded - low) / 100, 9))


def outside(interval: Interval) -> SearchStrategy[float]:
    """Numbers that are not members: beyond the ends, at the open ends, infinity and NaN."""
    (low, high), (low_open, high_open) = interval.ends, _open(interval)
    found = [st.sampled_from([end for end in (-np.inf, np.inf, np.nan) if end not in interval.ends])]
    if np.isfinite(low):
        found += [st.floats(max_value=low, exclude_max=not low_open)] + [st.just(low)] * low_open
    if np.isfinite(high):
        found += [st.floats(min_value=high, exclude_min=not high_open)] + [st.just(high)] * high_open
    return st.one_of(found)


def _open(interval: Interval) -> tuple[bool, bool]:
    """Whether its ends are open: read off the text, for the check that reads it is what is tried."""
    return interval.text[0] == "(", interval.text[-1] == ")"


def refused(parameter: Parameter) -> SearchStrategy[Any]:
    """What a hyper-parameter with an interval or with choices does not take."""
    if parameter.within is not None:
        return outside(Interval(parameter.within)) | st.text() | st.booleans() | st.just([1.0])
    choices = parameter.choices or ()
    return (st.text() | st.floats() | st.integers()).filter(lambda value: value not in choices)


# Batches and cases ---------------------------------------------------------------------------------------


def same(y: np.ndarray, dtype: str) -> bool:
    """Whether the dtype can hold these numbers."""
    return bool((y.astype(dtype).astype("float64") == y.astype("float64")).all())


def reshaped(draw: DrawFn, form: Form) -> Form:
    """The form with other samples; JAX compiles each operation for each shape, so there in one of two."""
    if BACKEND == "jax" and not thorough.ASKED:
        return form
    first = draw(st.sampled_from([form.shape[0], 1, 4]))
    return replace(form, shape=(first, *form.shape[1:]))


@st.composite
def cases(draw: DrawFn, loss: str, wild: bool = False, dtypes: Sequence[str] = tuple(DTYPES)) -> Case:
    """A loss with hyper-parameters, and a batch that it takes, in dtypes that can hold it."""
    data, told = kind_of(loss), losses.LOSSES[loss].hyperparameters.keys()
    fitting = [
        form for form, batch in zip(data.forms, data.batches(), strict=True) if batch.options.keys() <= told
    ]
    form = draw(st.sampled_from(fitting))
    batch = data.make(Drawn(draw), form if data.around else reshaped(draw, form))
    y_pred = batch.y_pred.astype(DTYPES[draw(st.sampled_from(dtypes))])
    y_true = batch.y_true
    if (y_true == np.round(y_true)).all():
        y_true = y_true.astype(
            draw(st.sampled_from([d for d in (*INTEGERS, *FLOATS, "bool") if same(y_true, d)]))
        )
    else:
        y_true = y_true.astype("float32")
    case = combined(
        loss, draw(rows(loss, wild)), replace(batch, y_true=y_true, y_pred=y_pred), finite=not wild
    )
    assume(case is not None)
    assert case is not None
    return Shown(case.loss, case.options, case.batch)


class Shown(Case):
    """A case that shows all that it takes to repeat it."""

    def __repr__(self) -> str:
        options: Mapping[str, Any] = {**self.batch.options, **self.options}
        words = ", ".join(f"{key}={value!r}" for key, value in options.items())
        data = f"y_true = {self.batch.y_true!r}\n    y_pred = {self.batch.y_pred!r}"
        return f"{self.loss}({words})  # {self.batch.name}\n    {data}"


def arrays(shape: Shape, elements: SearchStrategy[Any]) -> SearchStrategy[np.ndarray]:
    size = int(np.prod(shape))
    return st.lists(elements, min_size=size, max_size=size).map(lambda x: np.array(x).reshape(shape))


def for_samples(leading: Shape, elements: SearchStrategy[Any]) -> SearchStrategy[np.ndarray]:
    """Weights or a mask for the samples, for each of their losses, or for something between."""
    axes = st.integers(1, len(leading)).map(lambda axes: leading[:axes])
    column = st.just((*leading[:1], 1))
    return (axes | column).flatmap(lambda shape: arrays(shape, elements))


def other_shapes(shape: Shape, fitting: Callable[[Shape], bool]) -> SearchStrategy[Shape]:
    """Shapes near to this one, and far from it, without those that fit."""
    near = [shape[:axis] + shape[axis + 1 :] for axis in range(len(shape))]
    near += [(*shape[:axis], n, *shape[axis:]) for axis in range(len(shape) + 1) for n in (1, 2)]
    near += [(*shape[:axis], n, *shape[axis + 1 :]) for axis in range(len(shape)) for n in (0, 1, 2, 7)]
    near += [shape[::-1], (*shape[1:], *shape[:1])]
    far = st.lists(st.integers(1, 3), max_size=5).map(tuple)
    return st.sampled_from([x for x in near if not fitting(x)]) | far.filter(lambda x: not fitting(x))
