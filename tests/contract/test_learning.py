"""A model with nothing but a bias, fitted by the loss, reaches what the card says that the loss elicits."""

import functools
import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import expit, softmax

from keras_losses import AbsoluteErrorLoss, CrossentropyLoss, CumulativeLink, HingeLoss, SquaredErrorLoss
from tests.backends import BACKEND, value
from tests.contract import samples
from tests.contract.test_gradients import differences
from tests.oracles import REGISTRY, differentiated

STEPS = 500
TOGETHER = 100 if BACKEND == "tensorflow" else 1  # JAX would compile as many steps one after another


@dataclass(frozen=True, eq=False)
class Population:
    """Labels, what the loss is to be told of them, and what each functional comes to, counted by hand."""

    labels: Any
    options: Mapping[str, Any]
    truth: Mapping[str, Any]
    outputs: int = 1
    exclusive: bool = False
    parts: int = 1
    start: float = 0.0

    decode: Callable[[str, np.ndarray], np.ndarray] | None = None

    def probabilities(self, name: str, bias: np.ndarray) -> np.ndarray:
        """Of each of the predictions that lie one after another."""
        if self.decode is not None:
            return self.decode(name, bias)
        return softmax(bias.reshape(self.parts, -1), -1).reshape(-1) if self.exclusive else expit(bias)

    def likeliest(self, bias: np.ndarray) -> np.ndarray:
        return bias == bias.max() if self.exclusive else bias > 0


def of_ranks(name: str, z: np.ndarray) -> np.ndarray:
    """From sigmoids of y > k, for all samples or for those that are past the rank before."""
    above = expit(z) if name == "CoralLoss" else np.cumprod(expit(z))
    return -np.diff([1.0, *above, 0.0])


def of_cut_points(name: str, outputs: np.ndarray) -> np.ndarray:
    return np.diff([0.0, *expit(outputs[1:] - outputs[0]), 1.0])


