"""Compare losses that tolerate wrong labels with cross-entropy.

    python examples/noisy_labels.py [--output DIR] [--epochs N] [--seeds N]

In scikit-learn's handwritten digits, 0, 20 and 40% of the training labels are changed to any other digit
(symmetric noise) or to the next digit (pair noise). The same small network is trained with each loss, and the
table has its accuracy on test images with correct labels. Every loss has its default hyper-parameters, those
of the papers; a second bi-tempered loss has stronger temperatures. All networks of one loss, one for each
kind of noise and seed, are trained side by side in one model, along one axis of its outputs.
"""

from pathlib import Path

import common
import keras
import matplotlib.pyplot as plt
import numpy as np
from rich.console import Console
from rich.progress import Progress, TaskID
from rich.table import Table
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from keras_losses import (
    ActivePassiveLoss,
    BiTemperedLoss,
    BootstrapLoss,
    CrossentropyLoss,
    GeneralizedCrossentropyLoss,
    SymmetricCrossentropyLoss,
)

CLASSES = 10
NOISE = {
    "clean": ("symmetric", 0.0),
    "any 20%": ("symmetric", 0.2),
    "any 40%": ("symmetric", 0.4),
    "pair 20%": ("pair", 0.2),
    "pair 40%": ("pair", 0.4),
}
LOSSES = {
    "cross-entropy": CrossentropyLoss(from_logits=True),
    "generalized": GeneralizedCrossentropyLoss(from_logits=True),
    "symmetric": SymmetricCrossentropyLoss(from_logits=True),
    "active-passive": ActivePassiveLoss(from_logits=True),
    "bi-tempered": BiTemperedLoss(from_logits=True),
    "bi-tempered .2, 2": BiTemperedLoss(t1=0.2, t2=2.0, from_logits=True),
    "bootstrap, soft": BootstrapLoss(from_logits=True),
    "bootstrap, hard": BootstrapLoss(beta=0.8, hard=True, from_logits=True),
}


def flipped(labels: np.ndarray, kind: str, share: float, seed: int) -> np.ndarray:
    """Labels of which a share is changed to the next class or to any other class."""
    rng = np.random.default_rng(seed)
    wrong = rng.permutation(len(labels)) < round(share * len(labels))
    step = 1 if kind == "pair" else rng.integers(1, CLASSES, len(labels))
    return np.where(wrong, (labels + step) % CLASSES, labels)


def build_model(networks: int, hidden: int = 128) -> keras.Model:
    """Networks with one hidden layer, side by side, each with separate weights and labels."""

    def dense(inputs: int, outputs: int, gain: float) -> keras.Layer:
        # Without a fixed fan-in, Keras would count the axis of the networks as inputs.
        spread = keras.initializers.RandomNormal(stddev=(gain / inputs) ** 0.5)
        equation = "bni,nio->bno"
        return keras.layers.EinsumDense(
            equation, (networks, outputs), bias_axes="no", kernel_initializer=spread
        )

    return keras.Sequential(
        [
            keras.Input((64,)),
            keras.layers.RepeatVector(networks),
            dense(64, hidden, 2.0),
            keras.layers.ReLU(),
            dense(hidden, CLASSES, 1.0),
        ]
    )


def train(loss: keras.losses.Loss, seeds: int, epochs: int, progress: Progress, task: TaskID) -> np.ndarray:
    """Test accuracies of shape (epochs, kinds of noise, seeds)."""
    digits = load_digits()
    images = (digits.data / 16.0).astype("float32")
    x, x_test, y, y_test = train_test_split(
        images, digits.target, test_size=0.4, stratify=digits.target, random_state=0
    )
    labels = [flipped(y, kind, share, seed) for kind, share in NOISE.values() for seed in range(seeds)]
    keras.utils.set_random_seed(0)
    model = build_model(len(labels))
    model.compile(keras.optimizers.Adam(2e-3), loss=loss)
    order, accuracies = np.random.default_rng(0), []
    for _ in range(epochs):
        # Shuffled here, because Keras on TensorFlow repeats one order with a fixed seed.
        turn = order.permutation(len(x))
        model.fit(x[turn], np.stack(labels, axis=1)[turn], batch_size=64, shuffle=False, verbose=0)
        found = np.asarray(model.predict_on_batch(x_test)).argmax(-1)
        accuracies.append((found == y_test[:, None]).mean(0))
        progress.advance(task)
    return np.stack(accuracies).reshape(epochs, len(NOISE), seeds)


def table_of(results: dict[str, np.ndarray]) -> Table:
    """Table of accuracies after the last epoch, with the best of each column in bold."""
    seeds = next(iter(results.values())).shape[-1]
    table = Table(
        title=f"Test accuracy on clean labels in %, mean ± deviation over {seeds} seeds",
        box=None,
        padding=(0, 1, 0, 0),
    )
    table.add_column("loss", no_wrap=True)
    last = {name: 100 * curves[-1] for name, curves in results.items()}
    best = np.max([found.mean(-1) for found in last.values()], axis=0)
    for noise in NOISE:
        table.add_column(noise, justify="right")
    for name, found in last.items():
        cells = [f"{row.mean():.1f} ± {row.std():.1f}" for row in found]
        bold = [row.mean() == top for row, top in zip(found, best, strict=True)]
        table.add_row(name, *(f"[bold]{c}[/]" if b else c for c, b in zip(cells, bold, strict=True)))
    return table


def plot(results: dict[str, np.ndarray], path: Path) -> None:
    """Plot the accuracy over the epochs, with a panel for each kind of noise."""
    figure, panels = plt.subplots(1, len(NOISE), figsize=(3.2 * len(NOISE), 3.6), sharey=True)
    for number, (panel, noise) in enumerate(zip(panels, NOISE, strict=True)):
        for turn, (name, curves) in enumerate(results.items()):
            steps = np.arange(1, len(curves) + 1)
            mean, deviation = 100 * curves[:, number].mean(-1), 100 * curves[:, number].std(-1)
            color = "black" if turn == 0 else f"C{turn - 1}"
            panel.plot(steps, mean, color=color, label=name, linewidth=2 if turn == 0 else 1.4)
            panel.fill_between(
                steps, mean - deviation, mean + deviation, color=color, alpha=0.12, linewidth=0
            )
        panel.set(title=noise, xlabel="epoch", ylim=(50, 100))
        panel.grid(alpha=0.3)
    panels[0].set_ylabel("test accuracy in %")
    handles, names = panels[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="lower center", ncols=4, frameon=False)
    figure.tight_layout(rect=(0, 0.14, 1, 1))
    common.save(figure, path)


def main() -> None:
    arguments = common.arguments(__doc__, "noisy_labels", epochs=40, seeds=5)

    results = {}
    with Progress() as progress:
        for name, loss in LOSSES.items():
            task = progress.add_task(name, total=arguments.epochs)
            results[name] = train(loss, arguments.seeds, arguments.epochs, progress, task)
    console = Console()
    console.print(table_of(results))
    plot(results, arguments.output / "noisy_labels.png")


if __name__ == "__main__":
    main()
