"""What every law is tried on: the losses, their hyper-parameters, and data in every form that they take.

The losses are those of the package, and their hyper-parameters come from their declarations; the data come
from the kind that a loss's oracle takes. So a new loss with an oracle is tested without a line here.
"""

from __future__ import annotations

import functools
import types
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from scipy.special import expit, softmax

import keras_losses
from keras_losses import catalogue
from keras_losses.card import REQUIRED, Interval, Learned, Parameter
from tests import example
from tests.oracles import REGISTRY, expected

CLASSES = 3
"""As many as the sequences among the hyper-parameters' examples have numbers."""

LAID_OUT = ("axis", "ignore_class", "outputs")

OF_STEPS = {"smoothness": "smoothness_axes"}
"""Hyper-parameters for predictions with axes of time or space, and what else says where such an axis is."""


@dataclass(frozen=True)
class Packed:
    """Several numbers for each target in the last axis of the predictions, and targets from a domain."""

    domain: str
    parts: Mapping[int, Mapping[str, Any]]
    """How many numbers, and what the loss is then to be told."""


PACKED = {
    "1 of counts": Packed("counts", {1: {}}),
    "2 of counts": Packed("counts", {2: {}}),
    "2 of positives": Packed("positives", {2: {}}),
    "2 of shares": Packed("shares", {2: {}}),
    "2 of reals": Packed("reals", {2: {}}),
    "2 or 3 of reals": Packed("reals", {3: {"df": None}, 2: {"df": 3.5}}),
    "3 of each component of reals": Packed("reals", {6: {"components": 2}, 3: {"components": 1}}),
    "4 of reals": Packed("reals", {4: {}}),
}

OVER_CLASSES = ("classes", "exclusive", "scores")
"""The kinds of data whose labels may be class ids."""

SEVERAL_PREDICTIONS = ("views", "pairs")
"""The kinds of data with more than one prediction of a sample, one after another."""

AROUND = ("anything", "sums")
"""The kinds of data with losses inside a loss."""

BESIDE_INFINITY = ("distributions",)
"""The kinds of data on which a formula may be infinite: a distribution that has what the other has not."""

OF_ONE_OUTPUT = ("classes", "exclusive", "outputs")
"""The kinds of data with predictions of one output that is a probability, or its logit."""

LOSSES: dict[str, type] = {**catalogue.losses(), example.loss.__name__: example.loss}


@dataclass(frozen=True, eq=False)
class Batch:
    """Labels and predictions in one shape and encoding, and the arguments that say so to the loss."""

    name: str
    y_true: np.ndarray
    y_pred: np.ndarray
    options: Mapping[str, Any] = field(default_factory=dict)
    outputs: int = 1

    def __repr__(self) -> str:
        return self.name

    @property
    def leading(self) -> tuple[int, ...]:
        """The shape of the losses."""
        shape = list(self.y_pred.shape)
        if len(shape) > 1:
            del shape[self.axis]
        return tuple(shape)

    @property
    def axis(self) -> int:
        return self.options.get("axis", getattr(inner(self.options), "axis", -1))


@dataclass(frozen=True, eq=False)
class Case:
    """A loss with some hyper-parameters, and data that it takes."""

    loss: str
    options: Mapping[str, Any]
    batch: Batch

    def build(self, **common: Any) -> Any:
        return build(self.loss, {**self.batch.options, **self.options}, self.batch.outputs, **common)

    def __repr__(self) -> str:
        return "-".join([self.loss, *words(self.options), self.batch.name])


def words(options: Mapping[str, Any]) -> list[str]:
    return [f"{name}={value}" for name, value in options.items()]


def inner(options: Mapping[str, Any]) -> Any:
    """The loss inside the one that has these options, and the first of several."""
    return next(iter(options.get("losses", {"": options.get("loss")}).values()))


def build(loss: str, options: Mapping[str, Any], outputs: int = CLASSES, /, **common: Any) -> Any:
    """The loss, with what it cannot do without as fits the number of outputs.

    An inner loss among the options computes in the same dtype as the outer one.
    """
    given = {**required(loss, outputs, options), **options}
    if "dtype" in common:
        given = {key: _in_dtype(value, common["dtype"]) for key, value in given.items()}
    return LOSSES[loss](**given, **common)


def inside(loss: Any) -> Any:
    """The loss inside, the first of several, or the loss itself."""
    return inner({"loss": loss} | vars(loss))


