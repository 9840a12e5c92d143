"""What the writer for TensorBoard leaves behind, read back by TensorBoard's own readers and plugins."""

import doctest
import json
import math
import os
import weakref

import numpy as np
import pytest
from tensorboard.backend.event_processing import (
    data_provider,
    plugin_event_accumulator,
    plugin_event_multiplexer,
)
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.context import RequestContext
from tensorboard.plugins.base_plugin import TBContext
from tensorboard.plugins.custom_scalar.custom_scalars_plugin import CustomScalarsPlugin
from tensorboard.plugins.hparams import api_pb2, backend_context, get_experiment, list_session_groups
from tensorboard.plugins.scalar.scalars_plugin import ScalarsPlugin
from tensorboard.summary.writer.event_file_writer import EventFileWriter
from tensorboard.util.tensor_util import make_ndarray

from keras_losses.callbacks import TensorBoardWriter
from keras_losses.callbacks.writers import tensorboard as tensorboard_writer
from tests.callbacks.small import curve, tags


def begun(log_dir, step=0, **hyperparameters):
    writer = TensorBoardWriter(log_dir)
    writer.begin(step, hyperparameters)
    return writer


def write(writer, first, last, run="train", value=1.0, tag="batch/loss"):
    for step in range(first, last + 1):
        writer.scalar(run, tag, value, step, 1e9 + step)


def plugins(log_dir):
    """TensorBoard as `tensorboard --logdir` starts it, without its server."""
    multiplexer = plugin_event_multiplexer.EventMultiplexer()
    multiplexer.AddRunsFromDirectory(str(log_dir))
    multiplexer.Reload()
    provider = data_provider.MultiplexerDataProvider(multiplexer, str(log_dir))
    shared = {}
    context = TBContext(data_provider=provider, logdir=str(log_dir), plugin_name_to_instance=shared)
    shared["scalars"] = ScalarsPlugin(context)
    return context


def layout(log_dir):
    """The charts of each category, as (title, expressions)."""
    page = json.loads(CustomScalarsPlugin(plugins(log_dir)).layout_impl(RequestContext(), ""))
    return {
        category["title"]: [(chart["title"], chart["multiline"]["tag"]) for chart in category["chart"]]
        for category in page["category"]
    }


def experiment_of(log_dir):
    context = backend_context.Context(plugins(log_dir))
    request = api_pb2.GetExperimentRequest()
    return context, get_experiment.Handler(RequestContext(), context, "", request).run()


def sessions(log_dir):
    """Of each session: the kinds of its hyperparameters, its status and its last values."""
    context, experiment = experiment_of(log_dir)
    request = api_pb2.ListSessionGroupsRequest(
        start_index=0,
        slice_size=99,
        allowed_statuses=[api_pb2.STATUS_UNKNOWN, api_pb2.STATUS_SUCCESS],
        col_params=[api_pb2.ColParams(hparam=info.name) for info in experiment.hparam_infos],
    )
    response = list_session_groups.Handler(RequestContext(), context, "", request).run()
    values = {}
    for group in response.session_groups:
        (session,) = group.sessions
        hyperparameters = {name: value.WhichOneof("kind") for name, value in group.hparams.items()}
        metrics = {
            (point.name.group, point.name.tag): (point.training_step, point.value)
            for point in session.metric_values
        }
        values[session.name] = hyperparameters, api_pb2.Status.Name(session.status), metrics
    return values


def test_the_curves_come_back(tmp_path):
    writer = begun(tmp_path)
    writer.scalar("train", "batch/loss", 0.5, 1, 12.5)
    writer.scalar("train", "batch/loss", math.nan, 2, 13.0)
    writer.scalar("validation", "epoch/loss", math.inf, 2, 14.0)
    writer.close()
    first, second = EventAccumulator(str(tmp_path / "train")).Reload().Scalars("batch/loss")
    assert (first.wall_time, first.step, first.value) == (12.5, 1, 0.5)
    assert math.isnan(second.value)
    assert curve(tmp_path, "validation", "epoch/loss") == [(2, math.inf)]
    assert not tags(tmp_path, "")  # the directory itself has no curves


