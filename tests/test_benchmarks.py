"""The benchmarks measure every loss, refuse wrong results, and tell what has become slower."""

from __future__ import annotations

import importlib
import sys
import types
from dataclasses import replace
from typing import Any

import keras
import numpy as np
import pytest

from benchmarks import __main__ as command
from benchmarks import backends, bounds, gpu, growth, head, losses, memory, passes, plot, report, timing
from benchmarks.peers import PEERS, Peer
from benchmarks.workloads import WORKLOADS, measured
from keras_losses import HuberLoss, catalogue, config

MODE = backends.MODES[keras.backend.backend()][0]


@pytest.fixture
def shapes(monkeypatch):
    """The benchmarks' own shapes take seconds."""
    small = {name: replace(workload, large=workload.small) for name, workload in WORKLOADS.items()}
    for name in small:
        monkeypatch.setitem(WORKLOADS, name, small[name])


def row(**figures: Any) -> dict[str, Any]:
    given = {"loss": "HuberLoss", "workload": "numbers", "size": "large", "mode": "XLA", "peers": {}}
    return {**given, "seconds": [1e-3] * 3, "floors": [2.0] * 3, "crossentropy": [1.0] * 3, **figures}


# What is measured -------------------------------------------------------------------------------------


def test_every_loss_has_a_large_and_a_small_workload():
    there = {size: set() for size in ("large", "small")}
    for name, workload in WORKLOADS.items():
        for size, found in there.items():
            if getattr(workload, size):
                found |= {which.name for which in measured(name)}
    assert there == {"large": set(catalogue.losses()), "small": set(catalogue.losses())}


def test_every_peer_is_beside_a_loss_that_is_measured_there():
    for label, found in PEERS.items():
        for workload in found:
            assert label in {which.label for which in measured(workload)}


@pytest.mark.parametrize("name", catalogue.losses())
def test_a_loss_is_made_for_the_shape_that_it_is_measured_on(name):
    for key, workload in WORKLOADS.items():
        for which in measured(key, (name,)):
            assert type(which.build(workload, workload.small or (2, 2, 2, 21))).__name__ == name


def test_every_family_grows():
    families = {catalogue.card(loss).family for loss in catalogue.losses().values()}
    assert {family for family, _, _ in growth.representatives()} == families


@pytest.mark.parametrize("section", command.SECTIONS)
def test_a_section_has_all_that_the_command_asks_for(section):
    module = importlib.import_module(f"benchmarks.{section}")
    assert set(module.BACKENDS) <= set(command.BACKENDS)
    assert module.TITLE
    for function in (module.measure, module.figures, module.markdown):
        assert callable(function)


# Correct first ----------------------------------------------------------------------------------------


def test_what_is_measured_agrees_with_the_reference_and_with_its_peers(shapes):
    group = losses.Group("numbers", "large", MODE, ("HuberLoss",))
    assert group.errors == []
    assert "Keras" in group.entries["HuberLoss"]
    assert {losses.FLOOR, losses.OURS, losses.KERAS, "HuberLoss", "HuberLoss: Keras"} <= group.calls.keys()


def test_a_peer_that_computes_something_else_is_an_error(shapes, monkeypatch):
    other = Peer("other", lambda: keras.losses.Huber(delta=2.0))
    monkeypatch.setitem(PEERS, "HuberLoss", {"numbers": (other,)})
    group = losses.Group("numbers", "large", MODE, ("HuberLoss", "LogCoshLoss"))
    (error,) = group.errors
    assert error.startswith("HuberLoss: other, numbers, large, ")
    assert "of other is" in error
    assert group.entries["HuberLoss"] == {}
    assert "HuberLoss" in group.calls
    assert "HuberLoss: other" not in group.calls


def test_a_loss_that_is_wrong_is_not_measured(shapes, monkeypatch):
    monkeypatch.setattr(HuberLoss, "elementwise", lambda self, y, f: (y - f) ** 4)
    group = losses.Group("numbers", "large", MODE, ("HuberLoss", "LogCoshLoss"))
    (error,) = group.errors
    assert error.startswith("HuberLoss, numbers, large, ")
    assert "ArithmeticError" in error
    assert list(group.entries) == ["LogCoshLoss"]
    assert not [name for name in group.calls if name.startswith("HuberLoss")]


@pytest.mark.parametrize(("scale", "shift", "what"), [(1.01, 0.0, "gradient"), (1.0, 0.01, "value")])
def test_a_gradient_or_a_value_that_is_off_is_an_error(scale, shift, what):
    y, x = np.zeros((2, 1), "float32"), np.array([[0.5], [3.0]], "float32")
    gradient = np.array([[0.25], [0.5]])  # r / 2 and 1 / 2
    value = (0.125 + 2.5) / 2  # r^2 / 2 and |r| - 1 / 2
    losses._check(HuberLoss(), y, x, value, gradient)
    with pytest.raises(ArithmeticError, match=what):
        losses._check(HuberLoss(), y, x, value + shift, scale * gradient)


