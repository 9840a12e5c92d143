"""What Hypothesis draws: a loss with any hyper-parameters, on any batch that it takes.

The same two sources as in samples.py: the declarations of the hyper-parameters, and the kind of data that
the loss's oracle takes. What is drawn is valid by construction, so that nothing is thrown away.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import ml_dtypes
import numpy as np
from hypothesis import assume, settings
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from keras_losses.card import Interval, Parameter
from tests.backends import BACKEND
from tests.contract import samples
from tests.contract.samples import Batch, Case
from tests.oracles import REGISTRY

Shape = tuple[int, ...]

DTYPES: dict[str, Any] = {
    "float32": np.float32,
    "float16": np.float16,
    "bfloat16": ml_dtypes.bfloat16,
    "float64": np.float64,
}
INTEGERS = ("int32", "int64", "uint8", "int8", "int16")
FLOATS = ("float32", "float16", "float64")

# Hundredths: where a formula cancels, they leave enough digits to judge it by, and they read well.
ORDINARY = st.integers(-400, 400).map(lambda k: k / 100)
EXTREME = st.sampled_from([0.0, 1.0, -17.0, 17.0, -88.0, 88.0, -1e4, 1e4]) | ORDINARY


@dataclass(frozen=True)
class Wish:
    """What a law asks of a batch."""

    extreme: bool = False
    """Whether probabilities may be 0 and 1, and numbers and logits far from 0."""
    empty: bool = False
    """Whether there may be no sample at all."""
    encodings: tuple[str, ...] = ("sparse", "column", "one-hot", "soft")
    """Those of labels over exclusive classes; labels of other kinds are 0/1 labels without "soft"."""
    dtypes: tuple[str, ...] = tuple(DTYPES)
    """Those of the predictions."""
    exclusive: bool = False
    """Whether labels over classes are such that exclude one another."""
    alone: bool = False
    """Whether no sample may know of another, inside a loss as well."""


@dataclass(frozen=True, eq=False)
class Drawn(Batch):
    """A batch that says what else there is to know of it."""

    known: np.ndarray = field(default_factory=lambda: np.array(True))
    """Which of its losses have a label that is not to be ignored."""
    fitting: frozenset[Shape] = frozenset()
    """The shapes that labels of these predictions may have."""


@dataclass(frozen=True, eq=False)
class Example(Case):
    """A case that shows all that it takes to repeat it."""

    batch: Drawn

    def __repr__(self) -> str:
        options = ", ".join(f"{key}={value!r}" for key, value in self.all_options.items())
        data = f"y_true = {self.batch.y_true!r}\n    y_pred = {self.batch.y_pred!r}"
        return f"{self.loss}({options})  # {self.batch.name}\n    {data}"

    @property
    def all_options(self) -> dict[str, Any]:
        return {**self.batch.options, **self.options}


# Hyper-parameters -------------------------------------------------------------------------------------


@st.composite
def options(draw: DrawFn, name: str, batch: Batch, alone: bool = False, wild: bool = False) -> Any:
    """Some of a loss's hyper-parameters beside those that the batch says; `wild` is in options of."""
    given, outputs, found = batch.options, batch.outputs, dict[str, Any]()
    for key, parameter in samples.LOSSES[name].hyperparameters.items():
        if key in given or key in samples.LAID_OUT or draw(st.booleans()):
            continue
        entries = samples.entries(name, key, outputs, {**given, **found})
        more = {**found, key: draw(values(parameter, entries, wild))}
        if _fit(name, {**given, **more}, batch.y_pred, alone):
            found = more
    return found


def _fit(name: str, options: Mapping[str, Any], y_pred: np.ndarray, alone: bool) -> bool:
    """Whether hyper-parameters that are each in range go together, and with the predictions."""
    try:
        loss = samples.build(name, options)
    except ValueError:
        return False
    return not (samples.lacks_steps(options, y_pred) or (alone and loss.pools_batch))


def values(parameter: Parameter, entries: int, wild: bool = False) -> SearchStrategy[Any]:
    """Values of a hyper-parameter: of an ordinary size, or `wild` ones, as large and small as there are."""
    if parameter.within is not None:
        found = inside(Interval(parameter.within), parameter.integer, wild)
    elif parameter.choices is not None:
        found = st.sampled_from(parameter.choices)
    else:
        found = st.sampled_from(parameter.examples).flatmap(lambda example: _resized(example, entries))
    return found | st.none() if parameter.optional else found


