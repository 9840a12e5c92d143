"""The writer of the example, against a stand-in for the service's package that keeps what it is told."""

import importlib.util
import pathlib
import sys
import types

import numpy as np
import pytest

EXAMPLE = pathlib.Path(__file__).parents[3] / "examples" / "wandb_writer.py"


class Run:
    id = "abc"

    def __init__(self, told):
        self.told = told
        self.config = types.SimpleNamespace(update=lambda values, **how: told.append(("config", values)))

    def define_metric(self, name, step_metric):
        self.told.append(("axis", step_metric))

    def log(self, values):
        self.told.append(values)

    def finish(self):
        self.told.append("finished")


@pytest.mark.skipif(not EXAMPLE.exists(), reason="the examples are in the repository")
def test_a_writer_of_ones_own(monkeypatch):
    told = []
    wandb = types.ModuleType("wandb")
    wandb.Histogram = lambda values: ("histogram", values.tolist())
    wandb.init = lambda **arguments: told.append(("init", dict(arguments))) or Run(told)
    monkeypatch.setitem(sys.modules, "wandb", wandb)
    spec = importlib.util.spec_from_file_location("wandb_writer", EXAMPLE)
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)

    writer = example.WandbWriter(project="p")
    writer.begin(0, {"gamma": 2.0})
    writer.scalar("train", "epoch/loss", 0.25, 3, 0.0)
    writer.histogram("validation", "epoch/sample_loss", np.array([1.0, 2.0]), 3, 0.0)
    writer.flush()
    writer.end({"loss": 0.25})
    writer.close()
    writer.begin(3, {"gamma": 2.0})
    begin = [("config", {"gamma": 2.0}), ("axis", "iteration")]
    assert told == [
        ("init", {"project": "p"}),
        *begin,
        {"train/epoch/loss": 0.25, "iteration": 3},
        {"validation/epoch/sample_loss": ("histogram", [1.0, 2.0]), "iteration": 3},
        "finished",
        ("init", {"project": "p", "id": "abc", "resume": "allow"}),
        *begin,
    ]
