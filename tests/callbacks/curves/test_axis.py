"""Where the curves of a training stand that does not begin with the first update of its optimizer."""

import csv
import shutil
import warnings

import keras
import pytest

from keras_losses import AbsoluteErrorLoss, SquaredErrorLoss
from keras_losses.callbacks import CSVWriter, JSONLinesWriter, LossCurves, LossReport
from keras_losses.callbacks.curves import axis
from keras_losses.callbacks.writers import owner
from keras_losses.callbacks.writers.recorded import Recorded, Seam
from keras_losses.callbacks.writers.report import _read
from tests.callbacks.curves.test_loss_curves import Remembered, warnings_of
from tests.callbacks.small import Interrupt, curve, data, fit, model, points_of

EPOCH_STEPS = [3, 6, 9, 12, 15, 18]
"""Three epochs of three batches, twice."""


def compile_again(one_weight):
    one_weight.compile(keras.optimizers.SGD(0.0), loss="mse", run_eagerly=True)


def a_new_process():
    """Forget what the module knows of writers and optimizers, as a new process does."""
    for place in list(owner._owners):
        del owner._owners[place]
    axis._followed.clear()


def csv_steps(path, tag="epoch/loss"):
    return [int(row["step"]) for row in csv.DictReader(path.open()) if row["tag"] == tag]


def epoch_steps(directory):
    return [step for step, _ in curve(directory, "train", "epoch/loss")]


def phases(directory, writers=lambda: ()):
    """Train for three epochs, compile again, and go on to the sixth."""
    tuned = model()
    fit(tuned, LossCurves(directory, writers=writers()), epochs=3)
    compile_again(tuned)
    fit(tuned, LossCurves(directory, writers=writers()), initial_epoch=3, epochs=6)
    return tuned


def test_fine_tuning_continues_the_axis(tmp_path):
    told = Remembered()

    def writers():
        return [
            CSVWriter(tmp_path / "curves.csv"),
            JSONLinesWriter(tmp_path / "curves.jsonl"),
            LossReport(tmp_path / "report.html"),
            told,
        ]

    (message,) = warnings_of(lambda: phases(tmp_path / "logs", writers))
    assert "has made 0 updates, and the curves reach step 9" in message
    assert "continue after step 9" in message
    assert epoch_steps(tmp_path / "logs") == EPOCH_STEPS
    batches = [
        (3 * epoch + step, loss) for epoch in range(6) for step, loss in ((1, 2.5), (2, 12.5), (3, 25.0))
    ]
    assert curve(tmp_path / "logs", "train", "batch/loss") == batches
    assert curve(tmp_path / "logs", "train", "optimizer_updates") == [(9, 0.0)]
    assert csv_steps(tmp_path / "curves.csv") == EPOCH_STEPS
    assert (tmp_path / "curves.jsonl").read_text().count('"tag": "epoch/loss"') == 6
    assert _read(tmp_path / "report.html").curve("train", "epoch/loss").steps == EPOCH_STEPS
    assert [(each[3]) for each in told.told if each[1:2] == ("epoch/loss",)] == EPOCH_STEPS
    assert sorted(path.name for path in tmp_path.rglob("*") if "superseded" in path.name) == []
    assert sorted(path.name for path in tmp_path.rglob("*") if "unfinished" in path.name) == []


def test_fine_tuning_with_one_callback_and_a_writer_that_cannot_tell():
    told, tuned = Remembered(), model()
    curves = LossCurves(writers=[told])
    fit(tuned, curves, epochs=3)
    compile_again(tuned)
    with pytest.warns(UserWarning, match="continue after step 9"):
        fit(tuned, curves, initial_epoch=3, epochs=6)
    assert [(each[3]) for each in told.told if each[1:2] == ("epoch/loss",)] == EPOCH_STEPS


def test_a_fine_tuning_that_was_killed_goes_on_in_its_own_phase(tmp_path):
    directory = tmp_path / "logs"
    with pytest.warns(UserWarning, match="continue after step 9"):
        tuned = phases(directory)
    tuned.save(tmp_path / "at_step_18.keras")
    fit(tuned, LossCurves(directory))  # the optimizer has made 12 updates
    a_new_process()
    restored = keras.saving.load_model(tmp_path / "at_step_18.keras")
    assert warnings_of(lambda: fit(restored, LossCurves(directory), epochs=2)) == []
    assert epoch_steps(directory) == [*EPOCH_STEPS, 21, 24]
    assert (directory / "superseded" / "train").exists()  # the repeated steps 19 to 21