def inside(interval: Interval, integer: bool = False, wild: bool = False) -> SearchStrategy[Any]:
    """Members of an interval, its closed ends among them."""
    if integer:
        return st.integers(*(None if np.isinf(end) else int(end) for end in interval.ends))
    (low, high), (low_open, high_open) = interval.ends, _open(interval)
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
    """Numbers that are no members: beyond the ends, at the open ends, infinity and NaN."""
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


def _resized(example: Any, entries: int) -> SearchStrategy[Any]:
    """The example with an entry for each class, or for some of its names; its numbers are its own."""
    if isinstance(example, Mapping):
        numbers = st.sampled_from(sorted(example.values()))
        named = all(isinstance(key, str) for key in example)
        keys = st.sampled_from(list(example)) if named else st.integers(0, entries - 1)
        return st.dictionaries(keys, numbers, min_size=1)
    if isinstance(example, Sequence) and not isinstance(example, str):
        return st.lists(st.sampled_from(example), min_size=entries, max_size=entries)
    return st.just(example)


# Batches ----------------------------------------------------------------------------------------------

# JAX compiles each operation for each shape. So few are drawn there, and few where time is short.
POOL: tuple[Shape, ...] = (
    (4, 3),
    (2, 2, 5),
    (2, 1, 2, 1, 3),
    (1, 7),
    (6, 2),
    (3, 2, 1, 4),
    (5, 6),
    (2, 3, 2),
)


def shapes(empty: bool = False) -> SearchStrategy[Shape]:
    """Shapes (batch, ..., classes) of 2 to 5 axes."""
    found: SearchStrategy[Shape]
    short = settings.default.derandomize
    if short or BACKEND == "jax":
        found = st.sampled_from(POOL[:2] if short and BACKEND == "jax" else POOL)
    else:
        between = st.lists(st.integers(1, 3), max_size=3)
        found = st.builds(lambda n, rest, c: (n, *rest, c), st.integers(1, 6), between, st.integers(2, 7))
    return found | found.map(lambda shape: (0, *shape[1:])) if empty else found


def array(shape: Shape, elements: SearchStrategy[Any]) -> SearchStrategy[np.ndarray]:
    size = int(np.prod(shape))
    return st.lists(elements, min_size=size, max_size=size).map(lambda x: np.array(x).reshape(shape))


def numbers(shape: Shape, extreme: bool) -> SearchStrategy[np.ndarray]:
    return array(shape, EXTREME if extreme else ORDINARY)


def distributions(shape: Shape, extreme: bool) -> SearchStrategy[np.ndarray]:
    """Shares of whole numbers over the last axis."""
    parts = st.integers(1, 50)
    if extreme:
        parts = st.sampled_from([0, 0, 1, 10**6]) | parts

    def shares(x: np.ndarray) -> np.ndarray:
        x = x.astype("float64")
        x[..., 0] += x.sum(-1) == 0
        return x / x.sum(-1, keepdims=True)

    return array(shape, parts).map(shares)


def probabilities(shape: Shape, extreme: bool) -> SearchStrategy[np.ndarray]:
    """A probability for each output."""
    hundredths = st.integers(2, 98).map(lambda k: k / 100)
    return array(shape, st.sampled_from([0.0, 1.0, 1e-6]) | hundredths if extreme else hundredths)


def labels_in(draw: DrawFn, y: np.ndarray, dtypes: Sequence[str]) -> np.ndarray:
    """Whole numbers in one of the dtypes that can hold them."""
    return y.astype(draw(st.sampled_from([dtype for dtype in dtypes if same(y, dtype)])))


def same(y: np.ndarray, dtype: str) -> bool:
    return bool((y.astype(dtype).astype("float64") == y.astype("float64")).all())


def column_or_not(shape: Shape) -> list[Shape]:
    """The shapes of one number for each output: of one output with an axis for it or without."""
    if len(shape) == 1:
        return [shape, (*shape, 1)]
    return [shape, shape[:-1]] if shape[-1] == 1 else [shape]


def _name(words: str, y_pred: np.ndarray) -> str:
    return f"{words} {y_pred.shape}"


