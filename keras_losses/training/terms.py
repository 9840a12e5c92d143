"""What a model keeps for its losses: the means of their terms, for its logs, and parameters that are set."""

from __future__ import annotations

import contextlib
import functools
import inspect
import math
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import keras
from keras import ops

from keras_losses import keras_private, numerics
from keras_losses.combine.composite import CompositeLoss
from keras_losses.core import Loss, Parameter
from keras_losses.core.interval import Interval
from keras_losses.numerics import Tensor

REGULARIZATION = "regularization"
WEIGHTS = "weights/"
Live = dict[Loss, dict[str, Callable[[], Any]]]
"""For each loss, what its hyper-parameters are now, by name."""

FIRST_TERM = 4
"""Where the values of the terms begin in `LossTerms.totals`."""

LOUD = 0.95
"""The share of a term from which on the others are hardly trained on."""


# What a model is compiled with ------------------------------------------------------------------------


@dataclass(frozen=True)
class Output:
    """The loss of an output; the only output with one has no name in the logs."""

    name: str
    loss: Any
    weight: float
    key: str = ""
    """What the model calls the output."""
    place: int = 0
    """Where it stands among the model's outputs, which need not be where its loss stands."""

    @property
    def terms(self) -> dict[str, str]:
        """What the terms are called in the logs, and in the loss."""
        if not isinstance(self.loss, CompositeLoss):
            return {}
        return {f"{self.name}_{name}" if self.name else name: name for name in self.loss.names}

    @property
    def losses(self) -> Iterator[tuple[str, Loss]]:
        """The loss and those inside, by path."""
        return with_parts(self.loss, self.name) if isinstance(self.loss, Loss) else iter(())


def outputs(model: keras.Model) -> list[Output]:
    """The outputs of a compiled model, each with its loss and weight."""
    loss, weights = model.loss, model.get_compile_config().get("loss_weights")
    known = _output_names(model)
    if isinstance(loss, dict):
        names, losses = list(loss), list(loss.values())
    elif isinstance(loss, list | tuple):
        losses = list(loss)
        names = known or list(map(str, range(len(losses))))
    else:
        # Keras takes one loss for every output.
        names = known or [""]
        losses = [loss] * len(names)
    if not isinstance(weights, dict):
        given = weights if isinstance(weights, list | tuple) else [weights] * len(names)
        weights = dict(zip(names, given, strict=False))
    found = []
    for turn, (name, each) in enumerate(zip(names, losses, strict=False)):
        weight = 1.0 if weights.get(name) is None else float(weights[name])
        place = known.index(name) if name in known else turn
        found.append(Output(name if len(names) > 1 else "", each, weight, name, place))
    return found


def _output_names(model: keras.Model) -> list[str]:
    """As the losses are called with Keras: the keys of a dict of outputs, else the names of their layers."""
    structure = keras_private.outputs_structure(model)
    return (
        list(structure) if isinstance(structure, dict) else list(getattr(model, "output_names", None) or ())
    )


def with_parts(loss: Loss, path: str = "") -> Iterator[tuple[str, Loss]]:
    """The loss and all inside of it, by path."""
    yield path, loss
    for name, part in loss._inside.items():
        yield from with_parts(part, joined(path, name))


def joined(*parts: str) -> str:
    """The path of these, of which some may be empty."""
    return "/".join(part for part in parts if part)


def of_replicas(model: keras.Model) -> contextlib.AbstractContextManager[Any]:
    """Where variables are made as the model's are, also once its strategy's scope has been left."""
    strategy = getattr(model, "distribute_strategy", None)  # a facility of TensorFlow's
    return contextlib.nullcontext() if strategy is None else strategy.scope()


