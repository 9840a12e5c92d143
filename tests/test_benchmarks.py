"""The benchmarks measure every loss, refuse wrong results, and tell what has become slower."""

from __future__ import annotations

import importlib
import json
from dataclasses import replace
from typing import Any

import keras
import numpy as np
import pytest

from benchmarks import __main__ as command
from benchmarks import backends, losses, memory, report, steps, timing, vocabulary
from benchmarks.peers import PEERS, Peer
from benchmarks.workloads import WORKLOADS, measured
from keras_losses import HuberLoss, config
from keras_losses.tools import catalogue
from tests.oracles import REGISTRY

BACKEND = keras.backend.backend()
MODE = backends.MODES[BACKEND][-1]
"""On TensorFlow graphs: XLA takes a second for each function, and is measured in the same way."""
ONCE = timing.Settings(rounds=2, losses=("LogCoshLoss",))  # quartiles need two rounds


@pytest.fixture
def tiny(monkeypatch):
    """One workload, of some numbers, in both sizes and one mode; each call is made once in a round."""
    sizes = {"large": (8, 2), "small": (4, 2)}
    numbers, binary = (replace(WORKLOADS[name], **sizes) for name in ("numbers", "binary"))
    every = dict(WORKLOADS)
    WORKLOADS.clear()
    WORKLOADS.update(numbers=numbers, binary=binary)
    monkeypatch.setitem(backends.MODES, BACKEND, (MODE,))
    monkeypatch.setattr(timing, "AT_LEAST", 0.0)
    yield
    config.validate_values(True)
    WORKLOADS.clear()
    WORKLOADS.update(every)  # in their order, which is that of the page


def row(**figures: Any) -> dict[str, Any]:
    given = {"loss": "HuberLoss", "workload": "numbers", "size": "large", "mode": "XLA", "peers": {}}
    return {**given, "seconds": [1e-3] * 3, "floors": [2.0] * 3, "crossentropy": [1.0] * 3, **figures}


# What is measured -------------------------------------------------------------------------------------


def test_every_loss_has_a_large_and_a_small_workload():
    there: dict[str, set[str]] = {"large": set(), "small": set()}
    for name, workload in WORKLOADS.items():
        for size, found in there.items():
            if getattr(workload, size):
                found |= {which.name for which in measured(name)}
    assert there == {"large": set(catalogue.losses()), "small": set(catalogue.losses())}


def test_every_peer_is_beside_a_loss_that_is_measured_there():
    for label, found in PEERS.items():
        for workload in found:
            assert label in {which.label for which in measured(workload)}


@pytest.mark.parametrize("name", WORKLOADS)
def test_data_and_losses_of_a_workload_fit_each_other(name):
    """The references give a value for each sample of small data: labels, predictions and options fit."""
    shape = (4, *WORKLOADS[name].small[1:]) if WORKLOADS[name].small else (1, 2, 2, 21)
    labels, predictions, options = WORKLOADS[name].data(shape)
    assert predictions.shape == shape
    for which in measured(name):
        loss = which.build(shape[-1], options)
        assert type(loss).__name__ == which.name
        if which.name not in ("RegularizedLoss", "CompositeLoss", "UncertaintyWeightedLoss"):
            assert np.isfinite(losses.expected(loss, labels, predictions)).all(), which.name
        assert REGISTRY[which.name].takes


@pytest.mark.parametrize("section", command.SECTIONS)
def test_a_section_has_all_that_the_command_asks_for(section):
    module = importlib.import_module(f"benchmarks.{section}")
    assert set(module.BACKENDS) <= set(command.BACKENDS)
    assert module.TITLE
    for function in (module.measure, module.figures, module.markdown):
        assert callable(function)


# Correct first ----------------------------------------------------------------------------------------


def test_what_is_right_is_measured_and_what_is_wrong_is_told(tiny, monkeypatch):
    """A loss beside Keras's and beside a peer that computes something else, and a loss that is wrong."""
    monkeypatch.setattr(HuberLoss, "elementwise", lambda self, y, f: (y - f) ** 4)
    other = Peer("other", lambda: keras.losses.Huber(delta=0.1))
    monkeypatch.setitem(PEERS, "LogCoshLoss", {"numbers": (*PEERS["LogCoshLoss"]["numbers"], other)})
    group = losses.Group("numbers", "large", MODE, ("HuberLoss", "LogCoshLoss"))
    errors = sorted(group.errors)
    assert len(errors) == 2
    assert errors[0].startswith("HuberLoss, numbers, large, ")
    assert "ArithmeticError: value is" in errors[0]
    assert errors[1].startswith("LogCoshLoss: other, numbers, large, ")
    assert "of other is" in errors[1]
    assert list(group.entries) == ["LogCoshLoss"]
    assert group.entries["LogCoshLoss"]["Keras"] == "LogCoshLoss: Keras"
    assert {
        losses.FLOOR,
        losses.OURS,
        losses.KERAS,
        "LogCoshLoss",
        "LogCoshLoss: Keras",
    } <= group.calls.keys()
    assert not {"HuberLoss", "LogCoshLoss: other"} & group.calls.keys()


