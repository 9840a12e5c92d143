"""What the event writer writes, read back with TensorBoard's own reader."""

import doctest
import importlib.util
import math
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import DATA_CLASS_SCALAR

from keras_losses.callbacks import writers
from keras_losses.callbacks.writers import EventWriter


def test_scalars_come_back(tmp_path):
    writer = EventWriter(tmp_path / "deep" / "run")
    writer.scalar("a/b", 0.25, step=3, wall_time=12.5)
    writer.scalar("a/b", np.float64(0.5), step=2**40)
    writer.scalar("c", float("nan"), step=0)
    writer.scalar("c", float("-inf"), step=1)
    writer.scalar("c", 1e300, step=2)  # beyond float32
    writer.close()
    events = EventAccumulator(str(tmp_path / "deep" / "run")).Reload()
    first, second = events.Scalars("a/b")
    assert (first.wall_time, first.step, first.value) == (12.5, 3, 0.25)
    assert (second.step, second.value) == (2**40, 0.5)
    nan, minus, plus = (event.value for event in events.Scalars("c"))
    assert math.isnan(nan)
    assert (minus, plus) == (-math.inf, math.inf)


def test_the_records_say_what_they_are(tmp_path):
    writer = EventWriter(tmp_path)
    writer.scalar("loss", 1.0, step=1)
    writer.close()
    (path,) = tmp_path.iterdir()
    assert path.name.startswith("events.out.tfevents.")
    head, scalar = (Event.FromString(record) for record in RawEventFileLoader(str(path)).Load())
    assert head.file_version == "brain.Event:2"
    (value,) = scalar.summary.value
    assert value.metadata.plugin_data.plugin_name == "scalars"
    assert value.metadata.data_class == DATA_CLASS_SCALAR


def test_flush_is_enough_and_close_may_be_repeated(tmp_path):
    writer = EventWriter(tmp_path)
    writer.scalar("loss", 1.0, step=1)
    writer.flush()
    assert len(EventAccumulator(str(tmp_path)).Reload().Scalars("loss")) == 1
    writer.close()
    writer.close()


def test_no_file_is_written_twice(tmp_path, monkeypatch):
    for numbers in ([0, 1], [0, 1, 2]):  # as another process with the same name would count
        monkeypatch.setattr(writers, "_file_numbers", iter(numbers))
        monkeypatch.setattr(writers.time, "time", lambda: 1.0)
        EventWriter(tmp_path).close()
    assert sorted(path.name.rsplit(".", 1)[1] for path in tmp_path.iterdir()) == ["0", "1"]


def test_a_file_in_the_way(tmp_path):
    (tmp_path / "run").write_text("")
    with pytest.raises(OSError):
        EventWriter(tmp_path / "run")


@pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="needs JAX")
def test_tensorflow_is_not_imported(tmp_path):
    program = (
        "import sys; from keras_losses.callbacks.writers import EventWriter;"
        f"w = EventWriter({os.fspath(tmp_path)!r}); w.scalar('loss', 1.0, 1); w.close();"
        "assert 'tensorflow' not in sys.modules"
    )
    environment = {**os.environ, "KERAS_BACKEND": "jax"}
    subprocess.run([sys.executable, "-c", program], check=True, env=environment)
    assert len(list(pathlib.Path(tmp_path).iterdir())) == 1


def test_the_example():
    assert doctest.testmod(writers).failed == 0