# Parameters that are set ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Setting:
    """A number of a loss that may be set while a model trains; in graphs it is a variable of the model."""

    loss: Loss
    name: str

    @property
    def value(self) -> float:
        """As the loss has it; saved with the loss."""
        if self.name.startswith(WEIGHTS):
            return float(self.loss.weights[self.name.removeprefix(WEIGHTS)])  # type: ignore[attr-defined]
        return float(self.loss._stated(self.name))

    def checked(self, owner: str, value: Any) -> float:
        of_weights = Parameter(within="(-inf, inf)")
        declared = self.loss.hyperparameters.get(self.name, of_weights)
        number = float(declared.check(f"{owner}: {type(self.loss).__name__}", self.name, value))
        self._make_with(number)
        return number

    def check_others(self) -> None:
        """Raises `ValueError` where the loss, made as it is otherwise, takes no other number at all."""
        declared = self.loss.hyperparameters.get(self.name)
        refused = None
        for number in Interval(declared.within or "").inside() if declared else ():
            try:
                if number != self.value:
                    self._make_with(number)
                    return
            except ValueError as error:
                refused = error
        if refused is not None:
            raise refused

    def _make_with(self, number: float) -> None:
        # Some numbers do not go with others: a loss that is made with them says so.
        if self.name in self.loss.hyperparameters and type(self.loss).validate is not Loss.validate:
            type(self.loss).from_config({**self.loss.get_config(), self.name: number})

    def keep(self, value: float) -> None:
        if self.name.startswith(WEIGHTS):
            self.loss.weights[self.name.removeprefix(WEIGHTS)] = value  # type: ignore[attr-defined]
        else:
            setattr(self.loss, self.name, value)


def settings(model: keras.Model) -> dict[str, Setting]:
    """The numbers of a compiled model's losses that may be set, by path."""
    found: dict[str, Setting] = {}
    for output in outputs(model):
        for path, loss in output.losses:
            for name, declared in loss.hyperparameters.items():
                if declared.is_real and isinstance(loss._stated(name), float):
                    found.setdefault(joined(path, name), Setting(loss, name))
            # Those of a RegularizedLoss are hyper-parameters of its own.
            for name in loss.weights if "weights" in loss.hyperparameters else ():
                found[joined(path, WEIGHTS + name)] = Setting(loss, WEIGHTS + name)
    # A loss of several outputs is set once, under the name that it has first.
    first = {setting: path for path, setting in reversed(found.items())}
    return {path: setting for path, setting in found.items() if first[setting] == path}


def chosen(owner: str, name: str, found: Mapping[str, Any], learned: Iterable[str] = ()) -> str:
    """The one path that is called so, or ends so."""
    matches = [path for path in found if path == name] or [p for p in found if p.endswith(f"/{name}")]
    if len(matches) == 1:
        return matches[0]
    what = "is the name of several" if matches else "is not the name of one"
    if any(path == name or path.endswith(f"/{name}") for path in learned):
        what = "is learned: give the loss a number in place of Learned, and it is one"
    raise ValueError(
        f"{owner}: {name!r} {what} of the numbers of this model's loss that can be set. They are: "
        f"{', '.join(matches or found) or 'none'}."
    )


# A step ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Step:
    """What a model computes its loss of, for one of its outputs."""

    model: Any
    x: Any
    y: Any
    y_pred: Any
    sample_weight: Any
    training: bool
    output: str = ""
    place: int = 0
    instead: Mapping[int, Any] = field(default_factory=dict)
    """Values to be used in place of trainable variables, by their place among them."""

    def at(self, output: Output) -> Step:
        """That of one of the outputs."""
        return replace(self, output=output.key, place=output.place)

    def of_output(self, structure: Any) -> Any:
        if isinstance(structure, dict):
            return structure[self.output] if self.output in structure else next(iter(structure.values()))
        return structure[self.place] if isinstance(structure, list | tuple) else structure

    @property
    def y_true(self) -> Any:
        return self.of_output(self.y)

    def forward(self, x: Any, training: bool = False) -> Any:
        """What the model makes of inputs; its state, that of dropout too, stays as it is.

        Without `training` no sample knows of another, as they do in batch normalisation.
        """
        trained = [v.value for v in self.model.trainable_variables]
        trained = [self.instead.get(place, value) for place, value in enumerate(trained)]
        others = [v.value for v in self.model.non_trainable_variables]
        y_pred, _ = self.model.stateless_call(trained, others, x, **self._mode(training))
        return y_pred

    def again(self) -> Any:
        """Another answer of the model to the same inputs."""
        if self.instead:
            return self.of_output(self.forward(self.x, self.training))
        return self.of_output(self.model(self.x, **self._mode(self.training)))

    def _mode(self, training: bool) -> dict[str, bool]:
        takes = "training" in inspect.signature(self.model.call).parameters
        return {"training": training} if takes else {}


