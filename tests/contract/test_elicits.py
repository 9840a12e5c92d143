"""The constant prediction that makes a loss smallest is what its card says that the loss elicits."""

import itertools

import keras
import numpy as np
import pytest
from scipy.optimize import minimize

from tests.backends import value, value_and_gradient
from tests.contract.test_gradients import differences
from tests.every_loss import ALONE, LOSSES, build
from tests.kinds import kind_of
from tests.kinds.kind import inner
from tests.oracles import differentiated

CENTRE = "centre of distributions"

POPULATIONS = [
    pytest.param(name, population, id=f"{name}-{turn}")
    for name in LOSSES
    for turn, population in enumerate(kind_of(name).populations)
]


def best_constant(built, population):
    """The outputs at which the mean of the reference is smallest, with what the loss holds constant."""
    labels = np.asarray(population.labels)

    def outputs(bias):
        found = np.tile(bias, (len(labels), 1))
        return found if population.image is None else found.reshape(-1, *population.image)

    start = np.full(population.outputs, population.start)
    values = differentiated(built, labels, outputs(start))
    free = population.outputs - population.fixed

    def total(bias):
        return float(values(outputs(np.concatenate([bias, start[free:]]))).mean())

    bias = start[:free]
    for _ in range(2):  # with a new simplex, where a kink has made the first one flat
        bias = minimize(total, bias, method="Nelder-Mead", options={"xatol": 1e-5, "fatol": 1e-10}).x
    return np.concatenate([bias, start[free:]])


@pytest.mark.parametrize(("loss", "population"), POPULATIONS)
def test_best_constant_is_what_the_card_says(loss, population):
    """Means and probabilities are reached to 1e-3, medians to 1e-2, the likeliest class by its side."""
    built = build(loss, population.options, population.outputs, reduction="none")
    elicits = built.card.elicits
    if elicits == "inner loss":
        elicits = type(inner(population.options)).card.elicits
    # Which centre of different distributions it is, nobody says.
    if elicits == CENTRE and CENTRE not in population.truth:
        return
    bias = best_constant(built, population)
    truth = population.truth.get(elicits)
    if elicits == "location between median and mean":
        assert population.truth["median"] < bias[0] < population.truth["mean"]
    elif elicits == "location near the median":
        assert abs(bias[0] - population.truth["median"]) < 0.15
    elif elicits == "mean":
        np.testing.assert_allclose(bias[0], truth, rtol=1e-3)
    elif elicits == "median":
        np.testing.assert_allclose(bias[0], truth, rtol=1e-2)
    elif elicits.startswith("class probability") or elicits == CENTRE:
        np.testing.assert_allclose(population.decode(loss, bias), truth, atol=1e-3)
    elif elicits == "centre of images":
        np.testing.assert_allclose(bias, np.ravel(truth), atol=1e-3)
    elif elicits == "parameters of the distribution":
        labels = np.asarray(population.labels)
        everywhere = np.tile(bias, (len(labels), 1))
        slopes = differences(differentiated(built, labels, everywhere), everywhere)
        np.testing.assert_allclose(slopes.mean(0), 0, atol=1e-3)
    elif elicits == "order of probabilities":
        assert bias.argsort().tolist() == truth
    else:
        assert elicits == "likeliest class"
        assert population.likeliest(bias).tolist() == truth


POOLED = [name for name in LOSSES if name not in ALONE]


@pytest.mark.parametrize("loss", POOLED)
def test_descent_reaches_agreement(loss):
    """Of all ways to give three groups a class descent finds that of the largest kappa, by scikit-learn's."""
    metrics = pytest.importorskip("sklearn.metrics")
    assert LOSSES[loss].card.elicits == "agreement"
    groups = np.repeat([0, 1, 2], 5)
    y = np.array([0, 0, 0, 1, 2, 0, 1, 1, 2, 2, 2, 2, 2, 1, 2])
    ways = list(itertools.product(range(3), repeat=3))
    kappas = [metrics.cohen_kappa_score(y, np.array(way)[groups], weights="quadratic") for way in ways]
    built, scores = build(loss, {"num_classes": 3, "from_logits": True}), np.zeros((3, 3), "float32")
    for _ in range(100):
        reached, gradient = value_and_gradient(built, y, scores[groups])
        scores -= 5.0 * np.stack([gradient[groups == group].sum(0) for group in range(3)])
    assert tuple(scores.argmax(-1)) == ways[int(np.argmax(kappas))]
    # Shares of classes can agree even better than classes do.
    assert reached < np.log(1 - max(kappas)) + 0.1


@pytest.mark.parametrize("loss", POOLED)
def test_constants_do_not_agree(loss):
    """All constant predictions are worth the same: 0, the logarithm of 1."""
    y = np.array([0, 0, 0, 1, 2])
    for p in ([1.0, 0, 0], [0.2, 0.3, 0.5], [0, 0.5, 0.5]):
        found = value(build(loss, {"num_classes": 3}), y, np.tile(np.array(p, "float32"), (5, 1)))
        np.testing.assert_allclose(found, 0, atol=2e-6)


def test_fit_reaches_it():
    """What is smallest is also where Keras's own fit arrives, with steps that shrink to 0."""
    loss = next(x for x in LOSSES if kind_of(x).exact_residual and LOSSES[x].card.elicits == "mean")
    (population,) = kind_of(loss).populations
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    schedule = keras.optimizers.schedules.CosineDecay(0.2, 300)
    model.compile(keras.optimizers.Adam(schedule), loss=build(loss, {}))
    labels = np.tile(population.labels, (300, 1))
    model.fit(np.zeros((len(labels), 1), "float32"), labels, batch_size=5, shuffle=False, verbose=0)
    np.testing.assert_allclose(model.predict(np.zeros((1, 1)), verbose=0)[0], [3.0], rtol=1e-3)
