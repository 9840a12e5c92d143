"""What the event writer writes, read back with TensorBoard's own reader."""

import doctest
import importlib.util
import math
import os
import socket
import subprocess
import sys

import numpy as np
import pytest
from tensorboard.backend.event_processing import plugin_event_accumulator
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import DATA_CLASS_SCALAR
from tensorboard.util.tensor_util import make_ndarray

from keras_losses.callbacks.writers import event_file
from keras_losses.callbacks.writers.event_file import EventWriter


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
    made = tmp_path / f"events.out.tfevents.0000000001.{socket.gethostname()}.{os.getpid()}.0"
    monkeypatch.setattr(event_file, "_file_numbers", iter([0, 1]))  # as another process with the same name
    monkeypatch.setattr(event_file.time, "time", lambda: 1.0)
    monkeypatch.setattr(
        event_file.os, "listdir", lambda path: []
    )  # which makes its file just after we looked
    made.write_bytes(b"theirs")
    EventWriter(tmp_path).close()
    assert made.read_bytes() == b"theirs"
    assert made.with_suffix(".1").exists()


def test_a_later_file_is_read_later(tmp_path, monkeypatch):
    # By name: "9" stands after "10", and a clock may go back.
    for step, (number, now) in enumerate([(9, 2.0), (10, 2.0), (11, 1.0)]):
        monkeypatch.setattr(event_file, "_file_numbers", iter([number]))
        monkeypatch.setattr(event_file.time, "time", lambda now=now: now)
        writer = EventWriter(tmp_path)
        writer.scalar("loss", 1.0, step)
        writer.close()
    events = EventAccumulator(str(tmp_path)).Reload().Scalars("loss")
    assert [event.step for event in events] == [0, 1, 2]


def test_a_tag_is_described_once_in_each_file(tmp_path):
    for _ in range(2):
        writer = EventWriter(tmp_path)
        for step in range(2):
            writer.scalar("loss", 1.0, step)
        writer.close()
    for path in tmp_path.iterdir():
        events = [Event.FromString(record) for record in RawEventFileLoader(str(path)).Load()]
        assert [value.HasField("metadata") for e in events for value in e.summary.value] == [True, False]


def test_an_open_tensorboard_forgets(tmp_path):
    first = EventWriter(tmp_path)
    for step in (1, 2, 3):
        first.scalar("loss", 1.0, step)
    first.close()
    reader = plugin_event_accumulator.EventAccumulator(str(tmp_path)).Reload()  # the one of its server
    second = EventWriter(tmp_path)
    second.restart(2)
    second.scalar("loss", 0.5, 2)
    second.close()
    points = reader.Reload().Tensors("loss")
    assert [(point.step, make_ndarray(point.tensor_proto)) for point in points] == [(1, 1.0), (2, 0.5)]


def test_a_file_in_the_way(tmp_path):
    (tmp_path / "run").write_text("")
    with pytest.raises(OSError):
        EventWriter(tmp_path / "run")


@pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="needs JAX")
def test_neither_tensorflow_nor_matplotlib_is_imported(tmp_path):
    program = (
        "import sys; sys.modules['matplotlib'] = None; from keras_losses.callbacks import TensorBoardWriter;"
        f"w = TensorBoardWriter({os.fspath(tmp_path)!r}); w.begin(0, {{'gamma': 2.0}});"
        "w.scalar('train', 'loss', 1.0, 1, 1.0); w.end({}); w.close(); w.begin(0, {});"
        "assert 'tensorflow' not in sys.modules"
    )
    environment = {**os.environ, "KERAS_BACKEND": "jax"}
    subprocess.run([sys.executable, "-c", program], check=True, env=environment)
    assert (tmp_path / "superseded" / "train").is_dir()  # it was read, too


def test_the_example():
    assert doctest.testmod(event_file).failed == 0
