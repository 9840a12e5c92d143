"""The scalars that `LossCurves` writes of batches and epochs, from the points and logs that it reads."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_losses.training.terms import LossTerms

from ..arguments import as_number
from ..control.optimizers import rate_source
from ..writers.group import WriterGroup
from ..writers.recorded import SEAM_TAG
from .axis import Axis
from .readings import OptimizerSchedule, Point, Reader, TrainingPoints


class Recording:
    """Turns points and logs into scalars for the writers."""

    def __init__(self, writers: WriterGroup, axis: Axis) -> None:
        self._writers, self._axis = writers, axis
        self.training = TrainingPoints()
        self._schedule: OptimizerSchedule | None = None
        self._set_by_steps: set[str] = set()
        """The paths of the parameters that have a point for each update of the epoch."""

    def follow(self, reader: Reader) -> None:
        """Begin an epoch. Its schedule is read now, because `PlateauDecay` replaces it between epochs."""
        self._set_by_steps.clear()
        self._terms: LossTerms = reader.model.loss_terms
        self._per_iteration = reader.per_iteration
        schedule = None if reader.optimizer is None else rate_source(reader.optimizer)
        if self._schedule is None or self._schedule.schedule is not schedule:
            self._schedule = None if schedule is None else OptimizerSchedule(schedule)

    def flush(self) -> None:
        """Write the points of the training batches that were read."""
        if not len(self.training):
            return
        points = self.training.fetch(self._per_iteration, self._axis)
        if points:
            self.update()
        rates = [point.rate for point in points]
        if self._schedule is not None and points:
            rates = self._schedule.before([point.batches for point in points])
        for point, rate in zip(points, rates, strict=True):
            self.scalar("train", "learning_rate", rate, point.step, point.wall_time)
            for name, value in point.parameters.items():
                self.scalar("train", f"parameters/{name}", value, point.step, point.wall_time)
                self._set_by_steps.add(name)
            self.batch("train", point)

    def without_updates(self, batches: int, reader: Reader) -> None:
        """Write the points of the batches of an epoch without an update."""
        rate = self._rate(reader)
        for point in self.training.without_updates(batches, self._axis):
            if rate is not None:
                self.scalar("train", "learning_rate", rate, point.step, point.wall_time)
            self.batch("train", point)

    def seam(self) -> None:
        """Mark the step at which the updates of the optimizer continue the axis."""
        self.scalar("train", SEAM_TAG, self._axis.seam.updates, self._axis.seam.step)

    def update(self) -> None:
        """Mark the end of epochs without updates, before the points of the first update after them."""
        if self._axis.counts_batches:
            self._axis.counts_batches = False
            self.seam()

    def batch(self, run: str, point: Point) -> None:
        if point.sums is None:
            return
        loss, values = self._terms.means_of(point.sums)
        self.scalar(run, "batch/loss", loss, point.step, point.wall_time)
        for name, value in values.items():
            self.scalar(run, f"batch/terms/{name}", value, point.step, point.wall_time)

    def epoch(self, step: int, logs: Mapping[str, Any], terms: Mapping[str, Mapping[str, float]]) -> None:
        """Write the values at the end of an epoch: its logs, and the means of the terms of both runs."""
        parameters, logged_terms = self._terms.parameters(), self._terms.logged
        for name, value in parameters.items():
            if name not in self._set_by_steps:
                self.scalar("train", f"parameters/{name}", value, step)
        for run, means in terms.items():
            for name, value in means.items():
                self.scalar(run, f"epoch/terms/{name}", value, step)
        for log, value in numbers_in(logs).items():
            run, name = ("validation", log[4:]) if log.startswith("val_") else ("train", log)
            if log == "learning_rate" or any(p == log or p.endswith(f"/{log}") for p in parameters):
                continue  # a callback put it into the logs, and it has its own curve
            if name not in logged_terms:
                self.scalar(run, f"epoch/{name}", value, step)

    def examined(self, step: int, histograms: Mapping[str, np.ndarray], scalars: Mapping[str, float]) -> None:
        now = time.time()
        for tag, values in histograms.items():
            self._writers.histogram("train", tag, values, step, now)
        for tag, value in scalars.items():
            self.scalar("train", tag, value, step, now)

    def scalar(self, run: str, tag: str, value: float, step: int, wall_time: float | None = None) -> None:
        self._writers.scalar(run, tag, value, step, time.time() if wall_time is None else wall_time)

    def rate_of_epoch(self, reader: Reader, step: int) -> None:
        """Write the learning rate once for an epoch."""
        rate = self._rate(reader)
        if rate is not None:
            self.scalar("train", "learning_rate", rate, step)

    def _rate(self, reader: Reader) -> float | None:
        """Return the learning rate of the last update; None without an optimizer."""
        if reader.optimizer is None:
            return None
        if self._schedule is not None:
            return self._schedule.before([reader.batches()])[0]
        return as_number(reader.optimizer.learning_rate)


def numbers_in(logs: Mapping[str, Any]) -> dict[str, float]:
    """Return the entries of the logs that are numbers."""
    numbers = {}
    for name, value in logs.items():
        with contextlib.suppress(TypeError, ValueError):  # a metric may return an array
            numbers[name] = as_number(value)
    return numbers