def _in_dtype(value: Any, dtype: Any) -> Any:
    if isinstance(value, keras_losses.Loss):
        return type(value).from_config({**value.get_config(), "dtype": dtype})
    return {key: _in_dtype(each, dtype) for key, each in value.items()} if isinstance(value, dict) else value


# Hyper-parameters -------------------------------------------------------------------------------------


def values(parameter: Parameter) -> list[Any]:
    """Values that a hyper-parameter takes, other than its default."""
    found: list[Any] = [*parameter.examples, *(parameter.choices or ())]
    if parameter.within is not None:
        inside = Interval(parameter.within).inside()
        inside = sorted({int(x) for x in inside if int(x) == x} if parameter.integer else inside)
        inside = [x for x in inside if x != parameter.default]
        # Both ends, and what lies next to the first: a fraction, which is where powers go wrong.
        found += inside if len(inside) <= 3 else [*inside[:2], inside[-1]]
    return [x for x in found if not (type(x) is type(parameter.default) and x == parameter.default)]


def required(
    name: str, outputs: int = CLASSES, options: Mapping[str, Any] = types.MappingProxyType({})
) -> dict[str, Any]:
    """Values for the arguments that a loss cannot do without and that are not in its `options`.

    What would be learned is a number: the laws of a loss hold for each that it may become.
    """
    parameters = {key: p for key, p in LOSSES[name].hyperparameters.items() if key not in options}
    numbers = {key: p.default.initial for key, p in parameters.items() if isinstance(p.default, Learned)}
    return numbers | {
        key: resized(values(parameter)[0], entries(name, key, outputs, options))
        for key, parameter in parameters.items()
        if parameter.default is REQUIRED and values(parameter)
    }


def entries(name: str, key: str, outputs: int, options: Mapping[str, Any]) -> int:
    """How many numbers a sequence among the hyper-parameters has: with one output, 2 where it is classes."""
    required = LOSSES[name].hyperparameters[key].default is REQUIRED
    several = options.get("multi_label", getattr(LOSSES[name], "multi_label", False)) is True
    of_two = key == "class_weight" or (required and not several)
    return 2 if outputs == 1 and of_two else outputs


def resized(example: Any, length: int) -> Any:
    """A sequence, cut or repeated to that length; anything else as it is."""
    return np.resize(example, length).tolist() if isinstance(example, list) else example


@functools.cache
def variants(name: str) -> tuple[dict[str, Any], ...]:
    """The defaults, each value of each hyper-parameter by itself, and all of them at once.

    Which axis the classes are, which label is ignored and how many outputs there are is the batches' to say.
    """
    parameters = LOSSES[name].hyperparameters.items()
    free = {key: found for key, p in parameters if key not in LAID_OUT and (found := values(p))}
    single = [{key: value} for key, choices in free.items() for value in choices]
    turns = (0, 1) if len(free) > 1 else ()
    together = [{key: choices[turn % len(choices)] for key, choices in free.items()} for turn in turns]
    return ({}, *single, *together)


def with_batch(name: str, options: Mapping[str, Any], batch: Batch) -> Case | None:
    """A case, unless the batch itself says what the variant is about."""
    left = {key: value for key, value in options.items() if key not in batch.options}
    told = {**batch.options, **left}
    for key in left:
        if LOSSES[name].hyperparameters[key].default is REQUIRED:
            left[key] = resized(left[key], entries(name, key, batch.outputs, told))
    return Case(name, left, batch) if left or not options else None


def takes(case: Case) -> bool:
    """Whether the loss can be made so, and its hyper-parameters fit the number of outputs."""
    of = LOSSES[case.loss].hyperparameters
    lengths = {
        len(value)
        for key, value in case.options.items()
        if isinstance(value, list) and of[key].default is not REQUIRED
    }
    if lacks_steps(case.options, case.batch.y_pred):
        return False
    # A loss that is told the number of classes refuses another number of weights itself.
    if lengths - {case.batch.outputs} and "num_classes" not in case.batch.options:
        return False
    try:
        case.build()
    except ValueError:
        return False
    return True


def lacks_steps(options: Mapping[str, Any], y_pred: np.ndarray) -> bool:
    """Whether the predictions have no axis for what the loss is to do along one."""
    return y_pred.ndim < 3 and any(
        options.get(key) and options.get(at) is None for key, at in OF_STEPS.items()
    )