@st.composite
def _classes(draw: DrawFn, wish: Wish) -> Drawn:
    exclusive = wish.exclusive or draw(st.booleans())
    return draw(_exclusive(wish, scores=False) if exclusive else _outputs(wish))


@st.composite
def _exclusive(draw: DrawFn, wish: Wish, scores: bool, ordinal: str = "") -> Drawn:
    """Labels over classes of which one is true; soft ones, and probabilities, unless these are scores."""
    shape = draw(shapes(wish.empty))
    told: dict[str, Any] = {} if scores else {"multi_label": False, "from_logits": draw(st.booleans())}
    if ordinal:
        told, y_pred = draw(_of_ordered_classes(ordinal, shape, wish.extreme))
    else:
        make = distributions if told.get("from_logits") is False else numbers
        y_pred = draw(make(shape, wish.extreme))
    count = told.get("num_classes", shape[-1])
    encoding = draw(
        st.sampled_from([x for x in wish.encodings if not (scores and not ordinal and x == "soft")])
    )
    classes = st.integers(0, count - 1)
    y = draw(array(shape[:-1], classes)).astype("int64")
    if encoding in ("sparse", "column"):
        ignored = draw(st.sampled_from([None, -1, 255]) | classes)
        if ignored is not None:
            y = np.where(draw(array(y.shape, st.booleans())).astype(bool), ignored, y)
        known = np.full(y.shape, True) if ignored is None else y != ignored
        y = labels_in(draw, y, (*INTEGERS, *FLOATS))
        y = y if encoding == "sparse" else y[..., None]
    else:
        ignored = draw(st.none() | classes)
        if encoding == "soft":
            y = draw(distributions((*shape[:-1], count), wish.extreme)).astype("float32")
        else:
            y = labels_in(draw, np.eye(count)[y], (*FLOATS, "int32", "bool"))
        known = np.full(shape[:-1], True) if ignored is None else y.argmax(-1) != ignored
    if ignored is not None:
        told["ignore_class"] = ignored
    axis = draw(st.none() | st.sampled_from([*range(1, len(shape)), *range(1 - len(shape), 0)]))
    if axis is not None:
        told["axis"] = axis
        y_pred = np.moveaxis(y_pred, -1, axis)
        y = y if encoding == "sparse" else np.moveaxis(y, -1, axis)
    y_pred = y_pred.astype(DTYPES[draw(st.sampled_from(wish.dtypes))])
    column, hot = (
        tuple(end if axis == told.get("axis", -1) % len(shape) else n for axis, n in enumerate(y_pred.shape))
        for end in (1, count)
    )
    fitting = frozenset([shape[:-1], hot, column])
    return Drawn(_name(encoding, y_pred), y, y_pred, told, count, known, fitting)


@st.composite
def _of_ordered_classes(draw: DrawFn, kind: str, shape: Shape, extreme: bool) -> Any:
    """What a loss over ordered classes is told, and predictions of this shape."""
    if kind == "ranks":
        return {"num_classes": shape[-1] + 1}, draw(numbers(shape, extreme))
    told: dict[str, Any] = {"num_classes": shape[-1]}
    if kind == "pooled":
        told["from_logits"] = draw(st.booleans())
        return told, draw((numbers if told["from_logits"] else distributions)(shape, extreme))
    # So far apart that half precision can tell them from one another: the farther, the wider apart.
    quarters = st.integers(1, 4).map(lambda k: k / 4)
    gaps = draw(
        array((*shape[:-1], shape[-1] - 2), st.sampled_from([1.0, 17.0, 64.0]) if extreme else quarters)
    )
    first = draw(array((*shape[:-1], 1), st.integers(-8, 0).map(lambda k: k / 4)))
    score = draw(numbers((*shape[:-1], 1), extreme))
    cuts = np.cumsum(np.concatenate([first, np.sort(gaps, -1)], -1), -1)
    return told, np.concatenate([score, cuts], -1)


