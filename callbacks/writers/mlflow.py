"""The record in a run of an MLflow tracking server."""

from __future__ import annotations

import functools
import os
import re
import time
from collections.abc import Mapping
from typing import Any

from ..files import rewriting
from .owner import Owner

_LATEST = "keras_losses.latest_step"
"""The tag of a run with the last step of its curves; MLflow gives only the values of metrics at once."""

_SUPERSEDED = "keras_losses.superseded_by"
_OURS = re.compile("(train|validation|final)/")
_CHUNK = 999  # points in a request, which may hold 1000 entities with its tag
_LONGEST = 6000  # characters in the value of a parameter


class MLflowWriter(Owner):
    """Writes the scalars of the record to an MLflow run.

    The curves are the metrics `train/<tag>` and `validation/<tag>`, by optimizer updates. The
    hyper-parameters of the loss are parameters; one that changes later, which MLflow forbids, becomes a tag.
    The logs of the last epoch are `final/<name>`. Characters that MLflow forbids in names become `_`. A
    server with a SQL store keeps NaN; it stores infinities as the greatest float64.

    A fit with the same writer, `run_id` or `run_id_file` continues the run. MLflow cannot remove points from
    a run. If a resumed training repeats points of the run, a new run begins with a copy of the points before
    them. The old run stays as it was, with the status KILLED and the id of the new run in its tag
    `keras_losses.superseded_by`. A writer with the old id then writes to the new run.

    The training waits for the server when values are fetched, about a millisecond for a point. If the server
    does not answer, MLflow tries again for minutes; the environment variable
    `MLFLOW_HTTP_REQUEST_MAX_RETRIES` shortens that.

    Args:
        experiment: Name of the experiment. It is created if necessary.
        run_name: Name of a new run; by default MLflow chooses one.
        tracking_uri: The server, such as `"http://127.0.0.1:5000"`; by default MLflow's setting.
        run_id: The run to continue; by default the run of `run_id_file`, else a new run.
        run_id_file: Local file that keeps the id of the run, so that a killed training continues the run
            after its restart. A good place is beside the backup of the training.

    Raises:
        ImportError: If MLflow is not installed: `pip install "keras-losses[mlflow]"`.
        mlflow.exceptions.MlflowException: From `begin` and later, if the server refuses or does not answer.
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
                '`MLflowWriter` needs MLflow, which is not installed: pip install "keras-losses[mlflow]".'
            ) from error
        self._entities: Any = mlflow.entities
        self._client: Any = mlflow.MlflowClient(tracking_uri)
        self._experiment, self._run_name, self._run_id = experiment, run_name, run_id
        self._run_id_file = None if run_id_file is None else os.path.realpath(run_id_file)
        self._points: list[Any] = []
        self._latest = 0

    @property
    def run_id(self) -> str | None:
        """The id of the run that receives the curves; None before the first fit."""
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
        """Return the run to continue, owned by this writer from now on, or a new run."""
        if self._run_id is None and self._run_id_file is not None and os.path.exists(self._run_id_file):
            with open(self._run_id_file) as file:
                self._run_id = file.read().strip()
        if self._run_id is None:
            return _new_run(self._client, self._experiment, self._run_name)
        self._claim(f"mlflow:{self._run_id}")
        return _newest(self._client, self._run_id)


@functools.lru_cache(maxsize=1024)
def _name(tag: str) -> str:
    """Return a tag as a name that MLflow accepts, which must be a valid path in a file system."""
    parts = re.sub(r"[^\w./ -]", "_", tag).split("/")
    return "/".join(part for part in parts if part not in ("", ".", ".."))[:250]


def _new_run(client: Any, experiment: str, name: str | None) -> Any:
    found = client.get_experiment_by_name(experiment)
    return client.create_run(
        found.experiment_id if found else client.create_experiment(experiment), run_name=name
    )


def _newest(client: Any, run_id: str) -> Any:
    """Return the run, or the last of the runs that superseded it."""
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
    """Send points; return the last step that the run holds then."""
    from mlflow.entities import RunTag

    for first in range(0, len(points), _CHUNK):
        chunk = points[first : first + _CHUNK]
        latest = max(latest, *(point.step for point in chunk))
        client.log_batch(run_id, metrics=chunk, tags=[RunTag(_LATEST, str(latest))])
    return latest


def _superseding(client: Any, old: Any, step: int) -> Any:
    """Return a new run with a copy of the old one, without the points of later steps."""
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