def defined(case: Case) -> bool:
    """Whether the formula has a value on each sample."""
    if REGISTRY[case.loss].takes not in BESIDE_INFINITY:
        return True
    return bool(np.isfinite(expected(case.build(), case.batch.y_true, case.batch.y_pred)).all())


@functools.cache
def cases(name: str) -> tuple[Case, ...]:
    """Every variant of a loss on the simple batches, and the defaults and all at once on the others."""
    found = [
        with_batch(name, options, batch)
        for options in variants(name)
        for batch in batches(name)
        if simple(batch) or len(options) != 1 or options.keys() & OF_STEPS.keys()
    ]
    # Without what a batch says, a variant of several hyper-parameters may be one of those before it.
    unique = {repr(case): case for case in found if case is not None and takes(case) and defined(case)}
    return tuple(unique.values())


def all_cases(keep: Callable[[Case], bool] = lambda case: True) -> list[Case]:
    return [case for name in LOSSES if name in REGISTRY for case in cases(name) if keep(case)]


def plain_cases(keep: Callable[[Batch], bool] = lambda batch: True) -> list[Case]:
    """Every loss on every batch, with its default hyper-parameters."""
    return all_cases(lambda case: not case.options and keep(case.batch))


def pools(case: Case) -> bool:
    """Whether the loss is one of the whole batch, so that its samples do know of each other."""
    return bool(case.build().pools_batch)


ALONE = [name for name in LOSSES if not build(name, required(name)).pools_batch]
"""The losses in which no sample knows of another."""


OF_EACH_KIND = list({(REGISTRY[name].takes, name in ALONE): name for name in reversed(LOSSES)}.values())
"""One loss of each kind of data, the first: for laws of what Keras does with a loss, whatever its formula."""


def simple(batch: Batch) -> bool:
    """Whether it is one of the few batches that differ in more than shape and ignored labels."""
    return flat(batch) and not any(word in batch.name for word in ("ignored", "column", "6x1"))


def flat(batch: Batch) -> bool:
    """Whether there is one axis of samples, and of outputs at most one."""
    return batch.y_pred.ndim <= 2


# Data -------------------------------------------------------------------------------------------------


@functools.cache
def batches(name: str) -> tuple[Batch, ...]:
    """Those of the kind of data that tell the loss nothing but what it can be told."""
    made = KINDS[REGISTRY[name].takes]()
    return tuple(batch for batch in made if batch.options.keys() <= LOSSES[name].hyperparameters.keys())


def outputs_of(y_pred: Any) -> int:
    """The number of outputs of predictions whose last axis is theirs."""
    return np.shape(y_pred)[-1] if np.ndim(y_pred) > 1 else 1


def rng(*seed: object) -> np.random.Generator:
    return np.random.default_rng(zlib.crc32(repr(seed).encode()))


def _classes() -> Iterator[Batch]:
    yield from _one_output()
    yield from _several_labels()
    yield from _exclusive_classes(scores=False)


def _outputs() -> Iterator[Batch]:
    """Labels of outputs that are probabilities of their own, for losses that know no others."""
    yield from _without_choice((*_one_output(), *_several_labels()))


def _exclusive() -> Iterator[Batch]:
    """Labels of exclusive classes, of which one output is two, for losses that know no others."""
    yield from _without_choice((*_one_output(), *_exclusive_classes(scores=False)))


def _without_choice(batches: Iterable[Batch]) -> Iterator[Batch]:
    for batch in batches:
        told = {key: value for key, value in batch.options.items() if key != "multi_label"}
        yield replace(batch, options=told)


def _one_output() -> Iterator[Batch]:
    for shape in ((6,), (6, 1), (2, 3, 1), (2, 3, 2, 1)):
        r = rng("one output", shape)
        z, y = r.normal(0, 2, shape), r.integers(0, 2, shape)
        yield from _both("one output", y, z, expit, {"multi_label": False}, 1)
    r = rng("soft")
    yield from _both(
        "one output soft", r.uniform(0, 1, (6, 1)), r.normal(0, 2, (6, 1)), expit, {"multi_label": False}, 1
    )


def _several_labels() -> Iterator[Batch]:
    for shape in ((6, CLASSES), (2, 4, CLASSES), (2, 3, 2, CLASSES)):
        r = rng("labels", shape)
        z, y = r.normal(0, 2, shape), r.integers(0, 2, shape).astype("float32")
        yield from _both("multi-label", y, z, expit, {"multi_label": True}, CLASSES)
        some = np.where(rng("ignored", shape).uniform(size=shape) < 0.3, -1, y)
        yield from _both(
            "multi-label ignored", some, z, expit, {"multi_label": True, "ignore_class": -1}, CLASSES
        )