LOGITS = {"from_logits": True}
# The priors are those with which samples.required starts: 0.2, 0.5 and 0.3.
SIX_THREE_ONE = {
    "class probability": [0.6, 0.3, 0.1],
    "class probability over its prior": [45 / 59, 9 / 59, 5 / 59],  # 3 : 3/5 : 1/3
    "likeliest class": [True, False, False],
}
ONE_OUTPUT = Population(
    [[1], [1], [1], [0]],
    LOGITS,
    {
        "class probability": [3 / 4],
        "class probability over its prior": [6 / 11],  # odds of 3 / (0.5 / 0.2)
        "likeliest class": [True],
    },
)
POPULATIONS = {
    "numbers": [Population([[0.0], [1.0], [1.0], [2.0], [11.0]], {}, {"mean": 15 / 5, "median": 1.0})],
    "positives": [Population([[0.5], [1.0], [1.0], [2.0], [10.5]], {}, {"mean": np.log(15 / 5)})],
    "amounts": [Population([[0], [1], [1], [2], [11]], {}, {"mean": np.log(15 / 5)})],
    "amounts by powers": [Population([[0], [1], [1], [2], [11]], {}, {"mean": np.log(15 / 5)})],
    "quantiles": [Population([[0.0], [1.0], [1.0], [2.0], [11.0]], {}, {"median": 1.0})],
    "expectiles": [Population([[0.0], [1.0], [1.0], [2.0], [11.0]], {}, {"mean": 15 / 5})],
    "signs": [
        Population([[1.0], [1.0], [1.0], [-1.0], [-1.0]], {}, {"likeliest class": [True]}),
        Population([[0], [0], [0], [1], [1]], {"labels": "binary"}, {"likeliest class": [False]}),
    ],
    "classes": [
        ONE_OUTPUT,
        Population(
            [[1, 0], [1, 1], [1, 0], [0, 0]],
            {**LOGITS, "multi_label": True},
            {
                "class probability": [3 / 4, 1 / 4],
                "class probability over its prior": [12 / 13, 1 / 4],  # odds of 3 / (2/8), (1/3) / (5/5)
                "likeliest class": [True, False],
            },
            2,
        ),
        Population([0] * 6 + [1] * 3 + [2], LOGITS, SIX_THREE_ONE, 3, exclusive=True),
    ],
    "exclusive": [
        ONE_OUTPUT,
        Population([0] * 6 + [1] * 3 + [2], LOGITS, SIX_THREE_ONE, 3, exclusive=True),
    ],
    "outputs": [
        Population([[1], [1], [1], [1], [0]], LOGITS, {"order of probabilities": [0]}),
        Population(
            [[1, 0, 0], [1, 1, 0], [1, 0, 0], [0, 0, 1], [0, 0, 1]],
            LOGITS,
            {"order of probabilities": [1, 2, 0]},  # 1/5, 2/5, 3/5
            3,
        ),
    ],
    "views": [
        Population(
            [0] * 6 + [1] * 3 + [2],
            {**LOGITS, "views": 2},
            {"class probability": [0.6, 0.3, 0.1] * 2},
            6,
            exclusive=True,
            parts=2,
        )
    ],
    "pairs": [
        Population(
            [0] * 6 + [1] * 3 + [2],
            LOGITS,
            # Of the means nothing is learnt: where they stay at 0, they do not change what is.
            {"class probability": [0.6, 0.3, 0.1, 1 / 3, 1 / 3, 1 / 3]},
            6,
            exclusive=True,
            parts=2,
        )
    ],
    "scores": [Population([0] * 6 + [1] * 3 + [2], {}, SIX_THREE_ONE, 3, exclusive=True)],
    "distributions": [
        Population(
            [[0.6, 0.3, 0.1], [0.2, 0.2, 0.6]],
            LOGITS,
            {"class probability": [0.8 / 2, 0.5 / 2, 0.7 / 2], "likeliest class": [True, False, False]},
            3,
            exclusive=True,
        ),
        Population(
            [[0.5, 0.3, 0.2], [0.5, 0.3, 0.2]],
            LOGITS,
            {"class probability": [0.5, 0.3, 0.2], "centre of distributions": [0.5, 0.3, 0.2]},
            3,
            exclusive=True,
        ),
    ],
    "logits": [
        Population(
            2 * np.log([[0.6, 0.3, 0.1], [0.2, 0.2, 0.6]]),
            {"temperature": 2.0},
            {"class probability": [0.8 / 2, 0.5 / 2, 0.7 / 2]},
            3,
            decode=lambda name, bias: softmax(bias / 2),
        )
    ],
    # The prior: a mean of 0, and the logarithm of a variance of 1.
    "latents": [
        Population(
            [[0.0], [0.0]],
            {},
            {"centre of distributions": [0.0, 0.0]},
            2,
            start=1.0,
            decode=lambda name, bias: bias,
        )
    ],
    "ranks": [
        Population([0] * 6 + [1] * 3 + [2], {"num_classes": 3}, SIX_THREE_ONE, 2, decode=of_ranks),
    ],
    "cut points": [
        Population([0] * 6 + [1] * 3 + [2], {"num_classes": 3}, SIX_THREE_ONE, 3, decode=of_cut_points),
    ],
    "pooled": [],
    **{
        kind: [Population(labels, told, {}, parts) for parts, told in samples.PACKED[kind].parts.items()]
        for kind, labels in {
            "1 of counts": [[0], [1], [1], [2], [11]],
            "2 of counts": [[0], [0], [0], [2], [2], [3], [11]],
            "2 of positives": [[0.2], [1.0], [1.0], [2.0], [11.0]],
            "2 of shares": [[0.1], [0.2], [0.2], [0.3], [0.8]],
            "2 of reals": [[0.0], [1.0], [2.0], [4.0]],
            "2 or 3 of reals": [[-2.0], [0.0], [0.5], [1.0], [1.0], [1.5], [2.0], [4.0]],
        }.items()
    },
    # Of two components that start alike each stays what the other is.
    "3 of each component of reals": [Population([[0.0], [1.0], [2.0], [4.0]], {"components": 1}, {}, 3)],
    # With what takes evidence away, the best is to have none.
    "4 of reals": [
        Population([[-2.0], [0.0], [0.5], [1.0], [1.0], [1.5], [2.0], [4.0]], {"coefficient": 0.0}, {}, 4)
    ],
    "anything": [
        Population([[0.0], [1.0], [1.0], [2.0], [11.0]], {"loss": SquaredErrorLoss()}, {"mean": 15 / 5}),
        Population([[0.0], [1.0], [1.0], [2.0], [11.0]], {"loss": AbsoluteErrorLoss()}, {"median": 1.0}),
        Population(
            [[1], [1], [1], [0]], {"loss": CrossentropyLoss(from_logits=True)}, {"class probability": [3 / 4]}
        ),
        Population([[1.0], [1.0], [-1.0]], {"loss": HingeLoss()}, {"likeliest class": [True]}),
    ],
    "sums": [
        Population(
            [[0.0], [1.0], [1.0], [2.0], [11.0]],
            {"losses": {"first": SquaredErrorLoss(), "second": SquaredErrorLoss()}},
            {"mean": 15 / 5},
        )
    ],
}

