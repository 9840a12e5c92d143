"""Find a learning rate, compare schedules, and interrupt and resume a training.

    python examples/curves.py [--output DIR] [--epochs N] [--seeds N]

A small network learns scikit-learn's handwritten digits. A range test suggests a learning rate. The network
is trained with this rate by several schedules, over several seeds. One training is interrupted in the middle
of an epoch and resumed from its backup; its curves are compared with those of an uninterrupted one. The
output folder receives logs for TensorBoard, a report of one training as a page and as a picture, and a
picture of all trainings.
"""

import time
from pathlib import Path
from typing import Any

import common
import keras
import matplotlib.pyplot as plt
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from keras_losses import CrossentropyLoss, GeneralizedCrossentropyLoss
from keras_losses.callbacks import (
    CSVWriter,
    LearningRateCurve,
    LossCurves,
    LossReport,
    OneCycle,
    PlateauDecay,
    Warmup,
    WarmupStableDecay,
    Writer,
    find_learning_rate,
)

BATCH = 64
BROKEN_OFF = "OneCycle"
"""Schedule of the training that is also interrupted in the middle of an epoch and resumed."""


def build_model(seed: int) -> keras.Model:
    keras.utils.set_random_seed(seed)
    return keras.Sequential(
        [
            keras.Input((64,)),
            keras.layers.Dense(64, activation="relu", name="hidden"),
            keras.layers.Dense(10, kernel_regularizer=keras.regularizers.L2(1e-3), name="logits"),
        ]
    )


def compiled(seed: int, rate: Any) -> keras.Model:
    model = build_model(seed)
    loss = CrossentropyLoss(from_logits=True) + 0.5 * GeneralizedCrossentropyLoss(from_logits=True)
    model.compile(keras.optimizers.SGD(rate, momentum=0.9), loss=loss, metrics=["accuracy"])
    return model


def load_images() -> list[Any]:
    """Training images and labels, and held-out images and labels."""
    digits = load_digits()
    images = (digits.data / 16.0).astype("float32")
    x, x_test, y, y_test = train_test_split(images, digits.target, test_size=0.5, random_state=0)
    whole = len(x) // BATCH * BATCH  # a last batch of two images would count as much as a full one
    return [x[:whole], y[:whole], x_test, y_test]