@pytest.mark.parametrize(("scale", "shift", "what"), [(1.01, 0.0, "gradient"), (1.0, 0.01, "value")])
def test_a_gradient_or_a_value_that_is_off_is_an_error(scale, shift, what):
    y, x = np.zeros((2, 1), "float32"), np.array([[0.5], [3.0]], "float32")
    gradient = np.array([[0.25], [0.5]])  # r / 2 and 1 / 2
    value = (0.125 + 2.5) / 2  # r^2 / 2 and |r| - 1 / 2
    losses._check(HuberLoss(), y, x, value, gradient)
    with pytest.raises(ArithmeticError, match=what):
        losses._check(HuberLoss(), y, x, value + shift, scale * gradient)


# The sections, on tiny arrays -------------------------------------------------------------------------


def test_losses_and_their_memory_are_measured_and_written(tiny, monkeypatch):
    found = losses.measure(ONCE)
    assert found["errors"] == []
    assert {each["size"] for each in found["rows"]} == {"large", "small"}
    assert found["rows"][0]["peers"]["Keras"][1] > 0
    assert losses.figures(found).keys() == {
        f"LogCoshLoss, numbers, {size}, {MODE}" for size in ("large", "small")
    }
    assert "| `LogCoshLoss` |" in "\n".join(losses.markdown({BACKEND: found}))
    monkeypatch.setattr(timing, "peak", lambda call: 64)
    found = memory.measure(ONCE)
    assert found["rows"] == [
        {"loss": "LogCoshLoss", "workload": "numbers", "mode": MODE, "memory": 1.0, "memory of Keras": 1.0}
    ]
    assert "| `LogCoshLoss` | Real numbers | 1.00 (1.00) |" in "\n".join(memory.markdown({BACKEND: found}))


def test_steps_are_measured_and_written(monkeypatch):
    def network() -> keras.Model:
        return keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])

    def batches() -> steps.Batches:
        return steps.Batches(np.ones((2, 2), "float32"), np.array([0, 1]), 1)

    monkeypatch.setattr(steps, "TRAININGS", {"a layer": (network, batches, steps.CROSSENTROPY)})
    found = steps.measure(ONCE)
    assert [each["way"] for each in found["rows"]] == ["Keras", "ours"]
    assert steps.figures(found).keys() == {"a layer"}
    assert "| a layer | ours |" in "\n".join(steps.markdown({BACKEND: found}))


@pytest.mark.skipif(BACKEND not in vocabulary.BACKENDS, reason="the head is measured where it is compiled")
def test_the_head_of_a_language_model_is_measured_and_written(monkeypatch):
    monkeypatch.setitem(backends.MODES, BACKEND, (MODE,))
    monkeypatch.setattr(vocabulary, "SIZES", (4, 2, 8))
    monkeypatch.setattr(
        vocabulary, "in_a_fresh_process", lambda way, sizes: {vocabulary.WHOLE: 8.0}.get(way, 2.0)
    )
    monkeypatch.setattr(timing, "AT_LEAST", 0.0)
    found = json.loads(json.dumps(vocabulary.measure(timing.Settings(rounds=3))))
    assert found["difference"] < 1e-6
    assert vocabulary.figures(found)["memory over whole logits"] == [0.25] * 3
    text = "\n".join(vocabulary.markdown({BACKEND: found}))
    assert "| 4 x 2 x 8 | VocabularyCrossentropy |" in text
    assert "| 2.00 |" in text


def test_every_committed_figure_can_be_written_again():
    """If not: python -m benchmarks --read docs/performance.json --write"""
    run = json.loads(command.REFERENCE.read_text(encoding="utf-8"))
    text = "\n".join(map(command.wrapped, command.document(run))) + "\n"
    assert command.DOCUMENT.read_text(encoding="utf-8") == text


# Times ------------------------------------------------------------------------------------------------


