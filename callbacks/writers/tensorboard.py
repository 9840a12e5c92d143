"""The record in TensorBoard: curves, histograms, charts of related curves, and a comparison of runs."""

from __future__ import annotations

import math
import os
import re
import struct
import time
from collections.abc import Callable, Iterator, Mapping
from itertools import islice

import numpy as np
from google.protobuf.message import DecodeError

# As in event_file.py: the parts of TensorBoard that do not import TensorFlow.
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.custom_scalar import layout_pb2
from tensorboard.plugins.custom_scalar import metadata as custom_scalars
from tensorboard.plugins.histogram import metadata as histograms
from tensorboard.plugins.hparams import api_pb2, plugin_data_pb2, summary_v2
from tensorboard.plugins.hparams import metadata as hparams
from tensorboard.util.tensor_util import make_tensor_proto

from ..files import keep_copy, rewriting
from .event_file import EventWriter, record_header
from .owner import FileWriter

# Category, chart and the tags on it, in the order of the page. Each metric has another chart.
_CHARTS = (
    ("loss", "loss", r"(epoch|batch)/loss$"),
    ("learning rate", "learning rate", r"learning_rate$"),
    ("terms", "what each term adds to the loss", r"epoch/terms/.*_weighted$"),
    ("terms", "share of each term", r"epoch/terms/.*_share$"),
    ("terms", "terms", r"epoch/terms/(?!.*_(weighted|share)$)"),
    ("terms", "terms of each batch", r"batch/terms/"),
    ("parameters", "parameters of the loss", r"parameters/"),
    ("classes", "loss of each class", r"class_loss/"),
    ("gradients", "norm of the gradients", r"gradient_norm/"),
)
_METRIC = re.compile(r"epoch/(?!loss$|terms/)(.+)")
_BUCKETS = 30  # as in `tf.summary.histogram`


class TensorBoardWriter(FileWriter):
    """Writes the record for TensorBoard, without TensorFlow.

    The curves are in the runs `train/` and `validation/` under `log_dir`. The page Custom Scalars shows
    related curves together: training with validation, the learning rate under the loss, the terms on one
    chart. The page HParams has a line for the training with the hyper-parameters of its loss and the last
    value of each curve. To compare several trainings, start TensorBoard on the directory above `log_dir`.

    A histogram shows the finite values. The number of the others is the curve `<tag>_not_finite`. Points
    that a resumed training repeats are removed from the runs; copies of the files that had them are kept in
    `superseded/`, which TensorBoard does not read.

    Args:
        log_dir: Local directory. It is created if necessary.

    Raises:
        OSError: From `begin`, if the directory cannot be written; later, if a file cannot be written.

    Example:

    >>> import tempfile
    >>> writer = TensorBoardWriter(tempfile.mkdtemp())
    >>> writer.begin(0, {"loss": "focal", "gamma": 2.0})
    >>> writer.scalar("train", "batch/loss", 0.25, step=1, wall_time=1.7e9)
    >>> writer.end({"loss": 0.25})
    >>> writer.close()
    """

    def __init__(self, log_dir: str | os.PathLike[str]) -> None:
        super().__init__(log_dir, "log_dir", mark="/unfinished")
        self._trial = os.fspath(log_dir)  # its name on the page HParams, which cuts long paths off
        self._files: dict[str, EventWriter] = {}
        self._tags: set[str] = set()
        self._laid_out = 0  # the number of tags in the layout
        self._superseded: dict[str, int] = {}  # runs that lost points, with the first step that they lost

    def begin(self, step: int, hyperparameters: Mapping[str, float | str | bool]) -> None:
        super().begin(step, hyperparameters)
        # Session and layout are written anew, because TensorBoard shows the first of several.
        if "." in self._files:
            self._files.pop(".").close()
        _rewrite(self.path, lambda event: not _is_about_the_session(event))
        self._laid_out = 0
        self._file(".").summary(_session_start(self._trial, hyperparameters), 0)
        self._file(".").flush()

    def scalar(self, run: str, tag: str, value: float, step: int, wall_time: float) -> None:
        if self._owns:
            self._recorded.add(run, tag, step, value)
            self._tags.add(tag)
            self._file(run).scalar(tag, value, step, wall_time)

    def histogram(self, run: str, tag: str, values: np.ndarray, step: int, wall_time: float) -> None:
        if self._owns:
            self._recorded.add(run, tag, step, math.nan)
            finite = values[np.isfinite(values)]
            if finite.size < values.size:
                self.scalar(run, f"{tag}_not_finite", values.size - finite.size, step, wall_time)
            if finite.size:
                self._file(run).summary(_histogram(tag, finite), step, wall_time)

    def flush(self) -> None:
        if self._owns and self._laid_out < len(self._tags):
            self._laid_out = len(self._tags)
            self._file(".").summary(_layout(self._tags), 0)
        for file in self._files.values():
            file.flush()

    def end(self, figures: Mapping[str, float]) -> None:
        if self._owns:
            self.flush()
            self._file(".").summary(_session_end(), 0)
            self._file(".").flush()

    def close_files(self) -> None:
        while self._files:
            self._files.popitem()[1].close()

    def _file(self, run: str) -> EventWriter:
        if run not in self._files:
            self._files[run] = EventWriter(os.path.join(self.path, run))
            if run in self._superseded:
                self._files[run].restart(self._superseded.pop(run))
        return self._files[run]

    def _points(self) -> Iterator[tuple[str, str, int, float]]:
        for run in ("train", "validation"):
            for path in _our_files(os.path.join(self.path, run)):
                for _, event in _records(path):
                    for value in event.summary.value:
                        yield run, value.tag, event.step, value.simple_value

    def _forget(self, step: int) -> None:
        for run in ("train", "validation"):
            kept = os.path.join(self.path, "superseded", run)
            if _rewrite(os.path.join(self.path, run), lambda event: event.step <= step, kept):
                self._superseded[run] = step + 1