def _exclusive_classes(scores: bool) -> Iterator[Batch]:
    """Labels over classes of which one is true; soft ones, and probabilities, unless these are scores."""
    both = _only_scores if scores else _both
    told: dict[str, Any] = {} if scores else {"multi_label": False}
    for shape in ((6, CLASSES), (2, 4, CLASSES), (2, 3, 2, CLASSES)):
        r = rng("classes", shape, scores)
        z, ids = r.normal(0, 2, shape), r.integers(0, CLASSES, shape[:-1])
        hot = np.eye(CLASSES)[ids]
        yield from both("sparse", ids.astype("int32"), z, softmax, told, CLASSES)
        yield from both("one-hot", hot, z, softmax, told, CLASSES)
        if len(shape) == 2:
            yield from both("sparse column", ids[:, None], z, softmax, told, CLASSES)
        if not scores:
            yield from both("soft", softmax(r.normal(0, 1, shape), -1), z, softmax, told, CLASSES)
        if len(shape) == 4:
            # Channels first.
            moved = np.moveaxis(z, -1, 1)
            yield from both("sparse axis 1", ids, moved, softmax, {**told, "axis": 1}, CLASSES)
            yield from both(
                "one-hot axis 1", np.moveaxis(hot, -1, 1), moved, softmax, {**told, "axis": 1}, CLASSES
            )
        else:
            for ignored in (-1, 255):
                some = np.where(np.arange(ids.size).reshape(ids.shape) % 3 == 1, ignored, ids)
                yield from both(
                    "sparse ignored", some, z, softmax, {**told, "ignore_class": ignored}, CLASSES
                )
            yield from both("one-hot ignored", hot, z, softmax, {**told, "ignore_class": 1}, CLASSES)


def _views() -> Iterator[Batch]:
    """Several predictions of a sample, one after another."""
    for views in (2, 3):
        yield from _joined([softmax] * views, {"views": views})


def _pairs() -> Iterator[Batch]:
    """A prediction of a sample, and the mean of earlier ones, which is always one of probabilities."""

    def of_probabilities(z: np.ndarray, axis: int) -> np.ndarray:
        return 0.9 * softmax(z, axis)

    yield from _joined([softmax, of_probabilities], {})


def _joined(activations: list[Any], told: dict[str, Any]) -> Iterator[Batch]:
    for shape in ((6, CLASSES), (2, 4, CLASSES)):
        r = rng("joined", shape, len(activations))
        parts = [r.normal(0, 2, shape) for _ in activations]
        ids = r.integers(0, CLASSES, shape[:-1])
        some = np.where(np.arange(ids.size).reshape(ids.shape) % 3 == 1, -1, ids)
        for from_logits in (True, False):
            pred = np.concatenate(
                [
                    z if from_logits and activation is softmax else activation(z, -1)
                    for z, activation in zip(parts, activations, strict=True)
                ],
                axis=-1,
            )
            kind = "logits" if from_logits else "probabilities"
            for name, y, more in (
                ("sparse", ids.astype("int32"), {}),
                ("sparse ignored", some, {"ignore_class": -1}),
                ("one-hot", np.eye(CLASSES)[ids], {}),
                ("soft", softmax(r.normal(0, 1, shape), -1), {}),
            ):
                options = {**told, **more, "from_logits": from_logits}
                yield Batch(f"{_name(name, pred.shape, more)} {kind}", y, pred, options, CLASSES)


def _signs() -> Iterator[Batch]:
    for shape in ((6,), (6, 1), (6, 2), (2, 3, 2), (2, 3, 2, 2)):
        r = rng("signs", shape)
        z, y = r.normal(0, 1.5, shape), r.integers(0, 2, shape)
        yield Batch(_name("signed", shape, {}), 2.0 * y - 1.0, z, {"labels": "signed"})
        yield Batch(_name("0/1", shape, {}), y, z, {"labels": "binary"})


def _numbers() -> Iterator[Batch]:
    for shape in ((6,), (6, 1), (6, 2), (2, 3, 2), (2, 3, 2, 2)):
        r = rng("numbers", shape)
        y, f = r.normal(0, 3, shape), r.normal(0, 3, shape)
        yield Batch(_name("numbers", shape, {}), y, f, {})
        if len(shape) == 1:
            yield Batch(_name("numbers against a column", shape, {}), y, f[:, None], {})