def test_the_section_measures_and_writes_what_it_found(shapes):
    try:
        found = losses.measure(timing.Settings(rounds=2, losses=("LogCoshLoss",)))
    finally:
        config.validate_values(True)
    assert found["errors"] == []
    assert {each["size"] for each in found["rows"]} == {"large", "small"}
    text = "\n".join(losses.markdown({keras.backend.backend(): found}))
    assert "| `LogCoshLoss` |" in text
    assert "| without a counterpart" not in text


def test_a_gpu_is_measured_against_a_copy(shapes, monkeypatch):
    monkeypatch.setattr(gpu, "ON", ("numbers",))
    try:
        rows = gpu.bandwidths(timing.Settings(rounds=2))
    finally:
        config.validate_values(True)
    assert {row["loss"] for row in rows} == {losses.FLOOR, "SquaredErrorLoss"}
    found = {"jax": {"device": "a GPU", "rows": rows}, "torch": {"device": "", "rows": []}}
    text = "\n".join(gpu.markdown({**found, "jax": {**found["jax"], "rows": []}}))
    assert "No GPU that PyTorch could use" in text
    assert "| device |" in text


def test_the_head_becomes_a_section(monkeypatch):
    module = types.SimpleNamespace(
        measure=lambda *sizes, rounds: {
            "all_seconds": {"whole": [2.0, 2.0], "chunks": [1.0, 1.0]},
            "memory_mb": {"whole": 800.0, "chunks": 80.0},
            "largest_difference": 1e-6,
        }
    )
    monkeypatch.setitem(sys.modules, "benchmarks.vocabulary", module)
    found = command.json.loads(command.json.dumps(head.measure(timing.Settings())))
    assert head.figures(found) == {
        "time over whole logits": [0.5] * 3,
        "memory over whole logits": [0.1] * 3,
    }
    text = "\n".join(head.markdown({"jax": found}))
    assert (
        "4,096 x 512 x 131,072 | chunks | 1.00 (1.00 to 1.00) | 80.0 | 0.50 (0.50 to 0.50) | 0.10 |" in text
    )


HLO = """HloModule small

%fused (p: f32[4,3]) -> f32[4,3] {
  %p = f32[4,3]{1,0} parameter(0)
  ROOT %e = f32[4,3]{1,0} exponential(%p)
}

ENTRY %main (x: f32[4,3]) -> (f32[], f32[4,3]) {
  %x = f32[4,3]{1,0} parameter(0)
  %zero = f32[] constant(0)
  %loop = f32[4,3]{1,0} fusion(%x), kind=kLoop, calls=%fused
  %sum = f32[] reduce(%loop, %zero), dimensions={0,1}, to_apply=%add
  %twice = f32[] add(%sum, %sum)
  ROOT %both = (f32[], f32[4,3]{1,0}) tuple(%twice, %loop)
}
"""


def test_the_passes_of_a_module_are_its_steps_over_arrays():
    """The loop and the sum of it, of which the loop has an exponential; of 13 numbers there is none."""
    assert passes.of_hlo(HLO, 12) == (2, 1)
    assert passes.of_hlo(HLO, 13) == (0, 0)


@pytest.mark.parametrize("mode", backends.MODES[keras.backend.backend()])
def test_a_pass_and_an_exponential_are_seen(mode):
    x = np.ones((64, 8), "float32")
    times, heavy = passes.counted(lambda y, x: keras.ops.sum(y * x), x, x, mode)
    assert times >= 1
    assert heavy == 0
    assert passes.counted(lambda y, x: keras.ops.sum(y * keras.ops.exp(x)), x, x, mode)[1] in (1, 2)


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


@pytest.mark.parametrize(("power", "wanted"), [(1, 1.0), (2, 2.0), (0, 0.0)])
def test_the_exponent_of_a_power_is_found(power, wanted):
    assert growth.exponent([3.0 * times**power for times in growth.TIMES]) == pytest.approx(wanted, abs=1e-9)


# Bounds and comparisons -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "wanted"),
    [([0.8, 1.0, 1.3], "held"), ([0.9, 1.1, 1.2], "within the spread"), ([1.05, 1.1, 1.2], "missed")],
)
def test_a_bound_is_held_by_the_median_and_missed_beyond_the_quartiles(values, wanted):
    assert bounds.state(values, 1.0) == wanted