@st.composite
def _joined(draw: DrawFn, wish: Wish, target: bool) -> Drawn:
    """Several predictions of a sample, one after another; of a pair the second is one of probabilities."""
    shape = draw(shapes(wish.empty))
    parts = 2 if target else draw(st.integers(2, 4))
    told: dict[str, Any] = {} if target else {"views": parts}
    told["from_logits"] = draw(st.booleans())
    make = numbers if told["from_logits"] else distributions
    makers = [make] * (parts - 1) + [distributions if target else make]
    y_pred = np.concatenate([draw(maker(shape, wish.extreme)) for maker in makers], axis=-1)
    ids = draw(array(shape[:-1], st.integers(0, shape[-1] - 1))).astype("int64")
    encoding = draw(st.sampled_from(wish.encodings))
    known = np.full(ids.shape, True)
    if encoding in ("sparse", "column"):
        if draw(st.booleans()):
            told["ignore_class"] = -1
            ids = np.where(draw(array(ids.shape, st.booleans())).astype(bool), -1, ids)
            known = ids != -1
        y = labels_in(draw, ids, (*INTEGERS, *FLOATS))
        y = y if encoding == "sparse" else y[..., None]
    elif encoding == "soft":
        y = draw(distributions(shape, wish.extreme)).astype("float32")
    else:
        y = labels_in(draw, np.eye(shape[-1])[ids], (*FLOATS, "int32", "bool"))
    y_pred = y_pred.astype(DTYPES[draw(st.sampled_from(wish.dtypes))])
    fitting = frozenset([shape[:-1], (*shape[:-1], 1), shape])
    return Drawn(_name(encoding, y_pred), y, y_pred, told, shape[-1], known, fitting)


@st.composite
def _exclusive_or_one(draw: DrawFn, wish: Wish) -> Drawn:
    """Labels over exclusive classes, of which one output is two."""
    exclusive = wish.exclusive or draw(st.booleans())
    return draw(_exclusive(wish, scores=False) if exclusive else _outputs(wish, one=True))


@st.composite
def _outputs(draw: DrawFn, wish: Wish, one: bool = False) -> Drawn:
    """A 0/1 label for each output, of which there are one or several."""
    shape = draw(shapes(wish.empty))
    several = not one and draw(st.booleans())
    if not several:
        shape = draw(st.sampled_from([shape[:1], (*shape[:-1], 1)]))
    told: dict[str, Any] = {"multi_label": several, "from_logits": draw(st.booleans())}
    y_pred = draw((numbers if told["from_logits"] else probabilities)(shape, wish.extreme))
    known = np.full(shape, True)
    if "soft" in wish.encodings and draw(st.booleans()):
        y = draw(array(shape, st.integers(0, 100))).astype("float32") / np.float32(100)
    else:
        y = draw(array(shape, st.integers(0, 1))).astype("int64")
        ignored = draw(st.sampled_from([None, -1, 255]))
        if ignored is not None:
            told["ignore_class"] = ignored
            y = np.where(draw(array(shape, st.booleans())).astype(bool), ignored, y)
            known = y != ignored
        y = labels_in(draw, y, (*INTEGERS, *FLOATS, "bool"))
    y_pred = y_pred.astype(DTYPES[draw(st.sampled_from(wish.dtypes))])
    if len(shape) > 1:
        known = known.any(-1)
    name = _name("several labels" if several else "one output", y_pred)
    fitting = column_or_not(shape)
    y = y.reshape(draw(st.sampled_from(fitting)))
    return Drawn(name, y, y_pred, told, shape[-1] if several else 1, known, frozenset(fitting))


DISTRIBUTIONS = ("one-hot", "soft", "measures")


def _plain(
    draw: DrawFn, name: str, wish: Wish, y: np.ndarray, y_pred: np.ndarray, told: dict[str, Any]
) -> Drawn:
    y_pred = y_pred.astype(DTYPES[draw(st.sampled_from(wish.dtypes))])
    y = y.reshape(draw(st.sampled_from(column_or_not(y_pred.shape))))
    # Where outputs are compared one by one, predictions may be without an axis for their one output, too.
    one_by_one = [] if name in DISTRIBUTIONS else [(*y_pred.shape, 1)]
    fitting = frozenset([*column_or_not(y_pred.shape), *one_by_one])
    batch = Drawn(_name(name, y_pred), y, y_pred, told, y_pred.shape[-1], fitting=fitting)
    return replace(batch, known=np.full(batch.leading, True))


def _any_shape(draw: DrawFn, wish: Wish) -> Shape:
    """With several outputs, with one, and without an axis for it."""
    shape = draw(shapes(wish.empty))
    return draw(st.sampled_from([shape, (*shape[:-1], 1), shape[:1]]))