def _amounts(zeros: Mapping[str, Any] | None) -> Iterator[Batch]:
    """Numbers above 0, and with zeros where a loss takes them, which `zeros` are the options for."""
    for shape in ((6,), (6, 1), (6, 2), (2, 3, 2), (2, 3, 2, 2)):
        r = rng("amounts", shape)
        y, f = np.exp(r.normal(0, 1.5, shape)), r.normal(0, 1.5, shape)
        for link, pred in ((True, f), (False, np.exp(f))):
            told = {"log_link": link}
            of = "logarithms" if link else "means"
            yield Batch(f"{_name('amounts', shape, {})} {of}", y, pred, told)
            if zeros is not None:
                some = np.where(r.uniform(size=shape) < 0.4, 0.0, np.ceil(y))
                yield Batch(f"{_name('with zeros', shape, {})} {of}", some, pred, {**told, **zeros})


LEVELS = {"quantiles": "quantiles", "expectiles": "tau"}
"""The kinds of data with a prediction for each of several levels, and what the loss calls them."""


def _levels(called: str) -> Iterator[Batch]:
    """A prediction of each of several levels, one after another, or of one."""
    for shape in ((6,), (6, 1), (6, 2), (2, 3, 2)):
        r = rng("levels", shape)
        y, f = r.normal(0, 3, shape), r.normal(0, 3, shape)
        yield Batch(_name("one level", shape, {}), y, f, {})
        several = r.normal(0, 3, (*f.shape[:-1], CLASSES * f.shape[-1]) if f.ndim > 1 else (6, CLASSES))
        told = {called: [0.1, 0.5, 0.9]}
        yield Batch(_name(f"levels of {_name('targets', shape, {})},", several.shape, {}), y, several, told)


def _packed(kind: str) -> Iterator[Batch]:
    """Targets of a domain, with several numbers for each in the last axis of the predictions."""
    domain = PACKED[kind].domain
    for parts, told in PACKED[kind].parts.items():
        for shape in ((6, 1), (6, 2), (2, 3, 2), (2, 3, 2, 2)):
            r = rng(kind, parts, shape)
            y, f = in_domain(domain, r, shape), r.normal(0, 1.5, (*shape[:-1], parts * shape[-1]))
            words = f"{parts} numbers of {domain}"
            yield Batch(_name(words, f.shape, {}), y, f, told)
            if shape == (6, 1):
                yield Batch(f"{words} without an axis 6", y[:, 0], f, told)
                if parts == 1:
                    yield Batch(f"{words} without axes 6", y[:, 0], f[:, 0], told)


