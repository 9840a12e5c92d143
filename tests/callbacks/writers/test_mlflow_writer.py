"""What the writer for MLflow leaves in a SQLite store, and in a server with one, read back by its client."""

import builtins
import copy
import math
import weakref

import pytest

from keras_losses.callbacks import LossCurves, MLflowWriter
from keras_losses.callbacks.writers import mlflow as mlflow_writer
from keras_losses.callbacks.writers.recorded import Recorded, Seam
from tests.callbacks.curves.test_axis import compile_again
from tests.callbacks.servers import free_port, running
from tests.callbacks.small import fit, model, on_one_backend

pytestmark = on_one_backend


def test_without_mlflow_it_says_what_to_install(monkeypatch):
    real_import = builtins.__import__

    def without_mlflow(name, *arguments):
        if name.partition(".")[0] == "mlflow":
            raise ImportError(name)
        return real_import(name, *arguments)

    monkeypatch.setattr(builtins, "__import__", without_mlflow)
    with pytest.raises(ImportError, match=r"pip install \"keras-losses\[mlflow\]\""):
        MLflowWriter()


@pytest.fixture(scope="module", params=["store", pytest.param("server", marks=pytest.mark.thorough)])
def client(request, tmp_path_factory):
    """A client of a SQLite store, without a server, which takes many seconds to start; or of a server."""
    mlflow = pytest.importorskip("mlflow", reason="needs MLflow")
    pytest.importorskip("sqlalchemy", reason="needs MLflow with its server, not mlflow-skinny")
    directory = tmp_path_factory.mktemp("mlflow")
    if request.param == "store":
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
            patch.chdir(directory)  # where it keeps artifacts
            yield mlflow.MlflowClient(f"sqlite:///{directory}/mlflow.db")
        return
    url = f"http://127.0.0.1:{free_port()}"
    command = ["-m", "mlflow", "server", "--host", "127.0.0.1", "--port", url.rpartition(":")[2]]
    command += ["--workers", "1", "--backend-store-uri", f"sqlite:///{directory}/mlflow.db"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
        patch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
        patch.setenv("NO_PROXY", "127.0.0.1")
        with running(command, url + "/health", directory=directory):
            yield mlflow.MlflowClient(url)


@pytest.fixture
def begun(client):
    def begin(step=0, hyperparameters=None, **arguments):
        writer = MLflowWriter("curves", tracking_uri=client.tracking_uri, **arguments)
        writer.begin(step, hyperparameters or {})
        return writer

    return begin


def write(writer, first, last, value=1.0):
    for step in range(first, last + 1):
        writer.scalar("train", "batch/loss", value, step, 1e9 + step)


@pytest.fixture
def points(client):
    def read(run_id, name="train/batch/loss"):
        return sorted((point.step, point.value) for point in client.get_metric_history(run_id, name))

    return read


def test_copies_have_runs_of_their_own_before_a_fit_and_continue_the_run_after_it(client, points):
    writer = MLflowWriter("curves", tracking_uri=client.tracking_uri)
    before = copy.deepcopy(writer)
    for each in (writer, before):
        fit(model(), LossCurves(writers=[each]))
    assert before.run_id != writer.run_id
    assert points(before.run_id) == points(writer.run_id) == [(1, 2.5), (2, 12.5), (3, 25.0)]
    after = copy.deepcopy(writer)
    assert after.run_id == writer.run_id
    with pytest.warns(UserWarning, match="curves reach step 3 already"):
        fit(model(), LossCurves(writers=[after]), targets=(3.0,))
    assert points(writer.run_id) == [(1, 2.5), (2, 12.5), (3, 25.0), (4, 9.0)]


def test_a_training_is_a_run(client, begun):
    writer = begun(hyperparameters={"loss": "focal", "gamma": 2.0, "multi_label": False}, run_name="first")
    writer.scalar("train", "batch/loss", 0.1, 1, 1700000000.1234)
    writer.scalar("validation", "epoch/loss", math.nan, 1, 1.0)
    writer.scalar("validation", "epoch/loss", math.inf, 2, 1.0)
    writer.flush()
    run = client.get_run(writer.run_id)
    assert run.info.status == "RUNNING"
    writer.end({"loss": 0.25, "val_loss": 0.5})
    writer.close()
    run = client.get_run(writer.run_id)
    assert run.info.run_name == "first"
    assert client.get_experiment(run.info.experiment_id).name == "curves"
    assert run.data.params == {"loss": "focal", "gamma": "2.0", "multi_label": "False"}
    assert run.info.status == "FINISHED"
    assert run.data.metrics["final/loss"] == 0.25
    assert run.data.metrics["final/val_loss"] == 0.5
    (point,) = client.get_metric_history(writer.run_id, "train/batch/loss")
    assert (point.step, point.value, point.timestamp) == (1, 0.1, 1700000000123)
    first, second = client.get_metric_history(writer.run_id, "validation/epoch/loss")
    assert math.isnan(first.value)
    assert second.value == 1.7976931348623157e308  # what a SQL store has for infinity


def test_more_points_than_a_request_takes(begun, points):
    writer = begun()
    write(writer, 1, 2001)
    writer.close()
    assert points(writer.run_id) == [(step, 1.0) for step in range(1, 2002)]


@pytest.mark.parametrize(
    ("tag", "name"),
    [
        ("epoch/a,b[0]", "train/epoch/a_b_0_"),
        ("/epoch//f1/../x/.", "train/epoch/f1/x"),
        ("größe: 1", "train/größe_ 1"),
        ("x" * 300, "train/" + "x" * 244),
    ],
)
def test_a_tag_becomes_a_name_that_mlflow_takes(begun, points, tag, name):
    writer = begun()
    writer.scalar("train", tag, 0.5, 1, 1.0)
    writer.close()
    assert points(writer.run_id, name) == [(1, 0.5)]


def test_fits_of_one_writer_are_one_run(client, begun, points):
    writer = begun(hyperparameters={"gamma": 2.0, "name": "x" * 7000})
    write(writer, 1, 2)
    writer.end({"loss": 0.5})
    writer.close()
    first = writer.run_id
    writer.begin(2, {"gamma": 1.0, "alpha": 0.25, "name": "x" * 7000})
    assert client.get_run(first).info.status == "RUNNING"
    write(writer, 3, 3)
    writer.begin(3, {})  # that fit was interrupted
    write(writer, 4, 4)
    writer.end({"loss": 0.25})
    writer.close()
    assert writer.run_id == first
    assert points(first) == [(1, 1.0), (2, 1.0), (3, 1.0), (4, 1.0)]
    assert points(first, "final/loss") == [(2, 0.5), (4, 0.25)]
    run = client.get_run(first)
    assert run.data.params == {"gamma": "2.0", "alpha": "0.25", "name": "x" * 6000}
    assert run.data.tags["gamma"] == "1.0"
    assert "name" not in run.data.tags


def test_a_killed_training_goes_on_in_its_run(begun, points, tmp_path):
    file = tmp_path / "deep" / "run_id"
    killed = begun(run_id_file=file)
    write(killed, 1, 4)
    killed.flush()
    resumed = begun(4, run_id_file=file)
    write(resumed, 5, 6)
    resumed.close()
    assert resumed.run_id == killed.run_id == file.read_text()
    assert points(killed.run_id) == [(step, 1.0) for step in range(1, 7)]
    by_id = begun(6, run_id=killed.run_id)
    write(by_id, 7, 7)
    by_id.close()
    assert points(killed.run_id) == [(step, 1.0) for step in range(1, 8)]


def test_what_a_killed_training_had_beyond_its_backup_is_in_a_run_of_its_own(client, begun, points, tmp_path):
    file = tmp_path / "run_id"
    killed = begun(run_id_file=file, hyperparameters={"gamma": 2.0}, run_name="again")
    write(killed, 1, 7)
    killed.scalar("validation", "epoch/loss", 0.5, 3, 1.0)
    killed.scalar("validation", "epoch/loss", 0.5, 6, 1.0)
    killed.flush()
    client.log_metric(killed.run_id, "of/others", 3.0, step=99)
    client.set_tag(killed.run_id, "of_others", "kept")
    resumed = begun(4, run_id_file=file, hyperparameters={"gamma": 2.0})
    write(resumed, 5, 8, value=0.5)
    resumed.end({})
    assert file.read_text() == resumed.run_id != killed.run_id
    assert points(resumed.run_id) == [(step, 1.0 if step <= 4 else 0.5) for step in range(1, 9)]
    assert points(resumed.run_id, "validation/epoch/loss") == [(3, 0.5)]
    assert points(resumed.run_id, "of/others") == [(99, 3.0)]
    run = client.get_run(resumed.run_id)
    assert (run.info.run_name, run.data.params) == ("again", {"gamma": "2.0"})
    assert run.data.tags["of_others"] == "kept"
    assert points(killed.run_id) == [(step, 1.0) for step in range(1, 8)]
    old = client.get_run(killed.run_id)
    assert old.info.status == "KILLED"
    assert old.data.tags["keras_losses.superseded_by"] == resumed.run_id
    by_the_old_id = begun(8, run_id=killed.run_id)
    assert by_the_old_id.run_id == resumed.run_id


def test_of_two_writers_of_a_run_the_newer_one_writes(begun, points):
    older = begun()
    write(older, 1, 3)
    newer = begun(3, run_id=older.run_id)  # in the same process: nothing that was handed over is lost
    write(older, 4, 5)
    older.flush()
    older.end({"loss": 1.0})
    older.close()
    run_id = older.run_id
    gone = weakref.ref(older)
    del older
    assert gone() is None  # at once, without a collection of garbage, which takes a minute of a long run
    write(newer, 4, 4, value=0.5)
    newer.close()
    assert newer.run_id == run_id
    assert points(run_id) == [(1, 1.0), (2, 1.0), (3, 1.0), (4, 0.5)]


def test_a_server_that_is_gone_is_an_error(client, monkeypatch):
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    writer = MLflowWriter("curves", tracking_uri=f"http://127.0.0.1:{free_port()}")
    with pytest.raises(mlflow.exceptions.MlflowException):
        writer.begin(0, {})


@pytest.fixture
def started(client):
    """A context in which the user has started a run."""
    mlflow = pytest.importorskip("mlflow")
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(client.tracking_uri)
    yield mlflow.start_run
    mlflow.set_tracking_uri(before)


def test_the_run_that_the_user_has_started_is_used_and_stays_open(client, started, points):
    writer = MLflowWriter("another experiment")
    for first in (1, 4):
        with started() as run:
            writer.begin(first - 1, {"gamma": 2.0})
            write(writer, first, first + 2)
            writer.end({"loss": 0.5})
            writer.close()
            assert client.get_run(run.info.run_id).info.status == "RUNNING"
            client.log_metric(run.info.run_id, "mine", 1.0)
        assert writer.run_id == run.info.run_id
        assert points(run.info.run_id) == [(first, 1.0), (first + 1, 1.0), (first + 2, 1.0)]
        assert client.get_run(run.info.run_id).info.status == "FINISHED"
    assert client.get_experiment_by_name("another experiment") is None


def test_a_repeated_step_in_the_users_run_keeps_its_first_value(client, started, points):
    with started() as run:
        writer = MLflowWriter()
        writer.begin(0, {})
        write(writer, 1, 7)
        writer.begin(4, {})
        write(writer, 5, 9, value=0.5)
        writer.end({})
        assert client.get_run(run.info.run_id).info.status == "RUNNING"
    assert points(run.info.run_id) == [(step, 1.0 if step <= 7 else 0.5) for step in range(1, 10)]


def test_a_run_that_is_named_wins_over_the_users(begun, started, tmp_path):
    named = begun()
    (tmp_path / "run_id").write_text(named.run_id)
    with started() as run:
        for argument in ({"run_id": named.run_id}, {"run_id_file": tmp_path / "run_id"}):
            writer = MLflowWriter(**argument)
            writer.begin(0, {})
            assert writer.run_id == named.run_id
        first = MLflowWriter(run_id_file=tmp_path / "a_new_file")
        first.begin(0, {})
        assert (tmp_path / "a_new_file").read_text() == first.run_id == run.info.run_id


def test_a_fine_tuning_is_in_the_run_of_its_first_phase(client, begun, points, tmp_path):
    tuned = model()
    fit(tuned, LossCurves(writers=[begun(run_id_file=tmp_path / "run_id")]), epochs=3)
    run_id = (tmp_path / "run_id").read_text()
    compile_again(tuned)
    writer = MLflowWriter(tracking_uri=client.tracking_uri, run_id_file=tmp_path / "run_id")
    with pytest.warns(UserWarning, match="continue after step 9"):
        fit(tuned, LossCurves(writers=[writer]), initial_epoch=3, epochs=6)
    assert writer.run_id == run_id
    assert [step for step, _ in points(run_id, "train/epoch/loss")] == [3, 6, 9, 12, 15, 18]
    assert client.get_run(run_id).info.status == "FINISHED"
    assert points(run_id, "train/optimizer_updates") == [(9, 0.0)]


def test_what_a_run_holds_is_read_from_the_server(client, begun):
    writer = begun()
    for step, value in ((1, 5.0), (2, 5.0)):
        writer.scalar("train", "epoch/loss", value, step, 1.0)
    writer.scalar("train", "optimizer_updates", 0.0, 2, 1.0)
    writer.scalar("train", "epoch/loss", 5.0, 5, 1.0)
    write(writer, 6, 6)
    writer.flush()
    expected = Recorded(last=6, seam=Seam(2, 0), first=5, epoch_ends=[5], unfinished=True)
    assert mlflow_writer._recorded(client, client.get_run(writer.run_id)) == expected
    writer.close()  # the fit was interrupted
    assert client.get_run(writer.run_id).info.status == "KILLED"
    assert not begun(6, run_id=writer.run_id).recorded().unfinished