# The metric -------------------------------------------------------------------------------------------


class LossTerms(keras.metrics.Metric):  # type: ignore[misc]
    """The means of the terms of a model's loss, as a metric of the model.

    For each term of a `CompositeLoss`, and for the model's weight penalties as `regularization`, there are

    - `<term>`: its value, before its weight;
    - `<term>_weighted`: what it adds to `loss`, with the weight of its output;
    - `<term>_share`: that, as a share of `loss`.

    With several outputs the terms are `<output>_<term>`. A model without terms and penalties has none.
    What is recorded is what the model's own steps compute, under their weights and masks; no loss is called
    again.

    `LossTerms.attach(model)` gives one to a compiled model; a `LossAwareModel` has one. It also keeps the
    variables behind hyper-parameters that are set while the model trains.
    """

    def __init__(self, name: str = "loss_terms") -> None:
        super().__init__(name=name)
        self.names: list[str] = []
        self.outputs: list[Output] = []
        self._penalised = False
        self._variables_of: dict[str, tuple[Setting, keras.Variable]] = {}
        self._memories: dict[str, keras.Variable] = {}
        self._restored: dict[str, Any] = {}
        self._warned: set[str] = set()
        self.hooks: dict[str, Callable[[Step], None]] = {}
        self.totals: Any = None

    @classmethod
    def attach(cls, model: keras.Model) -> LossTerms:
        """Puts the terms of a compiled model into its logs."""
        found = getattr(model, "loss_terms", None)
        if not isinstance(found, LossTerms):
            with keras_private.unlocked(model), of_replicas(model):
                found = model.loss_terms = cls()
            if not getattr(model, "records_terms", False):
                # What a subclass would override: Keras has no callback between the loss and the step.
                model.compute_loss = _recorded(model, model.compute_loss)
        found.watch(model)
        return found

    def watch(self, model: keras.Model) -> None:
        """Takes up the losses with which the model is compiled."""
        now = outputs(model)
        names = [name for output in now for name in output.terms]
        if (names, now) == (self.names, self.outputs) and self.totals is not None:
            return
        if self.totals is None or len(names) != len(self.names):
            # Samples and steps; then, times the samples: the loss, the penalties, of each term the value, and
            # of each what it adds to the loss. Since the epoch began, and of the last execution alone.
            width = FIRST_TERM + 2 * len(names)
            with of_replicas(model):
                self.totals = self.add_variable((width,), "zeros", name="totals")
                self.last = self.add_variable((width,), "zeros", name="last")
                # In how many batches of the epoch each was finite, up to the first where it was not.
                self.clean = self.add_variable((len(names) + 2,), "zeros", aggregation="mean", name="clean")
        self.names, self.outputs = names, now
        self._warned.clear()
        known = settings(model)
        self._variables_of = {
            path: (known[path], variable)
            for path, (_, variable) in self._variables_of.items()
            if path in known
        }
        # What was set, or loaded, before is no business of other losses, which begin with what they were
        # given.
        for setting, variable in self._variables_of.values():
            variable.assign(setting.value)
        self._memories, self._restored, self.hooks = {}, {}, {}
        # A step that was traced before does not record them.
        model.train_function = model.test_function = None

    # Parameters ---------------------------------------------------------------------------------------

    def control(self, model: keras.Model, owner: str, name: str) -> Control:
        """A hyper-parameter, by its name or path, behind a variable from now on."""
        found = settings(model)
        learned = [
            joined(path, each)
            for output in outputs(model)
            for path, loss in output.losses
            for each in loss._learned
        ]
        path = chosen(owner, name, found, learned)
        if path not in self._variables_of:
            setting = found[path]
            setting.check_others()
            # Not one of Keras's variables of metrics: those are reset, and replicas add theirs up.
            variable = keras.Variable(setting.value, trainable=False, name=path.replace("/", "_"))
            setattr(self, f"set_{len(self._variables_of)}", variable)
            self._variables_of[path] = (setting, variable)
            if path in self._restored:
                variable.assign(self._restored[path])
            model.train_function = model.test_function = None
        return Control(owner, path, *self._variables_of[path])

    def memory(self, name: str, initial: Any) -> keras.Variable:
        """A variable that is kept with the parameters, for who sets them."""
        if name not in self._memories:
            variable = keras.Variable(initial, trainable=False, name=name.replace("/", "_"))
            setattr(self, f"memory_{len(self._memories)}", variable)
            self._memories[name] = variable
            if name in self._restored:
                variable.assign(self._restored[name])
        return self._memories[name]

    def parameters(self) -> dict[str, float]:
        """The numbers of the losses that are set or learned, as they are now, by path."""
        found = {path: ops.convert_to_numpy(variable) for path, (_, variable) in self._variables_of.items()}
        for output in self.outputs:
            for path, loss in output.losses:
                for name in loss._learned:
                    found[joined(path, name)] = ops.convert_to_numpy(getattr(loss, name))
        scalars: dict[str, float] = {}
        for path, values in found.items():
            each = {path: values} if values.ndim == 0 else {f"{path}/{k}": x for k, x in enumerate(values)}
            scalars |= {name: float(x) for name, x in each.items()}
        return scalars

    def live(self) -> Live:
        found: Live = {}
        for setting, variable in self._variables_of.values():
            found.setdefault(setting.loss, {})[setting.name] = functools.partial(_copy, variable)
        return found

    # Recording ----------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def recording(self, step: Step) -> Iterator[Callable[[Tensor], None]]:
        """Records the losses that are called, when the model's own is given to what this yields."""
        values: list[Any] = [0.0] * len(self.names)
        weighted = list(values)
        calls: dict[CompositeLoss, list[tuple[int, float]]] = {}
        place = 0
        places: dict[int, tuple[int, float]] = {}
        for turn, output in enumerate(self.outputs):
            if isinstance(output.loss, CompositeLoss):
                places[turn] = place, output.weight
                place += len(output.loss.names)
        # Keras calls them as they are given where the outputs are a dict, else as the outputs stand.
        turns = list(places)
        if not isinstance(step.y_pred, dict):
            turns.sort(key=lambda turn: self.outputs[turn].place)
        for turn in turns:
            calls.setdefault(self.outputs[turn].loss, []).append(places[turn])

        def seen(loss: CompositeLoss, of_terms: list[Tensor], parts: list[Tensor]) -> None:
            if not calls[loss]:
                raise ValueError(
                    f"The terms of {loss.name} are asked for more outputs than are known before the model is "
                    "called. Give each output of the model its loss by name: compile(loss={...})."
                )
            first, weight = calls[loss].pop(0)
            values[first : first + len(parts)] = of_terms
            weighted[first : first + len(parts)] = [weight * part for part in parts]

        def finish(total: Tensor) -> None:
            self._penalised = bool(step.model.losses)
            penalties = sum((ops.sum(ops.cast(loss, self.dtype)) for loss in step.model.losses), 0.0)
            own = (numerics.of_all_replicas(ops.cast(x, self.dtype)) for x in (total, *values, *weighted))
            whole, *terms = own
            self._add(
                ops.stack([ops.convert_to_tensor(x, self.dtype) for x in (whole, penalties, *terms)]), step
            )

        state = getattr(step.model, "loss_state", None)
        learned = {} if state is None else state.live()
        live = self.live()
        for output in self.outputs:
            for _, loss in output.losses:
                loss._live = {**learned.get(loss, {}), **live.get(loss, {})}
        for composite in list(calls):
            composite.seen = seen
        try:
            with self.asking(step), self._keeping_losses(step.model):
                yield finish
        finally:
            for composite in calls:
                composite.seen = None
        for hook in self.hooks.values():
            hook(step)

    @contextlib.contextmanager
    def _keeping_losses(self, model: keras.Model) -> Iterator[None]:
        """What layers have added to the loss stays what it is when a loss asks the model again."""
        keep = any(loss._needs_model for output in self.outputs for _, loss in output.losses)
        with keras_private.keeping_losses(model, keep=keep):
            yield

    @contextlib.contextmanager
    def asking(self, step: Step) -> Iterator[None]:
        """Lets the losses ask what they are computed of."""
        steps: dict[Loss, list[Step]] = {}
        for output in self.outputs:
            for _, loss in output.losses:
                steps.setdefault(loss, []).append(step.at(output))
        for loss, of_outputs in steps.items():
            loss._steps = of_outputs
        try:
            yield
        finally:
            for loss in steps:
                loss._steps = ()

    def _add(self, values: Tensor, step: Step) -> None:
        size = ops.cast(ops.shape(keras.tree.flatten(step.y_pred)[0])[0], self.dtype)
        row = ops.concatenate([ops.stack([size, ops.ones_like(size)]), size * values])
        in_execution = getattr(step.model, "steps_per_execution", None) or 1
        if in_execution > 1:
            # Each replica has its own of both, which are added up when they are read.
            begins = ops.equal(ops.mod(ops.convert_to_tensor(self.totals)[1], in_execution), 0)
            self.last.assign(ops.where(begins, row, row + ops.convert_to_tensor(self.last)))
        else:
            self.last.assign(row)
        self.totals.assign_add(row)
        if step.training:
            # Each term, the penalties and the loss.
            found = ops.convert_to_tensor(self.totals)
            values = found[FIRST_TERM : FIRST_TERM + len(self.names)]
            each = ops.concatenate([values, found[3:4], found[2:3]])
            self.clean.assign_add(ops.cast(ops.isfinite(each), self.clean.dtype))

    def update_state(self, *args: Any, **kwargs: Any) -> None:
        """Does nothing: the model's steps are recorded."""

    def reset_state(self) -> None:
        for variable in () if self.totals is None else (self.totals, self.last):
            variable.assign(ops.zeros(variable.shape))

    def result(self) -> dict[str, Tensor]:
        if self.totals is None:
            return {}
        totals = ops.convert_to_tensor(self.totals)
        means = numerics.divide_no_nan(totals[2:], totals[0])
        loss, penalties, terms = means[0], means[1], len(self.names)
        rows = [(name, means[2 + k], means[2 + terms + k]) for k, name in enumerate(self.names)]
        if self._penalised:
            rows.append((REGULARIZATION, penalties, penalties))
        found: dict[str, Tensor] = {}
        for name, value, weighted in rows:
            found |= {
                name: value,
                f"{name}_weighted": weighted,
                f"{name}_share": numerics.divide_no_nan(weighted, loss),
            }
        return found

    def of_means(self, means: Sequence[float]) -> tuple[float, dict[str, float]]:
        """The loss, and the value of each term, from what is behind the samples and steps of `last`."""
        values = dict(zip(self.names, means[2 : 2 + len(self.names)], strict=True))
        return means[0], values | ({REGULARIZATION: means[1]} if self._penalised else {})

    @property
    def logged(self) -> set[str]:
        """What is in the logs by this metric."""
        names = [*self.names, *([REGULARIZATION] if self._penalised else [])]
        return {f"{name}{kind}" for name in names for kind in ("", "_weighted", "_share")}

    # What is to be warned of --------------------------------------------------------------------------

    def begin_epoch(self) -> None:
        self.clean.assign(ops.zeros(self.clean.shape))

    def end_epoch(self, epoch: int, logs: Mapping[str, Any]) -> None:
        """Warns of a term that is not a number any more, and of one beside which the others vanish."""
        rows = [*self.names, *([REGULARIZATION] if self._penalised else [])]
        if any(not math.isfinite(float(logs.get(name, 0.0))) for name in (*rows, "loss")):
            if "loss" in self._warned:
                return
            self._warned.add("loss")
            clean = dict(zip((*self.names, REGULARIZATION, "loss"), self._clean(), strict=True))
            first = min(clean.values())
            # The loss is one of several only where it is the sum of what is finite.
            broken = [name for name, batches in clean.items() if batches == first]
            names = [name for name in broken if name != "loss"] or broken
            warnings.warn(
                f"{' and '.join(names)} became infinite or NaN in batch {int(first)} of epoch {epoch} (both "
                "counted from 0).",
                stacklevel=2,
            )
        else:
            sizes = {name: abs(float(logs.get(f"{name}_weighted", 0.0))) for name in rows}
            total = sum(sizes.values())
            meant = [name for name in rows if sizes[name] > 0]  # not those of weight 0
            for name in meant:
                if len(meant) > 1 and sizes[name] > LOUD * total and name not in self._warned:
                    self._warned.add(name)
                    warnings.warn(
                        f"{name} was {sizes[name] / total:.1%} of the terms' sizes in epoch {epoch}: the "
                        "others are hardly trained on. Give it a smaller weight, or the others larger ones.",
                        stacklevel=2,
                    )

    def _clean(self) -> list[float]:
        return [float(x) for x in ops.convert_to_numpy(self.clean)]

    # Saving -------------------------------------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name}

    def save_own_variables(self, store: Any) -> None:
        for path, variable in self._kept().items():
            store[path.replace("/", "|")] = ops.convert_to_numpy(variable)

    def load_own_variables(self, store: Any) -> None:
        """What was set goes on from where it was, also where it will be set only later."""
        self._restored = {path.replace("|", "/"): store[path][()] for path in store.keys()}  # noqa: SIM118
        for path, variable in self._kept().items():
            if path in self._restored:
                variable.assign(self._restored[path])

    def _kept(self) -> dict[str, keras.Variable]:
        return {path: variable for path, (_, variable) in self._variables_of.items()} | self._memories


@dataclass(frozen=True)
class Control:
    """A handle on a number of a loss that is behind a variable."""

    owner: str
    path: str
    setting: Setting
    variable: keras.Variable

    def assign(self, value: Any) -> float:
        """Sets it in graphs, and in the loss, with which it is saved."""
        number = self.setting.checked(self.owner, value)
        self.variable.assign(number)
        self.setting.keep(number)
        return number


def _copy(variable: keras.Variable) -> Tensor:
    # PyTorch sets variables in place, also while a gradient is still to be taken of what was read.
    return ops.copy(ops.convert_to_tensor(variable))


class WatchTerms(keras.callbacks.Callback):  # type: ignore[misc]
    """Warns of terms that are not finite any more, or beside which the others vanish."""

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        self.model.loss_terms.begin_epoch()

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        self.model.loss_terms.end_epoch(epoch, logs or {})


def _recorded(model: keras.Model, compute_loss: Callable[..., Any]) -> Callable[..., Any]:
    def recorded(
        x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        with model.loss_terms.recording(Step(model, x, y, y_pred, sample_weight, training)) as finish:
            total = compute_loss(x, y, y_pred, sample_weight, training)
            finish(total)
        return total

    return recorded