FITS = [
    pytest.param(name, population, id=f"{name}-{turn}")
    for name in samples.LOSSES
    for turn, population in enumerate(POPULATIONS[REGISTRY[name].takes])
]
CENTRE = "centre of distributions"
"""Which it is nobody says where they differ: that it is a minimum, the second law does."""
SAID = [
    fit
    for fit in FITS
    if samples.LOSSES[fit.values[0]].card.elicits != CENTRE or CENTRE in fit.values[1].truth
]


@functools.cache
def fitted(name: str, population: Population) -> np.ndarray:
    """The constant that fit reaches, with steps that shrink to 0: the bias, or the cut points."""
    last = keras.layers.Dense(
        population.outputs, bias_initializer=keras.initializers.Constant(population.start)
    )
    if REGISTRY[name].takes == "cut points":
        last = CumulativeLink(population.outputs)
    model = keras.Sequential([keras.Input((1,)), last])
    schedule = keras.optimizers.schedules.CosineDecay(0.2, STEPS)
    model.compile(
        keras.optimizers.Adam(schedule),
        loss=samples.build(name, population.options, population.outputs),
        steps_per_execution=TOGETHER,
    )
    labels = np.asarray(population.labels)
    zeros = np.zeros((STEPS * len(labels), 1), "float32")  # they leave the kernel without a gradient
    every_step = np.tile(labels, (STEPS, *[1] * (labels.ndim - 1)))
    model.fit(zeros, every_step, batch_size=len(labels), shuffle=False, verbose=0)
    return np.asarray(model.predict(zeros[:1], verbose=0)[0], "float64")


def tiled(bias: np.ndarray, labels: np.ndarray) -> np.ndarray:
    return np.tile(bias, (len(labels), 1))


@pytest.mark.costly
@pytest.mark.of_the_base
@pytest.mark.parametrize(("name", "population"), SAID)
def test_fit_reaches_what_is_elicited(name, population):
    """Means and probabilities are reached to 1e-3, medians to 1e-2, the likeliest class by its side."""
    bias = fitted(name, population)
    elicits = samples.LOSSES[name].card.elicits
    if elicits == "inner loss":
        elicits = type(samples.inner(population.options)).card.elicits
    if elicits == "location between median and mean":
        assert population.truth["median"] < bias[0] < population.truth["mean"]
    elif elicits == "location near the median":
        assert abs(bias[0] - population.truth["median"]) < 0.15
    elif elicits == "mean":
        np.testing.assert_allclose(bias[0], population.truth["mean"], rtol=1e-3)
    elif elicits == "median":
        np.testing.assert_allclose(bias[0], population.truth["median"], rtol=1e-2)
    elif elicits.startswith("class probability") or elicits == CENTRE:
        np.testing.assert_allclose(population.probabilities(name, bias), population.truth[elicits], atol=1e-3)
    elif elicits == "parameters of the distribution":
        # Where they score best the slope of the reference is 0; what they are, tests/test_likelihood.py says.
        labels = np.asarray(population.labels)
        loss = samples.build(name, population.options, population.outputs)
        slopes = differences(differentiated(loss, labels, tiled(bias, labels)), tiled(bias, labels))
        np.testing.assert_allclose(slopes.mean(0), 0, atol=1e-3)
    elif elicits == "order of probabilities":
        assert bias.argsort().tolist() == population.truth[elicits]
    else:
        assert elicits == "likeliest class"
        assert population.likeliest(bias).tolist() == population.truth[elicits]


