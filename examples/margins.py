"""Train support vector machines by gradient descent and compare them with scikit-learn's LinearSVC.

    python examples/margins.py [--output DIR] [--steps N]

A linear layer with a hinge loss and an L2 penalty is a linear support vector machine. For three data sets the
table compares the objective and the test accuracy of LinearSVC, which has its own solver, with those of
`compile` and `fit` on the same objective.
"""

import itertools
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import common
import keras
import matplotlib.pyplot as plt
import numpy as np
from rich.box import SIMPLE
from rich.console import Console
from rich.progress import track
from rich.table import Table
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from keras_losses import HingeLoss, MulticlassHingeLoss

DATA = {"breast cancer": load_breast_cancer, "wine": load_wine, "digits": load_digits}
C = 0.1
EPOCHS = 30
HEADINGS = ("data", "loss", "SVC", "Keras", "above by", "SVC", "Keras")
KINDS: dict[str, tuple[dict[str, Any], Callable[[], keras.losses.Loss]]] = {
    "hinge": ({"loss": "hinge"}, HingeLoss),
    "squared hinge": ({"loss": "squared_hinge"}, lambda: HingeLoss(power=2)),
    "crammer_singer": ({"multi_class": "crammer_singer"}, MulticlassHingeLoss),
}


@dataclass
class Samples:
    """Standardised samples with a constant feature for the intercept, which LinearSVC penalises too."""

    x: np.ndarray
    y: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray


def load(name: str) -> Samples:
    data = DATA[name]()
    x, x_test, y, y_test = train_test_split(
        data.data, data.target, test_size=0.4, stratify=data.target, random_state=0
    )
    scaler = StandardScaler().fit(x)
    x, x_test = (np.hstack([scaler.transform(a), np.ones((len(a), 1))]) for a in (x, x_test))
    return Samples(x, y, x_test, y_test)


def signed(y: np.ndarray) -> np.ndarray:
    """Labels -1 and 1: one output for two classes, one for each class otherwise."""
    classes = y.max() + 1
    of_class = np.arange(classes) if classes > 2 else np.array([1])
    return np.where(y[:, None] == of_class, 1.0, -1.0)


def objective(kind: str, weights: np.ndarray, data: Samples) -> float:
    """LinearSVC's objective in float64: sum of w^2 / 2 + C * sum of costs."""
    z = data.x @ weights
    if kind == "crammer_singer":
        own = np.take_along_axis(z, data.y[:, None], 1)
        others = np.where(np.arange(z.shape[1]) == data.y[:, None], -np.inf, z)
        costs = np.maximum(0, 1 + others.max(1, keepdims=True) - own)
    else:
        costs = np.maximum(0, 1 - signed(data.y) * z) ** (2 if kind == "squared hinge" else 1)
    return float((weights**2).sum() / 2 + C * costs.sum())


def accuracy(weights: np.ndarray, data: Samples) -> float:
    z = data.x_test @ weights
    found = z.argmax(1) if z.shape[1] > 1 else (z[:, 0] > 0).astype(int)
    return float((found == data.y_test).mean())


def by_scikit_learn(kind: str, data: Samples) -> np.ndarray:
    options, _ = KINDS[kind]
    machine = LinearSVC(C=C, fit_intercept=False, dual=True, tol=1e-7, max_iter=1_000_000, **options)
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        machine.fit(data.x, data.y)
    weights = np.asarray(machine.coef_.T)
    if kind == "crammer_singer" and len(machine.classes_) == 2:
        # For two classes LinearSVC returns the difference only. Each class gets half, with opposite signs.
        weights = np.hstack([-weights / 2, weights / 2])
    return weights


def by_keras(kind: str, data: Samples, steps: int) -> tuple[np.ndarray, list[float]]:
    """Learned weights, and the loss with its penalty during training."""
    _, loss = KINDS[kind]
    labels = data.y if kind == "crammer_singer" else signed(data.y).astype("float32")
    outputs = data.y.max() + 1 if kind == "crammer_singer" else labels.shape[1]
    # The loss is a mean over samples and outputs, so the penalty is divided by C times their number.
    penalty = 1 / (2 * C * len(data.y) * (1 if kind == "crammer_singer" else outputs))
    layer = keras.layers.Dense(
        int(outputs),
        use_bias=False,
        kernel_initializer="zeros",
        kernel_regularizer=keras.regularizers.L2(penalty),
    )
    model = keras.Sequential([keras.Input((data.x.shape[1],)), layer])
    decay = keras.optimizers.schedules.CosineDecay(0.03, steps)
    model.compile(keras.optimizers.Adam(decay), loss=loss(), steps_per_execution=steps // EPOCHS)
    x, labels = data.x.astype("float32"), np.asarray(labels)
    whole = ((x, labels) for _ in itertools.count())  # every step uses all samples
    history = model.fit(
        whole, epochs=EPOCHS, steps_per_epoch=steps // EPOCHS, shuffle=False, verbose=0
    ).history["loss"]
    return model.get_weights()[0].astype("float64"), history


def main() -> None:
    arguments = common.arguments(__doc__, "margins", steps=3000)

    table = Table(
        title="Objective, then test accuracy, by LinearSVC (SVC) and by Keras",
        box=SIMPLE,
        padding=(0, 1, 0, 0),
    )
    for heading in HEADINGS:
        table.add_column(heading, justify="left" if heading in HEADINGS[:2] else "right", no_wrap=True)
    figure, panels = plt.subplots(1, len(DATA), figsize=(11, 3.6))
    work = [(panel, name, kind) for panel, name in zip(panels, DATA, strict=True) for kind in KINDS]
    for panel, name, kind in track(work, "fitting"):
        data = load(name)
        theirs, (ours, history) = by_scikit_learn(kind, data), by_keras(kind, data, arguments.steps)
        lowest, reached = objective(kind, theirs, data), objective(kind, ours, data)
        above = reached / lowest - 1
        scores = [f"{100 * accuracy(weights, data):.1f}%" for weights in (theirs, ours)]
        table.add_row(name, kind, f"{lowest:.3f}", f"{reached:.3f}", f"{100 * above:.2f}%", *scores)
        outputs = ours.shape[1] if kind != "crammer_singer" else 1
        steps = np.arange(1, EPOCHS + 1) * (arguments.steps // EPOCHS)
        excess = np.asarray(history) * C * len(data.y) * outputs / lowest - 1
        panel.plot(steps, 100 * excess, label=kind)
        panel.set(title=name, xlabel="step", yscale="log", ylim=(1e-4, 300))
        panel.grid(alpha=0.3)
    panels[0].set_ylabel("objective above LinearSVC's in %")
    panels[0].legend(frameon=False)
    figure.tight_layout()
    common.save(figure, arguments.output / "margins.png")
    console = Console()
    console.print(table)


if __name__ == "__main__":
    main()