def test_a_round_makes_every_call_and_they_take_turns():
    made = []
    calls = {name: lambda name=name: made.append(name) for name in "abc"}
    times = timing.interleaved(calls, rounds=4)
    assert {name: len(each) for name, each in times.items()} == {"a": 4, "b": 4, "c": 4}
    in_a_row = [name for name, after in zip(made, [*made[1:], ""], strict=True) if name != after]
    assert sorted(in_a_row[-3:]) == ["a", "b", "c"]


def test_a_ratio_is_that_of_the_rounds():
    # The machine slowed down tenfold in the last two rounds, for both.
    assert timing.ratio([2.0, 2.0, 20.0, 20.0], [1.0, 1.0, 10.0, 10.0]) == [2.0, 2.0, 2.0]


def test_the_peak_of_a_call_is_what_it_holds():
    peak = timing.peak(lambda: np.ones(50_000_000, "uint8"))
    if peak is None:
        pytest.skip("the system does not tell")
    assert 49_000_000 < peak < 55_000_000


# Comparisons ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ratio", "wanted"), [([0.8, 1.0, 1.3], "1"), ([0.9, 1.1, 1.2], "*1*"), ([1.05, 1.1, 1.2], "**1**")]
)
def test_a_ratio_above_1_is_bold_and_one_whose_quartiles_reach_1_italic(ratio, wanted):
    assert report.marked("1", ratio) == wanted


@pytest.mark.parametrize(
    ("before", "now", "slower"),
    [
        ([1.9, 2.0, 2.1], [2.5, 2.6, 2.7], True),
        ([1.9, 2.0, 2.1], [2.2, 2.25, 2.3], False),  # by 12.5%
        ([1.0, 2.0, 3.0], [2.5, 2.6, 2.7], False),  # the quartiles meet
    ],
)
def test_slower_is_beyond_the_bound_and_beyond_the_noise(before, now, slower, capsys):
    runs = [
        {"commands": [], "sections": {"losses": {"tensorflow": {"rows": [row(floors=floors)]}}}}
        for floors in (before, now)
    ]
    assert command.compare(*runs) is slower
    assert ("HuberLoss, numbers, large, XLA" in capsys.readouterr().err) is slower


def test_a_run_is_read_as_it_was_saved(tmp_path):
    commands = [{"command": "python -m benchmarks --write", "machine": {"cores": 2}}]
    run = {"commands": commands, "sections": {"losses": {"jax": {"rows": [row(), row()], "errors": []}}}}
    command.save(run, tmp_path / "run.json")
    assert json.loads((tmp_path / "run.json").read_text()) == run


def test_what_is_measured_again_takes_the_place_of_what_is_known():
    known = {"rows": [row(), row(loss="KLDivergenceLoss"), row(size="small")], "errors": []}
    again, new = row(seconds=[1.0, 2.0, 3.0]), row(loss="LogCoshLoss")
    assert command.renewed(known, {"rows": [again, new], "errors": []}) == {
        "rows": [again, known["rows"][1], known["rows"][2], new],
        "errors": [],
    }


def test_losses_that_are_named_are_measured_again_and_nothing_else(monkeypatch):
    asked, again, step = [], row(seconds=[1.0, 2.0, 3.0]), {"way": "ours", "over": [1.0] * 3}

    def in_a_process(section, backend, _):
        asked.append((section, backend))
        return {"rows": [again]}

    monkeypatch.setattr(command, "in_a_process", in_a_process)
    before = {"losses": {"jax": {"rows": [row()]}}, "steps": {"jax": {"rows": [step]}}}
    other = {
        "command": "python -m benchmarks --write",
        "machine": {**report.machine(), "processor": "another"},
    }
    run = {"commands": [other], "sections": before}
    told = "--losses HuberLoss --sections losses steps"
    arguments = command.parser().parse_args([*told.split(), "--read", "run.json", "--backends", "jax"])
    for _ in range(2):
        assert command.measure(run, arguments) is False
    assert asked == [("losses", "jax")] * 2
    assert run["sections"] == {"losses": {"jax": {"rows": [again]}}, "steps": {"jax": {"rows": [step]}}}
    first, second = run["commands"]
    assert first is other
    assert second["command"].endswith("--losses HuberLoss --read docs/performance.json --write")
    text = list(command.document({**run, "sections": {}}))
    assert "cores of another, " in text[text.index(first["command"]) + 3]
    assert text.index(second["command"]) > text.index(first["command"]) + 3
    assert "by its ratios" in text[-1]
