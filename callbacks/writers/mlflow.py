"""The record in an MLflow tracking server."""

from __future__ import annotations

import functools
import os
import re
import time
from collections.abc import Mapping
from typing import Any

from ..files import rewriting
from .owner import Owner

_LATEST = "keras_losses.latest_step"  # a tag: metrics can be asked for their values only, not their steps
_SUPERSEDED = "keras_losses.superseded_by"
_OURS = re.compile("(train|validation|final)/")
_CHUNK = 999  # points of a request, which may have 1000 with the tag
_LONGEST = 6000  # characters of a parameter


class MLflowWriter(Owner):
    """Writes the scalars of the record to an MLflow run.

    The curves are the metrics `train/<tag>` and `validation/<tag>`, against the optimizer's iterations; the
    hyperparameters of the loss are parameters, and one that changes later, which MLflow forbids, is a tag;
    the logs of the last epoch are `final/<name>`. What a name may not hold is replaced by `_`. A server
    with a SQL store keeps NaN, and infinities as the greatest float64.

    A fit with the same writer, or with the same `run_id` or `run_id_file`, goes on in the same run. MLflow
    cannot take points out of a run: if it holds points of later steps than the fit begins with, which a
    killed training has left, a new run begins with a copy of the points before them. The old one stays as
    it was, but its status is KILLED and its tag `keras_losses.superseded_by` says which; who gives its id
    later is taken to the new one.

    Whenever the values are fetched, the training waits for the server: of the order of a millisecond for a
    point. A server that does not answer is tried again by MLflow's own rules, for minutes; the environment
    variable `MLFLOW_HTTP_REQUEST_MAX_RETRIES` shortens that.

    Args:
        experiment: The name of the experiment; made if need be.
        run_name: The name of a new run; MLflow makes one up by default.
        tracking_uri: The server, such as `"http://127.0.0.1:5000"`; by default what MLflow is set to.
        run_id: The run to go on with; by default that of `run_id_file`, else a new one.
        run_id_file: A local file that keeps the run's id, so that a training that was killed goes on in
            the same run when it is started again; it lies best beside the training's backup.

    Raises:
        ImportError: Without MLflow, which `pip install "keras-losses[mlflow]"` brings.
        mlflow.exceptions.MlflowException: From `begin` and later, if the server refuses or is not there.
    """

    def __init__(
        self,
        experiment: str = "Default",
        run_name: str | None = None,
        tracking_uri: str | None = None,
        run_id: str | None = None,
        run_id_file: str | os.PathLike[str] | None = None,
    ) -> None:
        try:
            import mlflow
        except ImportError as error:
            raise ImportError(
                'MLflowWriter needs MLflow, which is not installed: pip install "keras-losses[mlflow]".'
            ) from error
        self._entities: Any = mlflow.entities
        self._client: Any = mlflow.MlflowClient(tracking_uri)
        self._experiment, self._run_name, self._run_id = experiment, run_name, run_id
        self._run_id_file = None if run_id_file is None else os.path.realpath(run_id_file)
        self._points: list[Any] = []
        self._latest = 0

    @property
    def run_id(self) -> str | None:
        """The id of the run that is written; None before the first fit."""
        return self._run_id

    def begin(self, step: int, hyperparameters: Mapping[str, float | str | bool]) -> None:
        self.flush()
        run = self._run()
        if int(run.data.tags.get(_LATEST, step)) > step:
            run = _superseding(self._client, run, step)
        self._run_id, self._latest = run.info.run_id, step
        self._claim(f"mlflow:{self._run_id}")
        if self._run_id_file is not None:
            with rewriting(self._run_id_file) as file:
                file.write(run.info.run_id.encode())
        self._client.update_run(self._run_id, status="RUNNING")
        _log_parameters(self._client, run, hyperparameters)

    def scalar(self, run: str, tag: str, value: float, step: int, wall_time: float) -> None:
        if self._owns:
            milliseconds = round(wall_time * 1000)
            self._points.append(
                self._entities.Metric(_name(f"{run}/{tag}"), float(value), milliseconds, int(step))
            )

    def flush(self) -> None:
        points, self._points = self._points, []
        if self._owns and self._run_id is not None:
            self._latest = _log(self._client, self._run_id, points, self._latest)

    def end(self, figures: Mapping[str, float]) -> None:
        self.flush()
        for name, value in figures.items():
            self.scalar("final", name, value, self._latest, time.time())
        self.flush()
        if self._owns:
            self._client.set_terminated(self._run_id, "FINISHED")

    def close(self) -> None:
        self.flush()

    def _run(self) -> Any:
        """The run to go on with, ours from now on, or a new one."""
        if self._run_id is None and self._run_id_file is not None and os.path.exists(self._run_id_file):
            with open(self._run_id_file) as file:
                self._run_id = file.read().strip()
        if self._run_id is None:
            return _new_run(self._client, self._experiment, self._run_name)
        self._claim(f"mlflow:{self._run_id}")
        return _newest(self._client, self._run_id)


@functools.lru_cache(maxsize=1024)
def _name(tag: str) -> str:
    """The tag as a name that MLflow takes, which may be a path in a file system."""
    parts = re.sub(r"[^\w./ -]", "_", tag).split("/")
    return "/".join(part for part in parts if part not in ("", ".", ".."))[:250]


def _new_run(client: Any, experiment: str, name: str | None) -> Any:
    found = client.get_experiment_by_name(experiment)
    return client.create_run(
        found.experiment_id if found else client.create_experiment(experiment), run_name=name
    )


def _newest(client: Any, run_id: str) -> Any:
    """The run, or the last of those that took its place."""
    run = client.get_run(run_id)
    while _SUPERSEDED in run.data.tags:
        run = client.get_run(run.data.tags[_SUPERSEDED])
    return run


def _log_parameters(client: Any, run: Any, hyperparameters: Mapping[str, float | str | bool]) -> None:
    for name, value in hyperparameters.items():
        key, text, known = _name(name), str(value)[:_LONGEST], run.data.params
        if key not in known:
            client.log_param(run.info.run_id, key, text)
        elif known[key] != text:
            client.set_tag(run.info.run_id, key, text)


def _log(client: Any, run_id: str, points: list[Any], latest: int) -> int:
    """Sends the points; the greatest step that the run holds then."""
    from mlflow.entities import RunTag

    for first in range(0, len(points), _CHUNK):
        chunk = points[first : first + _CHUNK]
        latest = max(latest, *(point.step for point in chunk))
        client.log_batch(run_id, metrics=chunk, tags=[RunTag(_LATEST, str(latest))])
    return latest


def _superseding(client: Any, old: Any, step: int) -> Any:
    """A new run with what the old one holds, but for our points of later steps."""
    new = client.create_run(old.info.experiment_id, run_name=old.info.run_name).info.run_id
    for name, value in old.data.params.items():
        client.log_param(new, name, value)
    for name, value in old.data.tags.items():
        if not name.startswith("mlflow."):
            client.set_tag(new, name, value)
    for name in old.data.metrics:
        points = client.get_metric_history(old.info.run_id, name)
        _log(client, new, [point for point in points if point.step <= step or not _OURS.match(name)], 0)
    client.set_tag(new, _LATEST, str(step))
    client.set_tag(old.info.run_id, _SUPERSEDED, new)
    client.set_terminated(old.info.run_id, "KILLED")
    return client.get_run(new)
