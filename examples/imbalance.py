"""Compare a start at the base rates, and six losses on a long tail of digits.

    python examples/imbalance.py [--output DIR] [--epochs N] [--seeds N]

Both parts use scikit-learn's handwritten digits. The first part separates the 8s from the other digits, where
one image in fifty is an 8, with and without the bias that `output_bias` computes from the labels. The second
part classifies all ten digits after a long tail was cut: 90 images of 0 are left, each further digit has
fewer, and 9 has two. The test images keep all digits at equal shares. A small network is trained with each
loss from the same initial weights. `LDAMLoss` has the normalised last layer of its paper, but not the class
weights of the paper's last epochs. No hyper-parameter was tuned.
"""

from collections.abc import Callable
from pathlib import Path

import common
import keras
import matplotlib.pyplot as plt
import numpy as np
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from sklearn.datasets import load_digits
from sklearn.metrics import recall_score
from sklearn.model_selection import train_test_split

from keras_losses import (
    CrossentropyLoss,
    FocalLoss,
    LDAMLoss,
    LogitAdjustedLoss,
    SeesawLoss,
    class_counts,
    class_weights,
    output_bias,
)

RARE_DIGIT, RARE_SHARE = 8, 0.02
MOST, FEWEST = 90, 2
STEPS = 150

LOSSES: dict[str, Callable[[np.ndarray], keras.losses.Loss]] = {
    "CrossentropyLoss": lambda counts: CrossentropyLoss(from_logits=True),
    "with class_weights": lambda counts: CrossentropyLoss(
        class_weight=class_weights(counts), from_logits=True
    ),
    "FocalLoss": lambda counts: FocalLoss(gamma=2.0, from_logits=True),
    "LogitAdjustedLoss": lambda counts: LogitAdjustedLoss(counts, from_logits=True),
    "LDAMLoss": lambda counts: LDAMLoss(counts, from_logits=True),
    "SeesawLoss": lambda counts: SeesawLoss(counts, from_logits=True),
}


def load_images() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Training and test halves of the images, each with all digits at equal shares."""
    digits = load_digits()
    images = (digits.data / 16.0).astype("float32")
    x, x_test, y, y_test = train_test_split(
        images, digits.target, test_size=0.5, stratify=digits.target, random_state=0
    )
    return x, y, x_test, y_test


def thinned(y: np.ndarray, kept: dict[int, int], seed: int) -> np.ndarray:
    """Indices of the images that remain if only `counts` images of some digits are kept."""
    rng = np.random.default_rng(seed)
    of_digits = [rng.permutation(np.flatnonzero(y == digit))[: kept.get(digit)] for digit in range(10)]
    return np.concatenate(of_digits)


# A start at the base rates --------------------------------------------------------------------------------


def first_steps(with_bias: bool, seed: int) -> list[float]:
    """Loss on all training images before the first step and after each step."""
    x, y, _, _ = load_images()
    others = int((y != RARE_DIGIT).sum())
    chosen = thinned(y, {RARE_DIGIT: round(others * RARE_SHARE / (1 - RARE_SHARE))}, seed)
    x, y = x[chosen], (y[chosen] == RARE_DIGIT).astype("int32")

    keras.utils.set_random_seed(seed)
    bias = keras.initializers.Constant(output_bias(y)) if with_bias else "zeros"
    head = keras.layers.Dense(1, bias_initializer=bias)
    model = keras.Sequential([keras.Input((64,)), keras.layers.Dense(64, activation="relu"), head])
    loss = CrossentropyLoss(from_logits=True)
    model.compile(keras.optimizers.Adam(1e-3), loss=loss)
    losses = [float(loss(y, model(x)))]
    order = np.random.default_rng(seed).integers(0, len(y), (STEPS, 64))
    for batch in order:
        model.train_on_batch(x[batch], y[batch])
        losses.append(float(loss(y, model(x))))
    return losses


def table_of_starts(starts: dict[str, list[list[float]]]) -> Table:
    """Mean and standard deviation over the seeds; the base rate's loss is the entropy of the labels."""
    base_rate = -RARE_SHARE * np.log(RARE_SHARE) - (1 - RARE_SHARE) * np.log(1 - RARE_SHARE)
    title = f"The first {STEPS} steps: one image in {1 / RARE_SHARE:.0f} is an {RARE_DIGIT}"
    headings = ("loss at the start", "after 20 steps", f"after {STEPS}", "steps until the base rate")
    table = common.table(title, "bias", *headings)
    for name, runs in starts.items():
        below = [next((step for step, loss in enumerate(run) if loss < base_rate), STEPS) for run in runs]
        columns = ([run[step] for run in runs] for step in (0, 20, STEPS))
        table.add_row(name, *map(common.spread, columns), common.spread(below, digits=0))
    return table