@pytest.mark.costly
@pytest.mark.of_the_base
@pytest.mark.parametrize(("name", "population"), FITS)
def test_fit_reaches_the_minimum_of_the_reference(name, population):
    """From where fit has got to, the reference's own minimum is less than 1e-4 lower.

    That of a loss which puts all probability on a class is at infinity: fit has come nine tenths of the way.
    """
    loss = samples.build(name, population.options, population.outputs, reduction="none")
    labels = np.asarray(population.labels)

    def outputs(bias: np.ndarray) -> np.ndarray:
        return np.tile(bias, (len(labels), 1))

    # What the loss holds constant is what it has come to.
    values = differentiated(loss, labels, outputs(fitted(name, population)))

    def total(bias: np.ndarray) -> float:
        return float(values(outputs(bias)).mean())

    reached = total(fitted(name, population))
    start = total(np.full(population.outputs, population.start))
    assert start > reached
    lowest = minimize(total, fitted(name, population), method="Nelder-Mead", options={"xatol": 1e-6}).fun
    endless = loss.card.elicits == "likeliest class"
    assert reached - lowest < (0.1 * (start - lowest) if endless else 1e-4)


POOLED = [name for name in samples.LOSSES if name not in samples.ALONE]


def agreeing(name: str, x: np.ndarray, y: np.ndarray) -> keras.Model:
    """A linear model of three classes, fitted with steps that shrink to 0."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((x.shape[1],)), keras.layers.Dense(3, activation="softmax")])
    schedule = keras.optimizers.schedules.CosineDecay(0.2, STEPS)
    loss = samples.build(name, {"num_classes": 3})
    model.compile(keras.optimizers.Adam(schedule), loss=loss, steps_per_execution=TOGETHER)
    model.fit(np.tile(x, (STEPS, 1)), np.tile(y, STEPS), batch_size=len(y), shuffle=False, verbose=0)
    return model


@pytest.mark.parametrize("name", POOLED)
def test_fit_reaches_agreement(name):
    """Of all ways to give three groups a class fit finds that of the largest kappa, by scikit-learn's."""
    metrics = pytest.importorskip("sklearn.metrics")
    assert samples.LOSSES[name].card.elicits == "agreement"
    groups = np.repeat([0, 1, 2], 5)
    y = np.array([0, 0, 0, 1, 2, 0, 1, 1, 2, 2, 2, 2, 2, 1, 2])
    ways = list(itertools.product(range(3), repeat=3))
    kappas = [metrics.cohen_kappa_score(y, np.array(way)[groups], weights="quadratic") for way in ways]
    model = agreeing(name, np.eye(3, dtype="float32")[groups], y)
    found = model.predict(np.eye(3, dtype="float32"), verbose=0)
    assert tuple(found.argmax(-1)) == ways[int(np.argmax(kappas))]
    reached = model.evaluate(np.eye(3, dtype="float32")[groups], y, batch_size=len(y), verbose=0)
    # Shares of classes can agree even better than classes do.
    assert reached < np.log(1 - max(kappas)) + 1e-3


@pytest.mark.parametrize("name", POOLED)
def test_constants_do_not_agree(name):
    """All constant predictions are worth the same: 0, the logarithm of 1."""
    y = np.array([0, 0, 0, 1, 2])
    for p in ([1.0, 0, 0], [0.2, 0.3, 0.5], [0, 0.5, 0.5]):
        found = value(samples.build(name, {"num_classes": 3}), y, np.tile(np.array(p, "float32"), (5, 1)))
        np.testing.assert_allclose(found, 0, atol=2e-6)