@st.composite
def _signs(draw: DrawFn, wish: Wish) -> Drawn:
    shape = _any_shape(draw, wish)
    encoding = draw(st.sampled_from(["signed", "binary"]))
    y = draw(array(shape, st.integers(0, 1))).astype("int64")
    y = y if encoding == "binary" else 2 * y - 1
    y_pred = draw(numbers(shape, wish.extreme))
    y = labels_in(draw, y, (*INTEGERS, *FLOATS, "bool"))
    return _plain(draw, encoding, wish, y, y_pred, {"labels": encoding})


@st.composite
def _numbers(draw: DrawFn, wish: Wish) -> Drawn:
    shape = _any_shape(draw, wish)
    y_pred = draw(numbers(shape, wish.extreme))
    if "soft" in wish.encodings:
        y = draw(numbers(shape, wish.extreme)).astype(draw(st.sampled_from(FLOATS)))
    else:
        y = labels_in(draw, draw(array(shape, st.integers(-100, 100))), (*INTEGERS, *FLOATS))
    return _plain(draw, "numbers", wish, y, y_pred, {})


@st.composite
def _amounts(draw: DrawFn, wish: Wish, zeros: Mapping[str, Any] | None) -> Drawn:
    """Numbers above 0, and with zeros where a loss takes them, which `zeros` are the options for."""
    shape = _any_shape(draw, wish)
    told: dict[str, Any] = {"log_link": draw(st.booleans())}
    least = 1
    if zeros is not None and draw(st.booleans()):
        least, told = 0, {**told, **zeros}
    y = draw(array(shape, st.integers(least, 100)))
    if "soft" in wish.encodings:
        y = (y / 20).astype(draw(st.sampled_from(FLOATS)))
    else:
        y = labels_in(draw, y, (*INTEGERS, *FLOATS))
    logs = st.integers(-300, 300).map(lambda k: k / 100)
    if wish.extreme:
        logs = st.sampled_from([0.0, -50.0, 50.0, -1e4, 1e4] if told["log_link"] else [0.0, -9.0, 9.0]) | logs
    y_pred = draw(array(shape, logs))
    return _plain(draw, "amounts", wish, y, y_pred if told["log_link"] else np.exp(y_pred), told)


@st.composite
def _levels(draw: DrawFn, wish: Wish, called: str) -> Drawn:
    """A prediction of each of several levels, one after another, or of one."""
    hundredths = st.sets(st.integers(1, 99), min_size=1, max_size=4).map(sorted)
    levels = [k / 100 for k in draw(hundredths)]
    shape = draw(shapes(wish.empty))
    shape = draw(st.sampled_from([shape, (*shape[:-1], 1)]))
    y = draw(numbers(shape, wish.extreme)).astype(draw(st.sampled_from(FLOATS)))
    if "soft" not in wish.encodings:
        y = labels_in(draw, np.round(y.astype("float64")), (*INTEGERS, *FLOATS))
    y_pred = draw(numbers((*shape[:-1], len(levels) * shape[-1]), wish.extreme))
    y_pred = y_pred.astype(DTYPES[draw(st.sampled_from(wish.dtypes))])
    y = y.reshape(draw(st.sampled_from(column_or_not(shape))))
    fitting = _packed_fitting(shape, len(levels))
    told = {called: levels}
    batch = Drawn(_name("levels", y_pred), y, y_pred, told, y_pred.shape[-1], fitting=fitting)
    return replace(batch, known=np.full(batch.leading, True))


def _packed_fitting(targets: Shape, parts: int) -> frozenset[Shape]:
    """As `_plain` has it where there is one number for each target."""
    return frozenset([*column_or_not(targets), *([(*targets, 1)] if parts == 1 else [])])