# A long tail ------------------------------------------------------------------------------------------------


def tail() -> dict[int, int]:
    """Number of images of each digit: 90 of 0, down to 2 of 9."""
    return {digit: round(MOST * (FEWEST / MOST) ** (digit / 9)) for digit in range(10)}


def build_model(cosines: bool) -> keras.Model:
    """A small network whose last layer returns logits, or cosines for losses that need them."""
    layers = [keras.Input((64,)), keras.layers.Dense(64, activation="relu")]
    if cosines:
        of_length_1 = keras.constraints.UnitNorm(axis=0)
        head = keras.layers.Dense(10, use_bias=False, kernel_constraint=of_length_1)
        return keras.Sequential([*layers, keras.layers.UnitNormalization(), head])
    return keras.Sequential([*layers, keras.layers.Dense(10)])


def recalls(name: str, seed: int, epochs: int) -> np.ndarray:
    """Recall of each digit on the test images, for a model trained with the loss `name`."""
    x, y, x_test, y_test = load_images()
    chosen = thinned(y, tail(), seed)
    x, y = x[chosen], y[chosen]
    keras.utils.set_random_seed(seed)
    model = build_model(cosines=name == "LDAMLoss")
    loss = LOSSES[name](class_counts(y, num_classes=10))
    model.compile(keras.optimizers.Adam(3e-3), loss=loss)
    model.fit(x, y, batch_size=64, epochs=epochs, verbose=0)
    guesses = np.asarray(model(x_test)).argmax(-1)
    return np.asarray(recall_score(y_test, guesses, average=None))


def table_of_losses(found: dict[str, list[np.ndarray]]) -> Table:
    """Mean and standard deviation over the seeds, for all digits and for the common and the rare half."""
    seeds = len(next(iter(found.values())))
    title = f"A long tail of digits: test images, mean ± deviation over {seeds} seeds"
    table = common.table(title, "loss", "balanced accuracy", "digits 0 to 4", "digits 5 to 9")
    for name, of_seeds in found.items():
        parts = (slice(None), slice(None, 5), slice(5, None))
        table.add_row(name, *(common.spread([float(run[part].mean()) for run in of_seeds]) for part in parts))
    return table


def draw(starts: dict[str, list[list[float]]], found: dict[str, list[np.ndarray]], path: Path) -> None:
    """Plot the losses of the first steps, a line for each seed, and the recall of each digit."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
    for (name, runs), color in zip(starts.items(), ("tab:gray", "tab:blue"), strict=True):
        for number, run in enumerate(runs):
            left.plot(run, color=color, alpha=0.7, lw=1, label=name if number == 0 else None)
    left.set(xlabel="step", ylabel="loss on all training images", title="the first steps", ylim=(0, None))
    for name, of_seeds in found.items():
        plain = name == "CrossentropyLoss"
        style = {"color": "black", "lw": 2} if plain else {"lw": 1.2}
        right.plot(np.mean(of_seeds, axis=0), marker=".", label=name, **style)
    names = [f"{digit}\n{kept}" for digit, kept in tail().items()]
    right.set_xticks(range(10), names)
    right.set(xlabel="digit, and how many images of it", ylabel="recall on test images", ylim=(0, 1.02))
    right.set_title("a long tail")
    for axes in (left, right):
        axes.legend(frameon=False)
    common.save(figure, path)


def main() -> None:
    arguments = common.arguments(__doc__, "imbalance", epochs=40, seeds=5)
    console = Console()
    starts: dict[str, list[list[float]]] = {"zeros": [], "output_bias": []}
    found: dict[str, list[np.ndarray]] = {name: [] for name in LOSSES}
    with Progress(console=console, transient=True) as progress:
        whole = progress.add_task("training", total=(len(starts) + len(found)) * arguments.seeds)
        for seed in range(arguments.seeds):
            for name in starts:
                starts[name].append(first_steps(name == "output_bias", seed))
                progress.advance(whole)
            for name in found:
                found[name].append(recalls(name, seed, arguments.epochs))
                progress.advance(whole)
    console.print(table_of_starts(starts))
    console.print(table_of_losses(found))
    draw(starts, found, arguments.output / "imbalance.png")


if __name__ == "__main__":
    main()