def test_a_bound_is_about_the_rows_that_it_names():
    found = row(loss="FocalLoss", workload="sparse", floors=[1.8, 2.0, 2.2])
    about = {bound.at_most for bound in bounds.BOUNDS if list(bounds.figures(found, bound))}
    assert about == {1.9, 1.3}  # times the floor with XLA, and over our cross-entropy without a counterpart
    found["peers"] = {"Keras": [0.9, 1.0, 1.1]}
    assert {b.at_most for b in bounds.BOUNDS if list(bounds.figures(found, b))} == {1.9, 1.0}


def test_a_loss_whose_card_says_what_costs_more_is_not_held_to_our_cross_entropy():
    assert catalogue.card(catalogue.losses()["TweedieLoss"]).cost
    assert not catalogue.card(catalogue.losses()["QuantileLoss"]).cost
    for name, held in (("TweedieLoss", False), ("QuantileLoss", True)):
        about = {bound.figure for bound in bounds.BOUNDS if list(bounds.figures(row(loss=name), bound))}
        assert about == ({"crossentropy"} if held else set())


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
        {"machine": {}, "sections": {"losses": {"tensorflow": {"rows": [row(floors=floors)]}}}}
        for floors in (before, now)
    ]
    assert command.compare(*runs) is slower
    assert ("HuberLoss, numbers, large, XLA" in capsys.readouterr().err) is slower


def test_a_run_is_read_as_it_was_saved(tmp_path):
    run = {"machine": {"cores": 2}, "sections": {"losses": {"jax": {"rows": [row(), row()], "errors": []}}}}
    command.save(run, tmp_path / "run.json")
    assert command.json.loads((tmp_path / "run.json").read_text()) == run


def test_what_is_measured_again_takes_the_place_of_what_is_known():
    known = {"rows": [row(), row(loss="KLDivergenceLoss"), row(size="small")], "errors": []}
    again, new = row(seconds=[1.0, 2.0, 3.0]), row(loss="LogCoshLoss")
    assert command.renewed(known, {"rows": [again, new], "errors": []}) == {
        "rows": [again, known["rows"][1], known["rows"][2], new],
        "errors": [],
    }


def test_losses_that_are_named_are_measured_again_and_nothing_else(monkeypatch):
    asked, again, step = [], row(seconds=[1.0, 2.0, 3.0]), {"way": "ours", "over": [1.0] * 3}

    def measured(section, backend, _):
        asked.append((section, backend))
        return {"rows": [again]}

    monkeypatch.setattr(command, "in_a_process", measured)
    before = {"losses": {"jax": {"rows": [row()]}}, "training": {"jax": {"rows": [step]}}}
    run = {"command": "python -m benchmarks --write", "sections": before}
    told = "--losses HuberLoss --sections losses training"
    arguments = command.parser().parse_args([*told.split(), "--read", "run.json", "--backends", "jax"])
    for _ in range(2):
        assert command.measure(run, arguments) is False
    assert asked == [("losses", "jax")] * 2
    assert run["sections"] == {"losses": {"jax": {"rows": [again]}}, "training": {"jax": {"rows": [step]}}}
    first, second = run["command"].splitlines()
    assert first == "python -m benchmarks --write"
    assert second.endswith("--losses HuberLoss --read benchmarks/reference.json --write")


def test_the_picture_shows_losses_that_have_counterparts(tmp_path):
    alone, both = row(), row(peers={"Keras": [0.5] * 3})
    assert plot.draw({"tensorflow": {"rows": [alone]}}, tmp_path / "none.png") is False
    assert plot.draw({"tensorflow": {"rows": [alone, both]}}, tmp_path / "some.png") is True
    assert (tmp_path / "some.png").stat().st_size > 1000


# What the document says -------------------------------------------------------------------------------


def test_a_reason_is_for_the_rows_that_it_names(monkeypatch):
    reason = bounds.Reason("Threads.", ("peers",), {"size": ("small",), "loss": ("HuberLoss",)})
    monkeypatch.setattr(bounds, "REASONS", (reason,))
    slow = row(peers={"Keras": [1.4, 1.5, 1.6]}, backend="tensorflow")
    found = list(report.missed([slow, slow | {"size": "small"}], bounds.BOUNDS))
    assert found == [
        "- Not found out.",
        "    - TensorFlow, XLA: `HuberLoss` (numbers) Keras 1.50.",
        "- Threads.",
        "    - TensorFlow, XLA: `HuberLoss` (numbers small) Keras 1.50.",
    ]


@pytest.mark.parametrize("section", [losses, memory])
def test_of_what_is_missed_the_document_says_why(section):
    found = command.json.loads(command.REFERENCE.read_text())["sections"][section.__name__.split(".")[1]]
    assert "Not found out" not in "\n".join(section.markdown(found))