def test_a_run_without_points_has_no_directory(tmp_path):
    writer = begun(tmp_path)
    write(writer, 1, 1)
    writer.end({})
    writer.close()
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_dir()) == ["train"]


def test_a_directory_that_cannot_be_written_is_known_at_once(tmp_path):
    (tmp_path / "logs").write_text("in the way")
    with pytest.raises(OSError):
        begun(tmp_path / "logs")


def test_a_histogram_counts_the_finite_values(tmp_path):
    writer = begun(tmp_path)
    values = np.array([0.0, 1.0, 1.0, 30.0, np.nan, np.inf, -np.inf], "float32")
    writer.histogram("train", "epoch/sample_loss", values, 3, 1.0)
    writer.histogram("train", "epoch/sample_loss", np.array([2.0, 2.0]), 6, 1.0)
    writer.histogram("train", "epoch/sample_loss", np.array([np.nan]), 9, 1.0)
    writer.close()
    events = EventAccumulator(str(tmp_path / "train")).Reload()
    first, second = (event.tensor_proto for event in events.Tensors("epoch/sample_loss"))
    first, second = make_ndarray(first), make_ndarray(second)
    assert first.shape == (30, 3)
    assert first[:, 0].tolist() == list(range(30))  # buckets of width 1 from 0 to 30
    assert first[:, 1].tolist() == list(range(1, 31))
    assert first[:, 2].tolist() == [1, 2, *[0] * 27, 1]  # [0, 1), [1, 2), ..., [29, 30]
    assert second[-1].tolist() == [2, 2, 2]
    assert second[:, 2].sum() == 2
    assert curve(tmp_path, "train", "epoch/sample_loss_not_finite") == [(3, 3.0), (9, 1.0)]
    assert events.SummaryMetadata("epoch/sample_loss").plugin_data.plugin_name == "histograms"


@pytest.mark.parametrize(
    "values", [[-1.7e308, 1.7e308], [5e-324, 1e-323], [1.0, np.nextafter(1, 2)], [-0.0, 0.0]]
)
def test_a_histogram_of_any_range(tmp_path, values):
    writer = begun(tmp_path)
    writer.histogram("train", "loss", np.array(values), 1, 1.0)
    writer.close()
    (event,) = EventAccumulator(str(tmp_path / "train")).Reload().Tensors("loss")
    buckets = make_ndarray(event.tensor_proto)
    assert np.isfinite(buckets).all()
    assert buckets[:, 2].sum() == 2


def test_what_belongs_together_is_on_one_chart(tmp_path):
    writer = begun(tmp_path)
    write(writer, 1, 2)
    write(writer, 1, 2, tag="learning_rate")
    writer.flush()
    assert layout(tmp_path) == {
        "loss": [("loss", ["(epoch|batch)/loss$"])],
        "learning rate": [("learning rate", ["learning_rate$"])],
    }
    for tag in ("terms/dice", "terms/dice_weighted", "terms/dice_share", "loss", "f1[0]", "mae"):
        write(writer, 2, 2, run="validation", tag=f"epoch/{tag}")
    writer.flush()
    writer.close()
    charts = layout(tmp_path)
    assert list(charts) == ["loss", "learning rate", "terms", "metrics"]
    plugin = CustomScalarsPlugin(plugins(tmp_path))

    def shown(run, expression):
        return set(plugin.scalars_impl(RequestContext(), run, expression, "")["tag_to_events"])

    ((_, (loss,)),) = charts["loss"]
    assert shown("train", loss) == {"batch/loss"}
    assert shown("validation", loss) == {"epoch/loss"}
    terms = [shown("validation", expression) for _, (expression,) in charts["terms"]]
    assert terms == [{"epoch/terms/dice_weighted"}, {"epoch/terms/dice_share"}, {"epoch/terms/dice"}]
    metrics = {title: shown("validation", expression) for title, (expression,) in charts["metrics"]}
    assert metrics == {"f1[0]": {"epoch/f1[0]"}, "mae": {"epoch/mae"}}


