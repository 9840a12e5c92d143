"""Numbers of losses that callbacks set while a model trains. Each is read from a variable that is saved."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Any

import keras
from keras import ops

from keras_losses.core import Loss, Parameter, context
from keras_losses.core.context import Context
from keras_losses.numerics import Tensor
from keras_losses.training.outputs import Output, compiled_outputs, joined

WEIGHTS = "weights/"
"""The prefix of the names of weights, such as `weights/dice_loss`, among the numbers of a loss."""

_ANY_WEIGHT = Parameter(within="(-inf, inf)")
"""The declaration of the weight of a term."""

ReadersByLoss = dict[Loss, dict[str, Callable[[], Any]]]
"""For each loss, functions that return the current tensors of hyper-parameters, by name."""


@dataclass(frozen=True)
class Setting:
    """A number of a loss that a callback may set while a model trains."""

    loss: Loss
    name: str

    @property
    def value(self) -> float:
        """The number that the loss keeps and saves."""
        if self.name.startswith(WEIGHTS):
            return float(self.loss.weights[self.name.removeprefix(WEIGHTS)])  # type: ignore[attr-defined]
        return float(self.loss._stated(self.name))

    def checked(self, value: Any) -> float:
        """Return a value as a number; raise `TypeError` or `ValueError` if the loss does not take it."""
        declared = self.loss.hyperparameters.get(self.name, _ANY_WEIGHT)
        number = float(declared.check(type(self.loss).__name__, self.name, value))
        self._make_with(number)
        return number

    def check_others(self) -> None:
        """Raise `ValueError` if the loss, with its other arguments, takes no other number."""
        declared = self.loss.hyperparameters.get(self.name)
        refused = None
        for number in declared.interval.inside() if declared and declared.interval else ():
            try:
                if number != self.value:
                    self._make_with(number)
                    return
            except ValueError as error:
                refused = error
        if refused is not None:
            raise refused

    def _make_with(self, number: float) -> None:
        # The constructor of a loss checks its numbers against each other.
        if self.name in self.loss.hyperparameters and type(self.loss).validate is not Loss.validate:
            type(self.loss).from_config({**self.loss.get_config(), self.name: number})

    def keep(self, value: float) -> None:
        """Set the number that the loss keeps and saves."""
        if self.name.startswith(WEIGHTS):
            self.loss.weights[self.name.removeprefix(WEIGHTS)] = value  # type: ignore[attr-defined]
        else:
            setattr(self.loss, self.name, value)


@dataclass(frozen=True)
class Control:
    """A handle with which a callback sets one number of a loss."""

    path: str
    setting: Setting
    variable: keras.Variable

    def assign(self, value: Any) -> float:
        """Set the number in compiled steps and in the loss; return it."""
        number = self.setting.checked(value)
        self.variable.assign(number)
        self.setting.keep(number)
        return number


def settable_numbers(model: keras.Model) -> dict[str, Setting]:
    """Return the numbers of a compiled model's losses that callbacks may set, by path."""
    found: dict[str, Setting] = {}
    for output in compiled_outputs(model):
        for path, loss in output.losses:
            for name, declared in loss.hyperparameters.items():
                if declared.live and isinstance(loss._stated(name), float):
                    found.setdefault(joined(path, name), Setting(loss, name))
            # The weights of a RegularizedLoss are hyper-parameters, which the loop above has.
            for name in loss.weights if "weights" in loss.hyperparameters else ():
                found[joined(path, WEIGHTS + name)] = Setting(loss, WEIGHTS + name)
    # A number of a loss that several outputs share is listed once, under its first path.
    first = {setting: path for path, setting in reversed(found.items())}
    return {path: setting for path, setting in found.items() if first[setting] == path}


def matching_path(
    owner: str,
    name: str,
    paths: Iterable[str],
    learned: Iterable[str] = (),
    fixed: Collection[str] = (),
) -> str:
    """Return the path that equals `name` or ends with it; raise `ValueError` if none or several do.

    Args:
        owner: the callback, for the error message.
        name: a path or the end of one.
        paths: the paths of numbers that can be set.
        learned: the paths of learned numbers, which cannot be set.
        fixed: the names of hyper-parameters that cannot change while a model trains.
    """
    paths = list(paths)
    matches = [path for path in paths if path == name] or [p for p in paths if p.endswith(f"/{name}")]
    if len(matches) == 1:
        return matches[0]
    reason = "names several of them" if matches else "names none of them"
    if not matches and name.rpartition("/")[2] in fixed:
        reason = "is a hyper-parameter that cannot change while a model trains"
    if any(path == name or path.endswith(f"/{name}") for path in learned):
        reason = "is learned. Give the loss a number in place of Learned"
    raise ValueError(
        f"`{owner}`: `name` must be one of the numbers of this model's loss that can be set: "
        f"{', '.join(matches or paths) or 'there are none'}. Received: {name!r}, which {reason}."
    )