def test_each_fold_stands_behind_the_one_before(tmp_path):
    for _ in range(3):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            writers = [CSVWriter(tmp_path / "curves.csv")]
            fit(model(), LossCurves(tmp_path / "logs", writers=writers), epochs=2)
    assert epoch_steps(tmp_path / "logs") == csv_steps(tmp_path / "curves.csv") == EPOCH_STEPS
    assert curve(tmp_path / "logs", "train", "optimizer_updates") == [(6, 0.0), (12, 0.0)]
    assert not (tmp_path / "logs" / "superseded").exists()


def test_folds_that_begin_with_a_trained_optimizer(tmp_path):
    before = model()
    fit(before, epochs=3)
    before.save(tmp_path / "trained.keras")
    for _ in range(2):
        fold = keras.saving.load_model(tmp_path / "trained.keras")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fit(fold, LossCurves(tmp_path / "logs"), epochs=2)
    assert epoch_steps(tmp_path / "logs") == [12, 15, 18, 21]


def test_a_fit_from_a_checkpoint_repeats_steps(tmp_path):
    first = model()
    fit(first, LossCurves(tmp_path / "logs"), epochs=2)
    first.save(tmp_path / "model.keras")
    fit(first, LossCurves(tmp_path / "logs"))
    second = keras.saving.load_model(tmp_path / "model.keras")
    fit(second, LossCurves(tmp_path / "logs"), epochs=2)
    assert epoch_steps(tmp_path / "logs") == [3, 6, 9, 12]
    assert points_of(tmp_path / "logs" / "superseded" / "train") == {}  # TensorBoard does not read them
    assert (tmp_path / "logs" / "superseded" / "train").exists()


@pytest.mark.parametrize("epochs", [0, 2])
def test_an_interrupted_fit_is_kept_when_the_model_is_compiled_again(tmp_path, epochs):
    interrupted = model()
    with pytest.raises(KeyboardInterrupt):
        fit(interrupted, LossCurves(tmp_path), Interrupt(epoch=epochs, batch=2), epochs=3)
    compile_again(interrupted)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit(interrupted, LossCurves(tmp_path))
    done = 3 * epochs + 2
    steps = [step for step, _ in curve(tmp_path, "train", "batch/loss")]
    assert steps == list(range(1, done + 4))