def in_domain(domain: str, r: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Targets: numbers, or counts, shares, or numbers above 0."""
    if domain == "counts":
        return r.negative_binomial(1, 0.25, shape).astype("float32")
    if domain == "reals":
        return r.normal(0, 3, shape)
    return r.beta(1.5, 2.5, shape) if domain == "shares" else r.lognormal(0, 1.5, shape)


def _distributions() -> Iterator[Batch]:
    for shape in ((6, CLASSES), (2, 3, CLASSES), (2, 3, 2, CLASSES)):
        r = rng("two distributions", shape)
        y, z = softmax(r.normal(0, 1, shape), -1), r.normal(0, 1, shape)
        yield from _both("distribution", y, z, softmax, {}, CLASSES)
        hot = np.eye(CLASSES)[r.integers(0, CLASSES, shape[:-1])]
        yield from _both("one-hot", hot, z, softmax, {}, CLASSES)
        measures = {"generalized": True}
        yield Batch(
            _name("measures", shape, {}), r.uniform(0.1, 2, shape), r.uniform(0.1, 2, shape), measures
        )


def _logits() -> Iterator[Batch]:
    """Those of a teacher, and of its student."""
    for shape in ((6, CLASSES), (2, 3, CLASSES), (2, 3, 2, CLASSES)):
        r = rng("logits", shape)
        yield Batch(_name("logits", shape, {}), r.normal(0, 2, shape), r.normal(0, 2, shape), {}, CLASSES)


def _latents() -> Iterator[Batch]:
    """Means and logarithms of variances, beside zeros."""
    for shape in ((6, 2), (6, 4), (2, 3, 4), (2, 3, 2, 2)):
        pred = rng("latents", shape).normal(0, 1, shape)
        yield Batch(_name("latents", shape, {}), np.zeros((*shape[:-1], shape[-1] // 2)), pred)
        yield Batch(_name("latents without targets", shape, {}), np.zeros(shape[:-1]), pred)


def _ordinal(kind: str) -> Iterator[Batch]:
    """Labels over ordered classes, whose number the loss is told."""
    for shape in ((6,), (2, 4), (2, 3, 2)):
        r = rng(kind, shape)
        ids = r.integers(0, CLASSES, shape)
        hot = np.eye(CLASSES)[ids]
        soft = softmax(r.normal(0, 1, hot.shape), -1)
        for words, told, pred in ordinal_outputs(kind, r, shape, CLASSES):

            def batch(name: str, y: Any, told: Any = told, words: str = words, pred: Any = pred) -> Batch:
                axis = told.get("axis", -1)
                pred = np.moveaxis(pred, -1, axis)
                return Batch(f"{_name(name, pred.shape, told)}{words}", y, pred, told, CLASSES)

            yield batch("sparse", ids.astype("int32"))
            yield batch("one-hot", hot)
            yield batch("soft", soft)
            if len(shape) == 1:
                yield batch("sparse column", ids[:, None])
            if len(shape) == 3:
                yield batch("sparse axis 1", ids, {**told, "axis": 1})
                yield batch("one-hot axis 1", np.moveaxis(hot, -1, 1), {**told, "axis": 1})
            else:
                for ignored in (-1, 255):
                    some = np.where(np.arange(ids.size).reshape(shape) % 3 == 1, ignored, ids)
                    yield batch("sparse ignored", some, {**told, "ignore_class": ignored})
                yield batch("one-hot ignored", hot, {**told, "ignore_class": 1})
    for classes in (2, 7, 12):
        r = rng(kind, classes)
        ids = r.permutation(6 * classes)[:6, None] % classes
        for words, told, pred in ordinal_outputs(kind, r, (6,), classes):
            yield Batch(f"{classes} classes{words}", ids, pred, told, classes)


def ordinal_outputs(
    kind: str, r: np.random.Generator, shape: tuple[int, ...], classes: int
) -> Iterator[tuple[str, dict[str, Any], np.ndarray]]:
    """What a loss over ordered classes takes: words for it, what the loss is to be told, and predictions."""
    told = {"num_classes": classes}
    if kind == "ranks":
        yield "", told, r.normal(0, 2, (*shape, classes - 1))
    elif kind == "cut points":
        score, first = r.normal(0, 2, (*shape, 1)), r.normal(-1, 0.5, (*shape, 1))
        gaps = r.uniform(0.3, 1.5, (*shape, classes - 2))
        yield "", told, np.concatenate([score, first, first + np.cumsum(gaps, -1)], -1)
    else:
        z = r.normal(0, 2, (*shape, classes))
        yield " logits", {**told, "from_logits": True}, z
        yield " probabilities", {**told, "from_logits": False}, softmax(z, -1)


ORDINAL = ("ranks", "cut points", "pooled")


def perfect(case: Case) -> np.ndarray:
    """Predictions that are as near to the labels as predictions of their kind come, or the labels."""
    batch, kind = case.batch, REGISTRY[case.loss].takes
    inside = type(inner(batch.options)).__name__
    of_its_own = (*ORDINAL, *SEVERAL_PREDICTIONS, *LEVELS, *PACKED, "latents")
    kind = REGISTRY[inside].takes if inside in REGISTRY and REGISTRY[inside].takes in of_its_own else kind
    truth = np.asarray(batch.y_true, "float32")
    if kind == "latents":
        return np.zeros_like(batch.y_pred, "float32")
    if kind in ORDINAL:
        hot = truth if truth.shape[-1] == batch.outputs else np.eye(batch.outputs)[batch.y_true.reshape(-1)]
        ids, classes = hot.argmax(-1)[..., None], batch.outputs
        if kind == "pooled":
            return hot.astype("float32")
        ranks = np.arange(classes - 1)
        if kind == "ranks":
            return (ids > ranks).astype("float32")
        return np.concatenate([ids - 0.5, ranks + 0 * ids], -1).astype("float32")
    if getattr(case.build(), "log_link", getattr(inner(batch.options), "log_link", True)) is False:
        return np.maximum(truth.reshape(batch.y_pred.shape), 1e-6)
    if kind in LEVELS:
        return np.resize(truth, batch.y_pred.shape) if truth.size == batch.y_pred.size else _for_each(batch)
    if kind in SEVERAL_PREDICTIONS:
        hot = truth if truth.ndim > 1 else np.eye(batch.outputs)[batch.y_true]
        truth = np.tile(hot, batch.y_pred.shape[-1] // CLASSES)
    if kind in ("classes", "exclusive", "scores", *AROUND) and truth.shape != batch.y_pred.shape:
        truth = np.eye(batch.outputs)[batch.y_true.reshape(-1)] if batch.outputs > 1 else truth
    if kind in PACKED:
        truth = truth.reshape(*batch.y_pred.shape[:-1], -1) if batch.y_pred.ndim > 1 else truth
        others = batch.y_pred[..., truth.shape[-1] :] if batch.y_pred.ndim > 1 else truth[:0]
        return np.concatenate([truth, 0 * others], -1).astype("float32")
    return truth.reshape(batch.y_pred.shape).astype("float32")


def _for_each(batch: Batch) -> np.ndarray:
    """The targets once for each of the numbers that are predicted of them, one after another."""
    *leading, last = batch.y_pred.shape
    targets = batch.y_true.reshape(*leading, -1)
    return np.tile(targets, last // targets.shape[-1]).astype("float32")


def fits_inside(name: str) -> bool:
    """Whether it is tried inside another loss, whose reference does not know what this one holds constant."""
    return name in LOSSES and REGISTRY[name].held is None and REGISTRY[name].takes not in AROUND


def _anything() -> Iterator[Batch]:
    """Losses inside a loss: those with probabilities, without, and Keras's own."""
    one_of_each_kind = {oracle.takes: name for name, oracle in REGISTRY.items() if fits_inside(name)}
    for name in one_of_each_kind.values():
        for batch in batches(name):
            if flat(batch) or batch.axis != -1:
                inside = build(name, batch.options, batch.outputs)
                yield replace(batch, name=f"{name} {batch.name}", options={"loss": inside})
    r = rng("anything")
    yield Batch(
        "a Keras loss (6,2)", r.normal(0, 1, (6, 2)), r.normal(0, 1, (6, 2)), {"loss": "mean_squared_error"}
    )


def twice(batch: Batch) -> Batch:
    """The loss inside, as the two terms of a sum."""
    inside = inner(batch.options)
    return replace(batch, options={"losses": {"first": inside, "second": inside}})


def _both(
    name: str, y: np.ndarray, z: np.ndarray, activation: Any, options: dict[str, Any], outputs: int
) -> Iterator[Batch]:
    """The same predictions as logits and as probabilities."""
    axis = options.get("axis", -1)
    p = softmax(z, axis) if activation is softmax else activation(z)
    for from_logits, pred in ((True, z), (False, p)):
        told = {**options, "from_logits": from_logits}
        kind = "logits" if from_logits else "probabilities"
        yield Batch(f"{_name(name, pred.shape, options)} {kind}", y, pred, told, outputs)


def _only_scores(
    name: str, y: np.ndarray, z: np.ndarray, activation: Any, options: dict[str, Any], outputs: int
) -> Iterator[Batch]:
    yield Batch(_name(name, z.shape, options), y, z, options, outputs)


def _name(name: str, shape: tuple[int, ...], options: Mapping[str, Any]) -> str:
    ignored = f" {options['ignore_class']}" if "ignore_class" in options else ""
    return f"{name}{ignored} {'x'.join(map(str, shape))}"


KINDS: dict[str, Callable[[], Iterator[Batch]]] = {
    "classes": _classes,
    "exclusive": _exclusive,
    "outputs": _outputs,
    "scores": functools.partial(_exclusive_classes, scores=True),
    "views": _views,
    "pairs": _pairs,
    "signs": _signs,
    "numbers": _numbers,
    "positives": functools.partial(_amounts, None),
    "amounts": functools.partial(_amounts, {}),
    "amounts by powers": functools.partial(_amounts, {"power": 1.5}),
    **{kind: functools.partial(_levels, called) for kind, called in LEVELS.items()},
    "distributions": _distributions,
    "logits": _logits,
    "latents": _latents,
    **{kind: functools.partial(_ordinal, kind) for kind in ORDINAL},
    **{kind: functools.partial(_packed, kind) for kind in PACKED},
    "anything": _anything,
    "sums": lambda: map(twice, _anything()),
}