class Settings:
    """The numbers that callbacks set in a model, and the arrays that callbacks keep with the model.

    Args:
        track: makes a variable part of the model, given a unique name and the variable.
    """

    def __init__(self, track: Callable[[str, keras.Variable], None]) -> None:
        self._track = track
        self._outputs: list[Output] = []
        self._learned: ReadersByLoss = {}
        self._numbers: dict[str, tuple[Setting, keras.Variable]] = {}
        self._memories: dict[str, keras.Variable] = {}
        self._loaded: dict[str, Any] = {}

    def compiled(self, model: keras.Model) -> None:
        """Follow the losses with which a model was compiled again.

        Values that were set or loaded for other losses are dropped. New losses begin with their own numbers.
        """
        state = getattr(model, "loss_state", None)
        self._learned = {} if state is None else state.readers()
        self._outputs = compiled_outputs(model)
        known = settable_numbers(model)
        before, self._numbers = self._numbers, {}
        for setting, _ in before.values():
            setting.loss._follow(setting.name, None)
        for path, (_, variable) in before.items():
            if path in known:
                self._put_behind(variable, path, known[path])
                variable.assign(known[path].value)
        self._memories, self._loaded = {}, {}

    def control(self, model: keras.Model, owner: str, name: str) -> Control:
        """Return the handle of a number. From now on, steps read the number from a variable.

        Args:
            model: the model, which is compiled.
            owner: the callback, for error messages.
            name: the name or path of the number.
        """
        known = settable_numbers(model)
        losses = [item for output in compiled_outputs(model) for item in output.losses]
        learned = [joined(path, each) for path, loss in losses for each in loss._learned]
        fixed = {each for _, loss in losses for each, p in loss.hyperparameters.items() if not p.live}
        path = matching_path(owner, name, known, learned, fixed)
        if path not in self._numbers:
            setting = known[path]
            setting.check_others()
            # Keras resets the variables of `Metric.add_variable`, and adds up their replicas.
            variable = keras.Variable(setting.value, trainable=False, name=path.replace("/", "_"))
            self._track(f"set_{len(self._numbers)}", variable)
            self._put_behind(variable, path, setting)
            if path in self._loaded:
                variable.assign(self._loaded[path])
            model.train_function = model.test_function = None
        return Control(path, *self._numbers[path])

    def _put_behind(self, variable: keras.Variable, path: str, setting: Setting) -> None:
        self._numbers[path] = (setting, variable)
        setting.loss._follow(setting.name, functools.partial(_copy, variable))

    def memory(self, name: str, initial: Any) -> keras.Variable:
        """Return a variable for an array that a callback saves with the model."""
        if name not in self._memories:
            variable = keras.Variable(initial, trainable=False, name=name.replace("/", "_"))
            self._track(f"memory_{len(self._memories)}", variable)
            self._memories[name] = variable
            if name in self._loaded:
                variable.assign(self._loaded[name])
        return self._memories[name]

    def readers(self) -> ReadersByLoss:
        """Return functions that read the numbers that are set or learned, for each loss of the model."""
        losses = [loss for output in self._outputs for _, loss in output.losses]
        found = {loss: dict(self._learned.get(loss, {})) for loss in losses}
        for setting, variable in self._numbers.values():
            found[setting.loss][setting.name] = functools.partial(_copy, variable)
        return found

    def current(self) -> dict[str, float]:
        """Return the current values of the numbers that are set or learned, by path."""
        found = {path: ops.convert_to_numpy(variable) for path, (_, variable) in self._numbers.items()}
        with context.computing(Context(self.readers())):
            for output in self._outputs:
                for path, loss in output.losses:
                    for name in loss._learned:
                        found[joined(path, name)] = ops.convert_to_numpy(getattr(loss, name))
        scalars: dict[str, float] = {}
        for path, values in found.items():
            each = {path: values} if values.ndim == 0 else {f"{path}/{k}": x for k, x in enumerate(values)}
            scalars |= {name: float(x) for name, x in each.items()}
        return scalars

    def save(self, store: Any) -> None:
        """Write all variables into the store of a saved model."""
        for path, variable in self._saved().items():
            store[path.replace("/", "|")] = ops.convert_to_numpy(variable)

    def load(self, store: Any) -> None:
        """Read the store of a saved model. A number that is set only later begins with the value in it."""
        self._loaded = {path.replace("|", "/"): store[path][()] for path in store.keys()}  # noqa: SIM118
        for path, variable in self._saved().items():
            if path in self._loaded:
                variable.assign(self._loaded[path])

    def _saved(self) -> dict[str, keras.Variable]:
        return {path: variable for path, (_, variable) in self._numbers.items()} | self._memories


def _copy(variable: keras.Variable) -> Tensor:
    # PyTorch sets variables in place, also while a gradient is still to be taken of what was read.
    return ops.copy(ops.convert_to_tensor(variable))