@pytest.mark.parametrize(("epoch", "kept"), [(0, []), (2, [3, 6])])
def test_a_killed_process_that_begins_again_without_a_backup(tmp_path, epoch, kept):
    """The backup is made after an epoch, so a process that has recorded two of them was not restored."""
    killed = tmp_path / "killed"

    class Copy(keras.callbacks.Callback):
        def on_epoch_end(self, at, logs=None):
            if at == epoch:
                shutil.copytree(tmp_path / "logs", killed)

    # The copy has the files that a kill after the first batches of an epoch leaves.
    fit(model(), Copy(), LossCurves(tmp_path / "logs", flush_every=1), epochs=3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit(model(), LossCurves(killed))
    last = kept[-1] + 1 if kept else 0  # the second batch is in memory until the third begins
    assert epoch_steps(killed) == [*kept, last + 3]


def test_two_models_take_turns(tmp_path):
    one, other, curves = model(), model(), LossCurves(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for turn in (one, other, one, other):
            fit(turn, curves)
    assert epoch_steps(tmp_path) == [3, 6, 9, 12]


def recorded(**values):
    return Recorded(**{"last": 9, "first": 1, "epoch_ends": [3, 6, 9], **values})


@pytest.mark.parametrize(
    ("before", "updates", "goes_on", "seam"),
    [
        (Recorded(), 0, False, (0, 0)),
        (Recorded(), 1000, False, (0, 0)),  # the steps are the updates, whatever was made before
        (recorded(), 9, False, (0, 0)),
        (recorded(), 12, False, (0, 0)),
        (recorded(), 6, False, (0, 0)),  # restored
        (recorded(), 6, True, (9, 6)),  # this optimizer has made no more; the others are of another model
        (recorded(), 0, False, (9, 0)),  # compiled again
        (recorded(unfinished=True), 0, False, (9, 0)),
        (recorded(unfinished=True, last=5, epoch_ends=[3]), 0, False, (0, 0)),
        (recorded(unfinished=False, last=5, epoch_ends=[3]), 0, False, (5, 0)),
        (recorded(seam=Seam(6, 0), first=7), 3, False, (6, 0)),
        (recorded(seam=Seam(6, 0), first=7), 0, False, (9, 0)),
        (recorded(seam=Seam(9, 0), first=None, epoch_ends=[]), 0, False, (9, 0)),
        (recorded(seam=Seam(6, 100), first=7), 50, False, (9, 50)),
    ],
)
def test_the_seam_of_a_fit(before, updates, goes_on, seam):
    assert axis.seam_of(before, updates, goes_on) == seam


class TwoOptimizers(keras.Model):
    """A model whose `train_step` leaves the compiled optimizer alone, as GANs of keras.io do."""

    def __init__(self, records_batches=True):
        super().__init__()
        self.dense = keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros")
        self.records_batches = records_batches
        self.updates = False

    def call(self, x):
        return self.dense(x)

    def train_step(self, data):
        x, y = data
        if self.records_batches:
            loss = self.compute_loss(x, y, self(x))
        else:
            loss = keras.ops.mean(keras.ops.square(y - self(x)))
        if self.updates:
            self.optimizer.iterations.assign_add(1)
        return {"loss": loss}


def gan(**given):
    made = TwoOptimizers(**given)
    made.compile(loss="mse", run_eagerly=True)
    made(data()[0])
    return made


on_other_than_jax = pytest.mark.skipif(
    keras.backend.backend() == "jax",
    reason="a `train_step` on JAX returns the state of the compiled optimizer",
)


@on_other_than_jax
@pytest.mark.parametrize("flush_every", [1, 100])
def test_batches_are_counted_where_the_compiled_optimizer_makes_no_update(tmp_path, flush_every):
    trained = gan()
    curves = LossCurves(tmp_path, flush_every=flush_every)
    (message,) = warnings_of(lambda: fit(trained, curves, epochs=2))
    assert "made no update" in message
    assert "the learning rate that they show is not used" in message
    losses = [(1, 2.5), (2, 12.5), (3, 25.0), (4, 2.5), (5, 12.5), (6, 25.0)]
    assert curve(tmp_path, "train", "batch/loss") == losses
    assert [step for step, _ in curve(tmp_path, "train", "learning_rate")] == [1, 2, 3, 4, 5, 6]
    assert epoch_steps(tmp_path) == [3, 6]
    assert warnings_of(lambda: fit(trained, LossCurves(tmp_path), validation_data=data()))[1:] == []
    assert epoch_steps(tmp_path) == [3, 6, 9]
    assert [step for step, _ in curve(tmp_path, "validation", "batch/loss")] == [7, 8, 9]


@on_other_than_jax
@pytest.mark.parametrize("has_optimizer", [True, False])
def test_epochs_of_a_step_without_compute_loss_are_counted_too(tmp_path, has_optimizer):
    trained = gan(records_batches=False)
    if not has_optimizer:
        trained.optimizer = None
    warnings_of(lambda: fit(trained, LossCurves(tmp_path), epochs=2))
    assert epoch_steps(tmp_path) == [3, 6]
    assert curve(tmp_path, "train", "batch/loss") == []


@on_other_than_jax
@pytest.mark.parametrize("batches", [True, False])
def test_updates_after_epochs_without_any_continue_the_axis(tmp_path, batches):
    class UpdatesFromTheThirdEpoch(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            self.model.updates = epoch >= 2

    def train(trained, epochs):
        curves = LossCurves(tmp_path, batches=batches)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fit(trained, UpdatesFromTheThirdEpoch(), curves, initial_epoch=epochs[0], epochs=epochs[1])

    train(gan(), (0, 4))
    assert epoch_steps(tmp_path) == [3, 6, 9, 12]
    assert curve(tmp_path, "train", "optimizer_updates") == [(6, 0.0)]
    a_new_process()
    restored = gan()
    restored.optimizer.iterations.assign(3)  # at step 9
    train(restored, (3, 5))
    assert epoch_steps(tmp_path) == [3, 6, 9, 12, 15]


@on_other_than_jax
def test_the_terms_of_a_model_that_overrides_its_metrics(tmp_path):
    """Keras resets the metrics that a model names; the sums of the terms are of one epoch all the same."""

    class WithMetrics(TwoOptimizers):
        @property
        def metrics(self):
            return []

    trained = WithMetrics()
    trained.compile(loss=SquaredErrorLoss() + 0.5 * AbsoluteErrorLoss(), run_eagerly=True)
    trained(data()[0])
    x, y = data((1.0, 1.0))
    curves = LossCurves(tmp_path)
    with pytest.warns(UserWarning, match="made no update"):
        trained.fit(x, y, verbose=0, callbacks=[curves])
    trained.fit(x, 3.0 * y, verbose=0, callbacks=[curves])
    assert curve(tmp_path, "train", "epoch/terms/squared_error_loss") == [(1, 1.0), (2, 9.0)]


@pytest.mark.parametrize("path", ["gs://bucket/logs", "s3://bucket/logs", "memory://logs"])
def test_remote_paths_are_refused(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for make, argument in ((LossCurves, "log_dir"), (CSVWriter, "path"), (JSONLinesWriter, "path")):
        with pytest.raises(
            ValueError, match=rf"`\w+`: `{argument}` must be a local path. Received: '{path}'"
        ):
            make(path)
    with pytest.raises(ValueError, match="`LossReport`: `path` must be a local path"):
        LossReport(f"{path}/report.html")
    assert list(tmp_path.iterdir()) == []
