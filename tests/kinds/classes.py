"""Kinds whose labels are classes: ids, one-hot rows, soft labels or 0/1 labels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np
from keras import ops
from scipy.special import expit

from tests.kinds.kind import (
    CLASSES,
    IMAGES,
    NUMBERS,
    ROWS,
    Batch,
    Form,
    Kind,
    Population,
    Source,
    Workload,
    fits_one_by_one,
    hot,
    named,
    outputs,
    register,
    rows,
    softmax_of,
    with_masked_class,
)
from tests.kinds.numbers import binary

THIRDS = [[0.2, 0.3, 0.5]]


@dataclass(frozen=True)
class ClassForm(Form):
    """A form of labels over classes; the name is the encoding."""

    from_logits: bool = True
    ignored: int | None = None
    axis: int | None = None


def _one_output() -> tuple[ClassForm, ...]:
    return (
        ClassForm("one output", (6,), from_logits=True),
        ClassForm("one output", (6, 1), from_logits=False),
        ClassForm("one output", (2, 3, 1), from_logits=True),
        ClassForm("one output soft", (6, 1), from_logits=False),
    )


def _several_labels() -> tuple[ClassForm, ...]:
    return (
        ClassForm("multi-label", (6, CLASSES), from_logits=True),
        ClassForm("multi-label", (6, CLASSES), from_logits=False),
        ClassForm("multi-label", (2, 4, CLASSES), from_logits=False, ignored=-1),
        ClassForm("multi-label", (2, 3, 2, CLASSES), from_logits=True, ignored=-1),
    )


def _exclusive() -> tuple[ClassForm, ...]:
    return (
        ClassForm("sparse", (6, CLASSES), from_logits=True),
        ClassForm("sparse", (6, CLASSES), from_logits=False),
        ClassForm("one-hot", (6, CLASSES), from_logits=True),
        ClassForm("soft", (6, CLASSES), from_logits=False),
        ClassForm("soft", (2, 4, CLASSES), from_logits=True),
        ClassForm("column", (6, CLASSES), from_logits=True),
        ClassForm("one-hot", (2, 4, CLASSES), from_logits=False, ignored=1),
        ClassForm("sparse", (6, CLASSES), from_logits=True, ignored=-1),
        ClassForm("sparse", (2, 4, CLASSES), from_logits=False, ignored=255),
        ClassForm("sparse", (2, 3, 2, CLASSES), from_logits=True, axis=1),
        ClassForm("one-hot", (2, 3, 2, CLASSES), from_logits=False, axis=1),
    )


def _both_ways(forms: tuple[ClassForm, ...]) -> tuple[ClassForm, ...]:
    """Each form from logits and from probabilities, and on more axes."""
    shapes = ((), (2,), (2, 2))
    return tuple(
        replace(form, shape=(*more, *form.shape[-2:]), from_logits=from_logits, axis=None)
        for form in forms
        for more in shapes
        for from_logits in (True, False)
    )


def ids(random: np.random.Generator, x: np.ndarray) -> np.ndarray:
    return random.integers(0, x.shape[-1], x.shape[:-1], "int32")


def one_hot(random: np.random.Generator, x: np.ndarray) -> np.ndarray:
    return np.asarray(np.eye(x.shape[-1], dtype="float32")[ids(random, x)])


PIXELS = ("CrossentropyLoss", "FocalLoss", "GeneralizedCrossentropyLoss")
OF_CLASSES = {
    "sparse": Workload("Class ids", ids, ROWS, reference="sparse"),
    "one-hot": Workload("One-hot labels", one_hot, ROWS, reference="one-hot"),
    "sparse pixels": Workload("Class ids of pixels", ids, IMAGES, None, "sparse", few=PIXELS),
    "one-hot pixels": Workload("One-hot labels of pixels", one_hot, IMAGES, None, "one-hot", few=PIXELS),
}
OF_OUTPUTS = {"binary": Workload("0/1 labels", binary, NUMBERS, options={"multi_label": True})}

LOGITS_TOLD = {"from_logits": True}
# The priors are those with which the examples of `class_prior` start: 0.2, 0.5 and 0.3.
SIX_THREE_ONE = {
    "class probability": [0.6, 0.3, 0.1],
    "class probability over its prior": [45 / 59, 9 / 59, 5 / 59],  # 3 : 3/5 : 1/3
    "likeliest class": [True, False, False],
}


def over_classes(options: Mapping[str, Any]) -> Population:
    """Six samples of the first class, three of the second and one of the third."""
    return Population(
        [0] * 6 + [1] * 3 + [2],
        options,
        SIX_THREE_ONE,
        3,
        decode=lambda loss, bias: softmax_of(bias),
        likeliest=lambda bias: bias == bias.max(),
    )


ONE_OUTPUT = Population(
    [[1], [1], [1], [0]],
    LOGITS_TOLD,
    {
        "class probability": [3 / 4],
        "class probability over its prior": [6 / 11],  # odds of 3 / (0.5 / 0.2)
        "likeliest class": [True],
    },
    decode=lambda loss, bias: expit(bias),
)
SEVERAL_LABELS = Population(
    [[1, 0], [1, 1], [1, 0], [0, 0]],
    {**LOGITS_TOLD, "multi_label": True},
    {
        "class probability": [3 / 4, 1 / 4],
        "class probability over its prior": [12 / 13, 1 / 4],  # odds of 3 / (2/8), (1/3) / (5/5)
        "likeliest class": [True, False],
    },
    2,
    decode=lambda loss, bias: expit(bias),
)
ORDERED = (
    Population([[1], [1], [1], [1], [0]], LOGITS_TOLD, {"order of probabilities": [0]}),
    Population(
        [[1, 0, 0], [1, 1, 0], [1, 0, 0], [0, 0, 1], [0, 0, 1]],
        LOGITS_TOLD,
        {"order of probabilities": [1, 2, 0]},  # 1/5, 2/5, 3/5
        3,
    ),
)


class Classes(Kind):
    """Classes as ids, one-hot or soft labels, one binary output, or several 0/1 labels per sample."""

    keeps_logits = True

    def __init__(self, name: str, one: bool, several: bool, exclusive: bool, scores: bool = False) -> None:
        super().__init__(name)
        self.one_output, self.several, self.class_ids, self.scores = one, several, exclusive, scores  # type: ignore[misc]
        """`scores`: predictions are always logits, the loss has no `from_logits`, and labels are not soft."""
        self.keeps_logits = not scores  # type: ignore[misc]
        self.choice = several and exclusive
        """Whether the loss has `multi_label` to tell both readings apart."""
        forms = (*(_one_output() * one), *(_several_labels() * several), *(_exclusive() * exclusive))
        if scores:
            as_logits = (replace(form, from_logits=True) for form in forms if form.name != "soft")
            forms = tuple({repr(form): form for form in as_logits}.values())
        self.forms = forms
        self.every_form = () if scores else _both_ways(forms)
        self.workloads = {**(OF_CLASSES if exclusive else {}), **(OF_OUTPUTS if several else {})}
        if not exclusive:
            self.populations = ORDERED
        else:
            of_classes = over_classes({} if scores else LOGITS_TOLD)
            self.populations = (
                *((ONE_OUTPUT,) if one else ()),
                *((SEVERAL_LABELS,) if several else ()),
                of_classes,
            )

    @property
    def description(self) -> str:
        encodings = [
            "class ids, one-hot and soft labels" if self.class_ids and not self.scores else "",
            "class ids and one-hot labels" if self.scores else "",
            "one binary output" if self.one_output else "",
            "several 0/1 labels per sample" if self.several else "",
        ]
        predictions = "logits" if self.scores else "logits or probabilities"
        return f"{predictions.capitalize()} of classes: {'; '.join(filter(None, encodings))}."

    def make(self, source: Source, form: Form) -> Batch:
        assert isinstance(form, ClassForm)
        told: dict[str, Any] = {} if self.scores else {"from_logits": form.from_logits}
        if self.choice:
            told["multi_label"] = form.name == "multi-label"
        if form.ignored is not None:
            told["ignore_class"] = form.ignored
        if form.name in ("one output", "one output soft", "multi-label"):
            return self._of_outputs(source, form, told)
        y_pred = (source.numbers if form.from_logits else source.distributions)(form.shape)
        return labelled(source, form, y_pred, told, CLASSES if form.shape[-1] == CLASSES else form.shape[-1])

    def _of_outputs(self, source: Source, form: ClassForm, told: dict[str, Any]) -> Batch:
        y_pred = (source.numbers if form.from_logits else source.shares)(form.shape)
        y_true, known = source.integers(0, 1, form.shape), None
        if form.name == "one output soft":
            y_true = source.shares(form.shape)
        if form.ignored is not None:
            gone = source.some(form.shape)
            y_true, known = np.where(gone, form.ignored, y_true), ~gone.all(-1)
        count = form.shape[-1] if form.name == "multi-label" else 1
        return Batch(_called(form, y_pred), y_true, y_pred, told, count, known, fits_outputs(form.shape))

    def extremes(self, dtype: str) -> Iterator[Batch]:
        for from_logits in (True,) if self.scores else (True, False):
            told = {} if self.scores else {"from_logits": from_logits}
            kind = "logits" if from_logits else "probabilities"
            if self.class_ids:
                one = {**told, "multi_label": False} if self.choice else told
                pred, true = rows(not from_logits, dtype)
                yield Batch(f"sparse {kind}", true, pred, one, CLASSES)
                soft = hot(true, CLASSES) if self.scores else 0.8 * hot(true, CLASSES) + 0.2 / CLASSES
                yield Batch(f"{'one-hot' if self.scores else 'soft'} {kind}", soft, pred, one, CLASSES)
            if self.one_output:
                one = {**told, "multi_label": False} if self.choice else told
                pred, y = outputs(not from_logits, dtype)
                yield Batch(f"one output {kind}", y, pred, one, 1)
            if self.several:
                several = {**told, "multi_label": True} if self.choice else told
                pred, y = (np.stack([x, x[::-1], np.roll(x, 3)], -1) for x in outputs(not from_logits, dtype))
                yield Batch(f"multi-label {kind}", y, pred, several, CLASSES)

    def perfect(self, batch: Batch, loss: Any) -> np.ndarray:
        return exactly(batch)

    def masked(self, batch: Batch) -> Batch | None:
        of_logits = self.scores or batch.options["from_logits"]
        # The mean over the outputs of which some are ignored is not that of one output more.
        countable = self.mean_over(batch) == 1 or batch.known is None
        return with_masked_class(batch) if of_logits and batch.outputs > 1 and countable else None

    def mean_over(self, batch: Batch) -> int:
        several = batch.options.get("multi_label", not self.class_ids)
        return batch.outputs if several else 1

    def refused(self) -> Iterator[tuple[Mapping[str, Any], Any, Any, str]]:
        if self.class_ids:
            yield from ids_that_are_none()
            yield {}, [[1.5, -0.5, 0.0]], THIRDS, "1.5"
        if self.class_ids and not self.scores:
            yield {}, [[1.0, 1.0, 0.0]], THIRDS, "2"
            yield {}, [2], [[1.5, -0.5, 0.0]], "1.5"
            yield {}, [2], [[0.9, 0.9, 0.9]], "2.7"
        if self.one_output:
            yield {}, [1], [3.0], "3"
            yield {}, [-1.0, 1.0], [0.5, 0.5], "-1"
        if self.choice:
            yield {"multi_label": True}, [[2.0, 0.0, 1.0]], THIRDS, "2"


def ids_that_are_none() -> Iterator[tuple[Mapping[str, Any], Any, Any, str]]:
    """Class ids that there are not, of three classes."""
    for y_true, shown in (([7], "7"), ([3], "3"), ([1.9], "1.9"), ([-1], "-1")):
        yield {}, y_true, THIRDS, shown


def labelled(
    source: Source, form: ClassForm, y_pred: np.ndarray, told: dict[str, Any], classes: int
) -> Batch:
    """Labels over exclusive classes for predictions whose last axis is that of the outputs."""
    true = source.integers(0, classes - 1, form.shape[:-1]).astype("int32")
    known = None
    if form.name in ("sparse", "column"):
        y_true = true
        if form.ignored is not None:
            gone = source.some(true.shape)
            y_true, known = np.where(gone, form.ignored, true), ~gone
        y_true = y_true[..., None] if form.name == "column" else y_true
    elif form.name == "one-hot":
        y_true = hot(true, classes)
        known = None if form.ignored is None else true != form.ignored
    else:
        y_true = source.distributions((*form.shape[:-1], classes))
        known = None if form.ignored is None else y_true.argmax(-1) != form.ignored
    axis = -1
    if form.axis is not None:
        axis = told["axis"] = form.axis
        y_pred = np.moveaxis(y_pred, -1, axis)
        y_true = y_true if form.name == "sparse" else np.moveaxis(y_true, -1, axis)
    fitting = fits_classes(y_pred.shape, axis, classes)
    return Batch(_called(form, y_pred), y_true, y_pred, told, classes, known, fitting)


def _called(form: ClassForm, y_pred: np.ndarray) -> str:
    words = [form.name]
    words += [f"ignored {form.ignored}"] if form.ignored is not None else []
    words += [f"axis {form.axis}"] if form.axis is not None else []
    return f"{named(' '.join(words), y_pred)} {'logits' if form.from_logits else 'probabilities'}"


def fits_classes(shape: tuple[int, ...], axis: int, classes: int) -> frozenset[tuple[int, ...]]:
    """Shapes of labels: ids with an axis of one or without, and rows of numbers for each class."""
    axis = axis % len(shape)
    rows_, column = ((*shape[:axis], end, *shape[axis + 1 :]) for end in (classes, 1))
    return frozenset([(*shape[:axis], *shape[axis + 1 :]), rows_, column])


def fits_outputs(shape: tuple[int, ...]) -> frozenset[tuple[int, ...]]:
    if len(shape) == 1:
        return fits_one_by_one(shape)
    return frozenset([shape, shape[:-1]] if shape[-1] == 1 else [shape])


def exactly(batch: Batch) -> np.ndarray:
    """The labels as predictions: ids as one-hot rows."""
    truth = np.asarray(batch.y_true, "float32")
    if truth.shape != batch.y_pred.shape and batch.outputs > 1:
        places = np.delete(batch.y_pred.shape, batch.axis)
        ids = batch.y_true.reshape(places)
        ids = np.where(ids == batch.options.get("ignore_class"), 0, ids)
        truth = np.moveaxis(hot(ids, batch.outputs), -1, batch.axis)
    return truth.reshape(batch.y_pred.shape).astype("float32")


@keras.saving.register_keras_serializable("tests")
def softmax_of_each(x: Any) -> Any:
    """The softmax of each of several predictions that lie one after another."""
    each = ops.softmax(ops.reshape(x, (-1, CLASSES)))
    return ops.reshape(each, (-1, *x.shape[1:]))


class Joined(Kind):
    """Class labels against several predictions of each sample, packed in the last axis.

    In a pair, the second prediction is the mean of earlier ones and always consists of probabilities.
    """

    class_ids = False

    def __init__(self, name: str, pairs: bool) -> None:
        super().__init__(name)
        self.pairs = pairs
        views = ({},) if pairs else ({"views": 2}, {"views": 3})
        forms = (
            ("sparse", (6, CLASSES), True, None),
            ("soft", (6, CLASSES), False, None),
            ("one-hot", (2, 4, CLASSES), True, None),
            ("sparse", (2, 4, CLASSES), False, -1),
        )
        self.forms = tuple(
            ClassForm(name, shape, views[turn % len(views)], from_logits, ignored)
            for turn, (name, shape, from_logits, ignored) in enumerate((*forms, *forms[:1] * len(views[1:])))
        )
        self.every_form = tuple(
            replace(form, from_logits=way, options=told)
            for form in self.forms
            for way in (True, False)
            for told in views
        )
        views_told = {} if pairs else {"views": 2}
        self.populations = (
            Population(
                [0] * 6 + [1] * 3 + [2],
                {**LOGITS_TOLD, **views_told},
                {"class probability": [0.6, 0.3, 0.1, *([1 / 3] * 3 if pairs else [0.6, 0.3, 0.1])]},
                6,
                fixed=3 if pairs else 0,
                decode=lambda loss, bias: softmax_of(bias.reshape(2, -1)).reshape(-1),
            ),
        )
        title = "a prediction and the mean of earlier ones" if pairs else "two views"
        self.workloads = {
            name: Workload(
                f"Class ids, with {title}",
                lambda r, x: r.integers(0, x.shape[-1] // 2, x.shape[:-1], "int32"),
                (8192, 2000),
                (256, 20),
                "one-hot",
                views_told,
            )
        }

    def make(self, source: Source, form: Form) -> Batch:
        assert isinstance(form, ClassForm)
        of_logits = [form.from_logits] * form.options.get("views", 1) + [False] * self.pairs
        parts = [(source.numbers if z else source.distributions)(form.shape) for z in of_logits]
        if self.pairs:
            parts[-1] = 0.9 * parts[-1]
        told = {**form.options, "from_logits": form.from_logits}
        if form.ignored is not None:
            told["ignore_class"] = form.ignored
        batch = labelled(source, form, np.concatenate(parts, -1), told, CLASSES)
        shape = form.shape
        return replace(batch, fitting=frozenset([shape[:-1], (*shape[:-1], 1), shape]))

    def extremes(self, dtype: str) -> Iterator[Batch]:
        for from_logits in (True, False):
            told = {"from_logits": from_logits, **({} if self.pairs else {"views": 2})}
            pred, true = rows(not from_logits, dtype)
            second = rows(True, dtype)[0] if self.pairs else pred[::-1]
            both = np.concatenate([pred, np.resize(second, pred.shape)], axis=-1)
            kind = "logits" if from_logits else "probabilities"
            yield Batch(f"sparse {kind}", true, both, told, CLASSES)
            soft = 0.8 * hot(true, CLASSES) + 0.2 / CLASSES
            yield Batch(f"soft {kind}", soft, both, told, CLASSES)

    def masked(self, batch: Batch) -> Batch | None:
        if not batch.options["from_logits"]:
            return None
        parts = np.split(batch.y_pred, batch.y_pred.shape[-1] // CLASSES, axis=-1)
        made = [with_masked_class(replace(batch, y_pred=part)) for part in parts]
        if self.pairs:  # The mean of earlier predictions holds probabilities.
            made[-1] = with_masked_class(replace(batch, y_pred=parts[-1]), logit=0.0)
        return replace(made[0], y_pred=np.concatenate([each.y_pred for each in made], axis=-1))

    def perfect(self, batch: Batch, loss: Any) -> np.ndarray:
        truth = np.asarray(batch.y_true, "float32")
        if truth.ndim < batch.y_pred.ndim:
            truth = hot(batch.y_true, batch.outputs)
        return np.tile(truth, batch.y_pred.shape[-1] // CLASSES).astype("float32")

    def last_layer(self, loss: Any, units: int) -> keras.layers.Layer:
        # Also with `from_logits`, because the second prediction of a pair consists of probabilities.
        return keras.layers.Dense(units, activation=softmax_of_each)


register(
    Classes("classes", one=True, several=True, exclusive=True),
    Classes("exclusive", one=True, several=False, exclusive=True),
    Classes("outputs", one=True, several=True, exclusive=False),
    Classes("scores", one=False, several=False, exclusive=True, scores=True),
    Joined("views", pairs=False),
    Joined("pairs", pairs=True),
)