def test_the_runs_are_compared(tmp_path):
    for name, gamma, loss in (("a", 2.0, 0.5), ("b", math.inf, 0.25), ("same as a", 2.0, 1.0)):
        writer = begun(tmp_path / name, loss="focal", gamma=gamma, multi_label=False)
        write(writer, 3, 3, tag="epoch/loss", value=loss)
        write(writer, 6, 6, tag="epoch/loss", value=loss / 2)
        write(writer, 6, 6, tag="epoch/loss", value=loss * 2, run="validation")
        writer.flush()
        if name == "a":
            writer.end({"loss": loss / 2, "val_loss": loss * 2})
        writer.close()
    kinds = {"loss": "string_value", "multi_label": "bool_value"}
    assert sessions(tmp_path) == {
        "a": (
            {**kinds, "gamma": "number_value"},
            "STATUS_SUCCESS",
            {("train", "epoch/loss"): (6, 0.25), ("validation", "epoch/loss"): (6, 1.0)},
        ),
        "b": (  # JSON, which the page reads, has no infinity; and this fit did not come to its end
            {**kinds, "gamma": "string_value"},
            "STATUS_UNKNOWN",
            {("train", "epoch/loss"): (6, 0.125), ("validation", "epoch/loss"): (6, 0.5)},
        ),
        "same as a": (
            {**kinds, "gamma": "number_value"},
            "STATUS_UNKNOWN",
            {("train", "epoch/loss"): (6, 0.5), ("validation", "epoch/loss"): (6, 2.0)},
        ),
    }


def test_a_killed_training_goes_on_without_overlap_or_gap(tmp_path):
    killed = begun(tmp_path, gamma=1.0)
    write(killed, 1, 7)
    write(killed, 1, 6, run="validation")
    write(killed, 3, 3, tag="epoch/loss")
    write(killed, 6, 6, tag="epoch/loss")
    killed.close()
    (file,) = (tmp_path / "train").iterdir()
    os.truncate(file, file.stat().st_size - 5)  # the kill came within the last record, of step 6
    whole = file.read_bytes()
    resumed = begun(tmp_path, 4, gamma=2.0)
    write(resumed, 5, 8, value=0.5)
    write(resumed, 5, 8, value=0.5, run="validation")
    resumed.end({})
    resumed.close()
    steps = [(step, 1.0 if step <= 4 else 0.5) for step in range(1, 9)]
    assert curve(tmp_path, "train", "batch/loss") == steps
    assert curve(tmp_path, "validation", "batch/loss") == steps
    assert curve(tmp_path, "train", "epoch/loss") == [(3, 1.0)]
    (kept,) = (tmp_path / "superseded" / "train").iterdir()
    assert kept.read_bytes() == whole
    again = begun(tmp_path, 2)
    again.close()
    assert curve(tmp_path, "train", "batch/loss") == [(1, 1.0), (2, 1.0)]
    assert len(list((tmp_path / "superseded" / "train").iterdir())) == 3
    runs = plugin_event_multiplexer.EventMultiplexer().AddRunsFromDirectory(str(tmp_path)).Runs()
    assert set(runs) == {".", "train", "validation"}  # what is superseded is not read


def test_wherever_the_kill_came(tmp_path):
    killed, ends = begun(tmp_path / "killed"), []
    for step in (1, 2, 3):
        write(killed, step, step)
        killed.flush()
        (file,) = (tmp_path / "killed" / "train").iterdir()
        ends.append(file.stat().st_size)
    content, train = file.read_bytes(), tmp_path / "logs" / "train"
    train.mkdir(parents=True)
    for size in range(ends[0], ends[2] + 1):
        (train / file.name).write_bytes(content[:size])
        begun(tmp_path / "logs", 1).close()
        # Before step 2 was whole there is nothing to take out, and what is not whole is not read.
        assert (train / file.name).read_bytes() == content[: size if size < ends[1] else ends[0]]
        assert curve(tmp_path / "logs", "train", "batch/loss") == [(1, 1.0)]