def schedules(peak: float, steps: int) -> dict[str, Any]:
    """Schedules with the same highest rate over the same number of steps."""
    cosine = keras.optimizers.schedules.CosineDecay(peak, steps - steps // 10)
    return {
        "the rate as it is": peak,
        "PlateauDecay": peak,
        "Warmup, then Keras's CosineDecay": Warmup(cosine, steps // 10),
        "OneCycle": OneCycle(peak, steps),
        "WarmupStableDecay": WarmupStableDecay(peak, steps, warmup=steps // 10, decay=steps // 5),
    }


def train(name: str, rate: Any, seed: int, epochs: int, logs: Path, *others: Any) -> dict[str, list[float]]:
    """Train one network, write its curves to `logs`, and return the history of `fit`."""
    x, y, x_test, y_test = load_images()
    writers: list[Writer] = [CSVWriter(logs / "curves.csv")]
    if logs.name.endswith("broken off"):  # this training is looked at closely
        writers += [LossReport(logs / "report.html"), LossReport(logs / "report.png")]
    examine = (x_test[:256], y_test[:256]) if name == BROKEN_OFF and seed == 0 else None
    curves = LossCurves(logs, writers=writers, examine=examine)
    plateau = [PlateauDecay("val_loss", factor=0.3, patience=1)] if name == "PlateauDecay" else []
    history: dict[str, list[float]] = (
        compiled(seed, rate)
        .fit(
            x,
            y,
            batch_size=BATCH,
            epochs=epochs,
            validation_data=(x_test, y_test),
            validation_batch_size=300,
            shuffle=False,  # a resumed training sees the batches that an uninterrupted one sees
            callbacks=[*plateau, curves, *others],
            verbose=0,
        )
        .history
    )
    return history


def points(logs: Path) -> dict[tuple[str, str], list[tuple[int, float]]]:
    """Curves as TensorBoard reads them."""
    found = {}
    for run in ("train", "validation"):
        events = EventAccumulator(str(logs / run), size_guidance={"scalars": 0}).Reload()
        for tag in events.Tags()["scalars"]:
            found[run, tag] = [(event.step, event.value) for event in events.Scalars(tag)]
    return found


def broken_off(rate: Any, epochs: int, logs: Path, backup: Path) -> None:
    """Interrupt a training, and resume it with a new model and new callbacks."""
    for others in ([common.Interrupt(epochs // 2, batch=5)], []):
        try:
            restore = keras.callbacks.BackupAndRestore(backup)
            train(BROKEN_OFF, rate, 0, epochs, logs, restore, *others)
        except KeyboardInterrupt:
            pass


def largest_difference(logs: Path, other: Path) -> float:
    """Largest difference between two records of curves, which must have the same steps."""
    one, two = points(logs), points(other)
    assert one.keys() == two.keys(), one.keys() ^ two.keys()
    largest = 0.0
    for key, expected in one.items():
        assert [step for step, _ in expected] == [step for step, _ in two[key]], key
        largest = max(largest, *(abs(a - b) for (_, a), (_, b) in zip(expected, two[key], strict=True)))
    return largest


def table_of(scores: dict[str, list[dict[str, list[float]]]]) -> Table:
    """Mean and standard deviation over the seeds in the last epoch."""
    seeds = len(next(iter(scores.values())))
    title = f"Held-out digits after the last epoch, mean ± deviation over {seeds} seeds"
    table = common.table(title, "learning rate", "cross-entropy", "accuracy")
    for name, histories in scores.items():
        cells = []
        for log in ("val_crossentropy_loss", "val_accuracy"):
            cells.append(common.spread([history[log][-1] for history in histories], digits=4))
        table.add_row(name, *cells)
    return table


def draw(found: LearningRateCurve, logs: dict[str, Path], half: int, path: Path) -> None:
    figure, axes = plt.subplots(2, 2, figsize=(13, 8.5), layout="constrained")
    found.plot(axes[0, 0])
    axes[0, 0].set_title("find_learning_rate: the loss at each rate", loc="left", pad=40)
    colors = dict(zip(logs, plt.get_cmap("tab10").colors, strict=False))
    for name, directory in logs.items():
        curves = points(directory)
        width = 2.5 if name.startswith(BROKEN_OFF) else 1.5
        style = {"color": colors[name], "linewidth": width, "label": name}
        if not name.endswith("broken off"):
            axes[0, 1].plot(*zip(*curves["train", "learning_rate"], strict=True), **style)
            axes[1, 0].plot(
                *zip(*curves["validation", "epoch/terms/crossentropy_loss"], strict=True), **style
            )
    axes[0, 1].set(xlabel="update", ylabel="learning rate")
    axes[0, 1].set_title("What LossCurves has read of each schedule", loc="left")
    axes[1, 0].set(xlabel="update", ylabel="cross-entropy of held-out digits", yscale="log")
    axes[1, 0].set_title("What comes of it", loc="left")
    axes[1, 0].legend(frameon=False, fontsize=9)
    last = axes[1, 1]
    whole, parts = points(logs[BROKEN_OFF]), points(logs[f"{BROKEN_OFF}, broken off"])
    x, y = zip(*whole["train", "batch/loss"], strict=True)
    last.plot(x, y, color="#9aa5b1", linewidth=4, label="in one go")
    x, y = zip(*parts["train", "batch/loss"], strict=True)
    last.plot(x, y, color="#b03a2e", linewidth=1, label="broken off and gone on with")
    last.axvline(half, color="black", linestyle=":", linewidth=1)
    last.annotate("broken off here ", (half, max(y)), ha="right", va="top", fontsize=9)
    last.set(xlabel="update", ylabel="loss of each batch", yscale="log")
    last.set_title("Broken off, and gone on with: the same curve", loc="left")
    last.legend(frameon=False, fontsize=9)
    common.save(figure, path)


def main() -> None:
    arguments = common.arguments(__doc__, "curves", epochs=12, seeds=2)
    begun, console, output = time.perf_counter(), Console(), arguments.output

    x, y, _, _ = load_images()
    found = find_learning_rate(compiled(0, 0.01), x, y, batch_size=BATCH, min_rate=1e-4, max_rate=10.0)
    suggested = ", ".join(f"{name} {rate:.2g}" for name, rate in found.suggestions.items())
    console.print(f"find_learning_rate suggests: {suggested} (the test has {found.stopped}).")
    # A tenth of the rate with the lowest loss: a decaying rate may start higher than a constant one.
    peak = found.suggestions.get("minimum", 0.1)
    steps = arguments.epochs * (len(x) // BATCH)

    scores: dict[str, list[dict[str, list[float]]]] = {}
    logs: dict[str, Path] = {}
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("training", total=arguments.seeds * len(schedules(peak, steps)) + 1)
        for seed in range(arguments.seeds):
            for name, rate in schedules(peak, steps).items():
                directory = output / "logs" / f"{name} {seed}"
                logs.setdefault(name, directory)
                history = train(name, rate, seed, arguments.epochs, directory)
                scores.setdefault(name, []).append(history)
                progress.advance(task)
        rate = schedules(peak, steps)[BROKEN_OFF]
        logs[f"{BROKEN_OFF}, broken off"] = output / "logs" / f"{BROKEN_OFF} 0, broken off"
        broken_off(rate, arguments.epochs, logs[f"{BROKEN_OFF}, broken off"], output / "backup")
        progress.advance(task)

    console.print(table_of(scores))
    difference = largest_difference(logs[BROKEN_OFF], logs[f"{BROKEN_OFF}, broken off"])
    console.print(
        f"Broken off and gone on with: the same steps, and no point differs by more than {difference:.1g}."
    )
    half = arguments.epochs // 2 * (len(x) // BATCH) + 5
    draw(found, logs, half, output / "curves.png")
    console.print(
        f"A picture: {output / 'curves.png'}, a report: {logs[f'{BROKEN_OFF}, broken off'] / 'report.html'}"
    )
    console.print(
        f"tensorboard --logdir {output / 'logs'}   # Custom Scalars, HParams: the trainings compared"
    )
    console.print(f"{time.perf_counter() - begun:.0f} seconds")


if __name__ == "__main__":
    main()