def _rewrite(directory: str, keep: Callable[[Event], bool], superseded: str | None = None) -> bool:
    """Remove events from the files of `LossCurves` in a directory; return whether there were any."""
    changed = False
    for path in _our_files(directory):
        summaries = [keep(event) for _, event in _records(path) if event.HasField("summary")]
        if all(summaries):
            continue
        if superseded is not None:
            # TensorBoard reads every file with "tfevents" in its name, in any directory.
            keep_copy(path, superseded, os.path.basename(path).replace("tfevents", "superseded"))
        if any(summaries):
            with rewriting(path) as file:
                file.writelines(record for record, event in _records(path) if keep(event))
        else:
            os.remove(path)
        changed = True
    return changed


def _our_files(directory: str) -> Iterator[str]:
    """Yield the event files of `LossCurves` in a directory, in the order in which they were begun."""
    for name in sorted(os.listdir(directory)) if os.path.lexists(directory) else ():
        path = os.path.join(directory, name)
        if "tfevents" in name and _is_ours(path):
            yield path


def _records(path: str) -> Iterator[tuple[bytes, Event]]:
    """Yield the records of an event file, up to a record that a kill has cut off."""
    with open(path, "rb") as file:
        while True:
            header = file.read(12)
            if len(header) < 12 or header != record_header(length := struct.unpack("<Q", header[:8])[0]):
                return
            data = file.read(length + 4)
            if len(data) < length + 4:
                return
            try:
                yield header + data, Event.FromString(data[:-4])
            except DecodeError:
                return


def _is_ours(path: str) -> bool:
    return any(event.source_metadata.writer == "keras_losses" for _, event in islice(_records(path), 1))


def _is_about_the_session(event: Event) -> bool:
    about = (hparams.SESSION_START_INFO_TAG, hparams.SESSION_END_INFO_TAG, custom_scalars.CONFIG_SUMMARY_TAG)
    return any(value.tag in about for value in event.summary.value)


def _session_start(name: str, hyperparameters: Mapping[str, float | str | bool]) -> Summary.Value:
    # The page cannot show numbers that JSON lacks.
    shown = {
        name: repr(value) if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in hyperparameters.items()
    }
    # Without an id, trainings with the same hyper-parameters would share a line with their means.
    return summary_v2.hparams_pb(shown, trial_id=name).value[0]


def _session_end() -> Summary.Value:
    info = plugin_data_pb2.SessionEndInfo(status=api_pb2.STATUS_SUCCESS, end_time_secs=time.time())
    metadata = hparams.create_summary_metadata(plugin_data_pb2.HParamsPluginData(session_end_info=info))
    return Summary.Value(tag=hparams.SESSION_END_INFO_TAG, metadata=metadata, tensor=hparams.NULL_TENSOR)


def _histogram(tag: str, values: np.ndarray) -> Summary.Value:
    # TensorBoard's `histogram_pb` fails on the narrowest and the widest ranges.
    quarter = np.finfo(np.float64).max / 4
    values = np.clip(values.astype(np.float64), -quarter, quarter)
    edges = np.linspace(values.min(), values.max(), _BUCKETS + 1)
    counts, _ = np.histogram(values, edges)
    buckets = make_tensor_proto(np.stack([edges[:-1], edges[1:], counts], axis=1))
    metadata = histograms.create_summary_metadata(display_name=None, description=None)
    return Summary.Value(tag=tag, metadata=metadata, tensor=buckets)


def _layout(tags: set[str]) -> Summary.Value:
    charts = [chart for chart in _CHARTS if any(re.match(chart[2], tag) for tag in tags)]
    metrics = sorted(match[1] for tag in tags if (match := _METRIC.match(tag)))
    charts += [("metrics", metric, f"epoch/{re.escape(metric)}$") for metric in metrics]
    categories = {category: layout_pb2.Category(title=category) for category, _, _ in charts}
    for category, title, pattern in charts:
        categories[category].chart.add(title=title, multiline={"tag": [pattern]})
    layout = make_tensor_proto(layout_pb2.Layout(category=categories.values()).SerializeToString())
    return Summary.Value(
        tag=custom_scalars.CONFIG_SUMMARY_TAG,
        metadata=custom_scalars.create_summary_metadata(),
        tensor=layout,
    )