def test_a_kill_within_a_record_alone_loses_that_record(tmp_path):
    killed = begun(tmp_path)
    write(killed, 1, 4)
    killed.close()
    (file,) = (tmp_path / "train").iterdir()
    os.truncate(file, file.stat().st_size - 1)
    resumed = begun(tmp_path, 3)
    write(resumed, 4, 5, value=0.5)
    resumed.close()
    assert curve(tmp_path, "train", "batch/loss") == [(1, 1.0), (2, 1.0), (3, 1.0), (4, 0.5), (5, 0.5)]


def test_an_open_tensorboard_sees_each_step_once(tmp_path):
    killed = begun(tmp_path)
    write(killed, 1, 4)
    killed.close()
    reader = plugin_event_accumulator.EventAccumulator(str(tmp_path / "train")).Reload()
    resumed = begun(tmp_path, 2)
    write(resumed, 3, 4, value=0.5)
    resumed.close()
    points = reader.Reload().Tensors("batch/loss")
    points = [(point.step, make_ndarray(point.tensor_proto).item()) for point in points]
    assert points == [(1, 1.0), (2, 1.0), (3, 0.5), (4, 0.5)]


def test_a_new_training_in_an_old_directory(tmp_path):
    for gamma in (1.0, 2.0):
        writer = begun(tmp_path / "logs", gamma=gamma)
        write(writer, 1, 2, value=gamma)
        writer.end({})
        writer.close()
    assert curve(tmp_path / "logs", "train", "batch/loss") == [(1, 2.0), (2, 2.0)]
    (info,) = experiment_of(tmp_path)[1].hparam_infos
    assert (info.domain_interval.min_value, info.domain_interval.max_value) == (2.0, 2.0)


def test_files_of_others_stay_as_they_are(tmp_path):
    theirs = EventFileWriter(str(tmp_path / "train"))
    theirs.add_event(Event(step=9, summary=Summary(value=[Summary.Value(tag="theirs", simple_value=1.0)])))
    theirs.close()
    (tmp_path / "train" / "events.out.tfevents.empty").touch()
    (tmp_path / "train" / "notes.txt").write_text("text")
    contents = {path: path.read_bytes() for path in (tmp_path / "train").iterdir()}
    own = begun(tmp_path)
    write(own, 1, 1)
    own.close()
    begun(tmp_path).close()
    assert {path: path.read_bytes() for path in (tmp_path / "train").iterdir()} == contents


def test_fits_of_one_writer_go_on(tmp_path):
    writer = begun(tmp_path)
    write(writer, 1, 3)
    writer.end({})
    writer.close()
    writer.begin(3, {})
    write(writer, 4, 5)
    writer.end({})
    writer.close()
    assert [step for step, _ in curve(tmp_path, "train", "batch/loss")] == [1, 2, 3, 4, 5]
    writer.begin(0, {})  # another model
    write(writer, 1, 2)
    writer.close()
    assert [step for step, _ in curve(tmp_path, "train", "batch/loss")] == [1, 2]


def test_of_two_writers_of_a_directory_the_newer_one_writes(tmp_path, monkeypatch):
    older = begun(tmp_path / "logs")
    write(older, 1, 5)
    monkeypatch.chdir(tmp_path)
    newer = begun("logs", 3)
    write(newer, 4, 5, value=0.5)
    write(older, 6, 7)
    older.histogram("train", "loss", np.ones(3), 7, 1.0)
    older.flush()
    older.end({})
    older.close()
    gone = weakref.ref(older)
    del older
    assert gone() is None  # at once, without a collection of garbage, which takes a minute of a long run
    monkeypatch.chdir("/")
    write(newer, 6, 6, value=0.5)
    newer.close()
    expected = [(1, 1.0), (2, 1.0), (3, 1.0), (4, 0.5), (5, 0.5), (6, 0.5)]
    assert curve(tmp_path / "logs", "train", "batch/loss") == expected
    assert tags(tmp_path / "logs", "train") == {"batch/loss"}


def test_the_example():
    assert doctest.testmod(tensorboard_writer).failed == 0