@st.composite
def _packed(draw: DrawFn, wish: Wish, kind: str) -> Drawn:
    """Targets of a domain, with several numbers for each in the last axis of the predictions."""
    packed = samples.PACKED[kind]
    parts, told = draw(st.sampled_from(list(packed.parts.items())))
    shape = draw(shapes(wish.empty))
    targets = (*shape[:-1], draw(st.integers(1, 2)))
    fractions = "soft" in wish.encodings
    y = draw(array(targets, _targets(packed.domain, fractions, wish.extreme)))
    exact = FLOATS[::2] if packed.domain == "shares" else (*INTEGERS, *FLOATS)
    y = labels_in(draw, y, exact) if not fractions or packed.domain == "counts" else y.astype("float32")
    y_pred = draw(numbers((*targets[:-1], parts * targets[-1]), wish.extreme))
    y_pred = y_pred.astype(DTYPES[draw(st.sampled_from(wish.dtypes))])
    y = y.reshape(draw(st.sampled_from(column_or_not(targets))))
    batch = Drawn(_name(kind, y_pred), y, y_pred, told, fitting=_packed_fitting(targets, parts))
    return replace(batch, known=np.full(batch.leading, True))


def _targets(domain: str, fractions: bool, extreme: bool) -> SearchStrategy[Any]:
    """Numbers of a domain, whole ones without `fractions`; of shares, quarters."""
    if domain == "shares":
        ends = st.sampled_from([1e-30, 1e-6, 1 - 1e-6]) if extreme else st.nothing()
        return ends | st.integers(1, 99).map(lambda k: k / 100) if fractions else st.sampled_from([0.25, 0.5])
    if domain == "reals" and fractions:
        return EXTREME if extreme else ORDINARY
    far = st.sampled_from([1, 1000, 10**4]) if extreme else st.nothing()
    if domain == "positives" and fractions:
        return far | st.integers(1, 1000).map(lambda k: k / 100)
    first = {"reals": -100, "counts": 0, "positives": 1}[domain]
    return far | st.integers(first, 100)


@st.composite
def _distributions(draw: DrawFn, wish: Wish) -> Drawn:
    shape = draw(shapes(wish.empty))
    kind = draw(st.sampled_from(DISTRIBUTIONS if "soft" in wish.encodings else DISTRIBUTIONS[:1]))
    if kind == "measures":
        size = st.integers(1, 400).map(lambda k: k / 100)
        if wish.extreme:
            size = st.sampled_from([0.0, 1.0, 1e4]) | size
        y, y_pred = (draw(array(shape, size)) for _ in range(2))
        return _plain(draw, kind, wish, y.astype("float32"), y_pred, {"generalized": True})
    told: dict[str, Any] = {"from_logits": draw(st.booleans())}
    y_pred = draw((numbers if told["from_logits"] else distributions)(shape, wish.extreme))
    if kind == "soft":
        y = draw(distributions(shape, wish.extreme)).astype("float32")
    else:
        ids = draw(array(shape[:-1], st.integers(0, shape[-1] - 1))).astype("int64")
        y = labels_in(draw, np.eye(shape[-1])[ids], (*FLOATS, "int32", "bool"))
    return _plain(draw, kind, wish, y, y_pred, told)


@st.composite
def _logits(draw: DrawFn, wish: Wish) -> Drawn:
    shape = draw(shapes(wish.empty))
    y_pred = draw(numbers(shape, wish.extreme))
    if "soft" in wish.encodings:
        y = draw(numbers(shape, wish.extreme)).astype(draw(st.sampled_from(FLOATS)))
    else:
        y = labels_in(draw, draw(array(shape, st.integers(-9, 9))), (*INTEGERS, *FLOATS))
    return _exactly("logits", wish, draw, y, y_pred, [shape])


@st.composite
def _latents(draw: DrawFn, wish: Wish) -> Drawn:
    """Targets that are not read, of one number for each sample or for each mean."""
    *leading, means = draw(shapes(wish.empty))
    fitting = [tuple(leading), (*leading, means)]
    y = np.zeros(draw(st.sampled_from(fitting)), draw(st.sampled_from([*FLOATS, "int32"])))
    y_pred = draw(numbers((*leading, 2 * means), wish.extreme))
    return _exactly("latents", wish, draw, y, y_pred, fitting)


def _exactly(
    name: str, wish: Wish, draw: DrawFn, y: np.ndarray, y_pred: np.ndarray, fitting: Sequence[Shape]
) -> Drawn:
    """Targets of these shapes and of no others."""
    y_pred = y_pred.astype(DTYPES[draw(st.sampled_from(wish.dtypes))])
    known = np.full(y_pred.shape[:-1], True)
    return Drawn(_name(name, y_pred), y, y_pred, {}, y_pred.shape[-1], known, frozenset(fitting))


