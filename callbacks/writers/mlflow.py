"""The record in a run of an MLflow tracking server."""

from __future__ import annotations

import functools
import os
import re
import time
from collections.abc import Mapping
from typing import Any

from ..files import local_path, rewriting
from .owner import Owner
from .recorded import SEAM_TAG, Recorded

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

    Within `with mlflow.start_run():` the curves go into the user's run, which stays open, unless `run_id` or
    `run_id_file` names another run.

    A fit with the same writer, `run_id` or `run_id_file` continues the run. MLflow cannot remove points from
    a run. If a resumed training repeats points of the run, a new run begins with a copy of the points before
    them. The old run stays as it was, with the status KILLED and the id of the new run in its tag
    `keras_losses.superseded_by`. A writer with the old id then writes to the new run. In a run that the user
    has started, the repeated points keep their first values instead. A run whose fit was interrupted has the
    status KILLED.

    The training waits for the server when values are fetched, about a millisecond for a point. If the server
    does not answer, MLflow tries again for minutes; the environment variable
    `MLFLOW_HTTP_REQUEST_MAX_RETRIES` shortens that.

    Args:
        experiment: Name of the experiment. It is created if necessary.
        run_name: Name of a new run; by default MLflow chooses one.
        tracking_uri: The server, such as `"http://127.0.0.1:5000"`; by default MLflow's setting.
        run_id: The run to continue; by default the run of `run_id_file`, the active run of
            `mlflow.start_run`, or a new run, in this order.
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
        self._client: Any = mlflow.MlflowClient(tracking_uri)
        self._experiment, self._run_name, self._run_id = experiment, run_name, run_id
        self._run_id_is_given = run_id is not None
        self._run_id_file = (
            None
            if run_id_file is None
            else os.path.realpath(local_path("MLflowWriter", "run_id_file", run_id_file))
        )
        self._points: list[Any] = []
        self._latest = 0
        self._recorded = Recorded()
        self._is_users = False  # whether the run was started with `mlflow.start_run`
        self._repeated = 0  # the last step of points that the user's run has already
        self._running = False

    @property
    def run_id(self) -> str | None:
        """The id of the run that receives the curves; None before the first fit."""
        return self._run_id

    def recorded(self) -> Recorded:
        self.flush()
        run = self._run()
        return Recorded() if run is None else self._recorded

    def begin(self, step: int, hyperparameters: Mapping[str, float | str | bool]) -> None:
        self.flush()
        run = self._run()
        if run is None:
            run = _new_run(self._client, self._experiment, self._run_name)
            self._recorded = Recorded()
        repeats = self._recorded.last > step
        self._repeated = self._recorded.last if repeats and self._is_users else 0
        if repeats and not self._is_users:
            run = _superseding(self._client, run, step)
            self._recorded.drop_after(step)
        self._recorded.unfinished = False
        self._run_id, self._latest = run.info.run_id, step
        self._claim(f"mlflow:{self._run_id}")
        if self._run_id_file is not None:
            with rewriting(self._run_id_file) as file:
                file.write(run.info.run_id.encode())
        if not self._is_users:
            self._running = True
            self._client.update_run(self._run_id, status="RUNNING")
        _log_parameters(self._client, run, hyperparameters)

    def scalar(self, run: str, tag: str, value: float, step: int, wall_time: float) -> None:
        if self._owns and step > self._repeated:
            self._recorded.add(run, tag, int(step), value)
            self._append(run, tag, value, step, wall_time)

    def _append(self, run: str, tag: str, value: float, step: int, wall_time: float) -> None:
        from mlflow.entities import Metric

        milliseconds = round(wall_time * 1000)
        self._points.append(Metric(_name(f"{run}/{tag}"), float(value), milliseconds, int(step)))

    def flush(self) -> None:
        points, self._points = self._points, []
        if points and self._owns and self._run_id is not None:
            running, self._running = self._running, False  # after an error, `close` must not wait once more
            self._latest = _log(self._client, self._run_id, points, self._latest)
            self._running = running

    def end(self, figures: Mapping[str, float]) -> None:
        self.flush()
        if self._owns:
            for name, value in figures.items():
                self._append("final", name, value, self._latest, time.time())
        self.flush()
        self._terminate("FINISHED")

    def close(self) -> None:
        self.flush()
        self._terminate("KILLED")  # MLflow's word for a run that its user stopped

    def _terminate(self, status: str) -> None:
        if self._running and self._owns:
            self._client.set_terminated(self._run_id, status)
        self._running = False

    def _run(self) -> Any | None:
        """Return the run to continue, owned by this writer from now on; None without one."""
        active = self._active_run_id()
        run_id = self._chosen_run_id(active)
        if run_id is None:
            return None
        run = _newest(self._client, run_id)
        self._run_id = run.info.run_id
        self._is_users = self._run_id == active
        if self._claim(f"mlflow:{self._run_id}"):
            self._recorded = _recorded(self._client, run)
        return run

    def _chosen_run_id(self, active: str | None) -> str | None:
        if self._run_id_is_given:
            return self._run_id
        if self._run_id_file is not None:
            if self._run_id is None and os.path.exists(self._run_id_file):
                with open(self._run_id_file) as file:
                    self._run_id = file.read().strip()
            return self._run_id or active
        return active or self._run_id

    def _active_run_id(self) -> str | None:
        """Return the id of the run that the user has started on the same server."""
        import mlflow

        run = mlflow.active_run()
        if run is None or self._client.tracking_uri != mlflow.get_tracking_uri():
            return None
        run_id: str = run.info.run_id
        return run_id


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


def _recorded(client: Any, run: Any) -> Recorded:
    """Return the extent of the curves in a run, read from its curves with few points."""
    recorded = Recorded(unfinished=run.info.status == "RUNNING")
    for tag in (SEAM_TAG, "epoch/loss"):
        name = _name(f"train/{tag}")
        if name in run.data.metrics:
            for point in client.get_metric_history(run.info.run_id, name):
                recorded.add("train", tag, point.step, point.value)
    recorded.last = max(recorded.last, int(run.data.tags.get(_LATEST, 0)))
    if recorded.first is None and recorded.last > recorded.seam.step:
        recorded.first = recorded.last
    return recorded


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