def _without_choice(batch: Drawn) -> Drawn:
    """For losses that know but one of several labels and exclusive classes."""
    return replace(batch, options={k: v for k, v in batch.options.items() if k != "multi_label"})


INNER = [name for name in samples.LOSSES if name in REGISTRY and samples.fits_inside(name)]
OF_KERAS = "mean_squared_error"


@st.composite
def _anything(draw: DrawFn, wish: Wish) -> Drawn:
    """Losses inside a loss: any of the others, and one of Keras's own."""
    inside = [name for name in INNER if name in samples.ALONE] if wish.alone else INNER
    name = draw(st.sampled_from([*inside, OF_KERAS]))
    if name == OF_KERAS:
        shape = draw(shapes(wish.empty))
        y, y_pred = (draw(numbers(shape, wish.extreme)) for _ in range(2))
        return _plain(draw, name, wish, y.astype("float32"), y_pred, {"loss": name})
    inner = draw(cases(name, wish))
    return replace(inner.batch, options={"loss": inner.build()})


KINDS: dict[str, Callable[[Wish], SearchStrategy[Drawn]]] = {
    "classes": _classes,
    "exclusive": lambda wish: _exclusive_or_one(wish).map(_without_choice),
    "outputs": lambda wish: _outputs(wish).map(_without_choice),
    "scores": lambda wish: _exclusive(wish, scores=True),
    "views": lambda wish: _joined(wish, target=False),
    "pairs": lambda wish: _joined(wish, target=True),
    "signs": _signs,
    "numbers": _numbers,
    "positives": lambda wish: _amounts(wish, None),
    "amounts": lambda wish: _amounts(wish, {}),
    "amounts by powers": lambda wish: _amounts(wish, {"power": 1.5}),
    "quantiles": lambda wish: _levels(wish, "quantiles"),
    "expectiles": lambda wish: _levels(wish, "tau"),
    "distributions": _distributions,
    "logits": _logits,
    "latents": _latents,
    "ranks": lambda wish: _exclusive(wish, scores=True, ordinal="ranks"),
    "cut points": lambda wish: _exclusive(wish, scores=True, ordinal="cut points"),
    "pooled": lambda wish: _exclusive(wish, scores=True, ordinal="pooled"),
    **{kind: lambda wish, kind=kind: _packed(wish, kind) for kind in samples.PACKED},  # type: ignore[misc]
    "anything": _anything,
    "sums": lambda wish: _anything(wish).map(samples.twice),
}


# Cases ------------------------------------------------------------------------------------------------


@st.composite
def cases(draw: DrawFn, name: str, wish: Wish | None = None, wild: bool = False) -> Example:
    """A loss with hyper-parameters, and a batch that it takes."""
    wish = wish or Wish()
    told = samples.LOSSES[name].hyperparameters.keys()
    batch = draw(KINDS[REGISTRY[name].takes](wish).filter(lambda batch: batch.options.keys() <= told))
    found = Example(name, draw(options(name, batch, wish.alone, wild)), batch)
    if not (wish.extreme or wild):
        assume(samples.defined(found))
    return found


def other_shapes(shape: Shape, fitting: Callable[[Shape], bool]) -> SearchStrategy[Shape]:
    """Shapes near to this one, and far from it, without those that fit."""
    near = [shape[:axis] + shape[axis + 1 :] for axis in range(len(shape))]
    near += [(*shape[:axis], n, *shape[axis:]) for axis in range(len(shape) + 1) for n in (1, 2)]
    near += [(*shape[:axis], n, *shape[axis + 1 :]) for axis in range(len(shape)) for n in (0, 1, 2, 7)]
    near += [shape[::-1], (*shape[1:], *shape[:1])]
    far = st.lists(st.integers(1, 3), max_size=5).map(tuple)
    return st.sampled_from([x for x in near if not fitting(x)]) | far.filter(lambda x: not fitting(x))


def for_samples(leading: Shape, elements: SearchStrategy[Any]) -> SearchStrategy[np.ndarray]:
    """Weights or a mask for the samples, for each of their losses, or for something between."""
    axes = st.integers(1, len(leading)).map(lambda axes: leading[:axes])
    column = st.just((*leading[:1], 1))
    return (axes | column).flatmap(lambda shape: array(shape, elements))
