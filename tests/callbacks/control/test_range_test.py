"""The range test: its losses worked out by hand, its suggestions, and that nothing is left of it.

In `small`'s model with targets of 1 the error e = w - 1 begins at -1, the loss is e^2, and an update at
rate r multiplies e by 1 - 2r.
"""

import math
import random

import keras
import numpy as np
import pytest

from keras_losses import HuberLoss, LossAwareModel, PseudoHuberLoss, keras_private
from keras_losses.callbacks import LearningRateCurve, LossParameterSchedule, find_learning_rate
from keras_losses.callbacks.control import range_test
from keras_losses.callbacks.control.optimizers import rate_variable
from keras_losses.core import Learned
from tests.callbacks import small

ONES = (1.0,) * 4
SCHEDULE = keras.optimizers.schedules.ExponentialDecay(0.01, 3, 0.5)

on_tensorflow = pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="tf.data is TensorFlow's")


def find(one_weight, targets=ONES, **arguments):
    arguments = {"batch_size": 2, "shuffle": False, "smoothing": 0.0, "spacing": "linear", **arguments}
    return find_learning_rate(one_weight, *small.data(targets), **arguments)


# The curve --------------------------------------------------------------------------------------------


def test_losses_worked_out_by_hand():
    curve = find(small.model(**small.TRACED), min_rate=0.125, max_rate=1.0, steps=4, spacing="exponential")
    assert curve.rates == pytest.approx((0.125, 0.25, 0.5, 1.0), rel=1e-12)
    # e: -1, x 3/4, x 1/2, x 0
    assert curve.losses == pytest.approx((1.0, 0.5625, 0.140625, 0.0), rel=1e-6)
    assert (curve.smoothed, curve.stopped, curve.steps) == (curve.losses, "finished", 4)


def test_a_moving_average_without_the_bias_of_its_beginning():
    curve = find(small.model(), min_rate=0.25, max_rate=0.5, steps=3, smoothing=0.5)
    assert curve.rates == (0.25, 0.375, 0.5)
    # e: -1, x 1/2, x 1/4; weights 1, then 1/3 and 2/3, then 1/7, 2/7 and 4/7
    assert curve.losses == (1.0, 0.25, 0.015625)
    assert curve.smoothed == pytest.approx((1.0, 0.5, (1 + 2 * 0.25 + 4 * 0.015625) / 7))


@pytest.mark.parametrize(("diverge", "points"), [(4.0, 2), (10.0, 3), (math.inf, 4)])
def test_where_it_stops(diverge, points):
    """At a rate of 2 each update multiplies e by -3: 1, 9, 81, 729."""
    curve = find(small.model(), min_rate=2.0, max_rate=2.0 + 1e-9, steps=4, diverge=diverge)
    assert curve.losses == pytest.approx((1.0, 9.0, 81.0, 729.0)[:points], rel=1e-6)
    assert curve.stopped == ("finished" if points == 4 else "diverged")
    assert len(curve.rates) == len(curve.smoothed) == points


def test_losses_below_zero_diverge_upwards():
    """The prediction as the loss falls by the rate; 4 times -1 lies below it."""
    inputs = keras.Input((1,))
    outputs = keras.layers.Dense(1, use_bias=False, kernel_initializer=keras.initializers.Constant(-1.0))(
        inputs
    )
    model = keras.Model(inputs, outputs)
    model.compile("sgd", loss=lambda y_true, y_pred: y_pred)
    curve = find(model, min_rate=1.0, max_rate=2.0, steps=3)
    assert (curve.losses, curve.stopped) == ((-1.0, -2.0, -3.5), "finished")


def test_a_loss_that_is_no_number():
    curve = find(small.model(), (1.0, 1.0, 1.0, math.nan), min_rate=0.25, max_rate=0.5, steps=3)
    assert (curve.losses, curve.stopped) == ((1.0,), "nan")
    with pytest.raises(ValueError, match="first batch is infinite or NaN"):
        find(small.model(), (math.nan,) * 4)
    curve = find(small.model(), (1.0, 1.0, 1.0, math.inf), min_rate=0.25, max_rate=0.5, steps=3)
    assert (curve.losses, curve.stopped) == ((1.0,), "diverged")


def test_regularisation_is_in_the_loss():
    """A weight of 1 errs by 0, and is penalised with 1/2."""
    weight = keras.layers.Dense(
        1, use_bias=False, kernel_initializer="ones", kernel_regularizer=keras.regularizers.L2(0.5)
    )
    model = keras.Sequential([keras.Input((1,)), weight])
    model.compile("sgd", loss="mse")
    curve = find(model, min_rate=1e-9, max_rate=2e-9, steps=2)
    assert curve.losses == pytest.approx((0.5, 0.5))


# What it is given -------------------------------------------------------------------------------------


def test_a_schedule_in_the_optimizer_is_set_aside():
    optimizer = keras.optimizers.SGD(SCHEDULE)
    curve = find(small.model(optimizer, **small.TRACED), min_rate=0.25, max_rate=0.5, steps=3)
    assert curve.losses == (1.0, 0.25, 0.015625)
    assert rate_variable(optimizer) is None
    assert float(optimizer.learning_rate) == pytest.approx(0.01)
    assert [variable.name for variable in optimizer.variables] == ["iteration"]


def test_mixed_precision_and_a_function_as_the_rate():
    inner = keras.optimizers.SGD(lambda: 0.125)
    optimizer = keras.optimizers.LossScaleOptimizer(inner)
    curve = find(small.model(optimizer), min_rate=0.25, max_rate=0.5, steps=3)
    assert curve.losses == (1.0, 0.25, 0.015625)
    assert (inner.built, optimizer.built, inner.learning_rate) == (False, False, 0.125)
    assert len(inner.variables) == 1


def test_an_update_of_several_batches_has_one_rate():
    """Their gradients are averaged, and so are their losses."""
    optimizer = keras.optimizers.SGD(0.0, gradient_accumulation_steps=2)
    curve = find(small.model(optimizer), (1.0, 1.0, 1.0, 1.0, 1.0, 1.0), min_rate=0.25, max_rate=0.5, steps=3)
    assert curve.losses == (1.0, 0.25, 0.015625)


@small.one_execution_on_torch
def test_an_execution_of_several_batches_has_one_rate():
    """At 1/4, e^2 is 1, then 1/4: on average 5/8. At 1/2 it is 1/16, then 0."""
    model = small.model(steps_per_execution=2, **small.TRACED)
    curve = find(model, min_rate=0.25, max_rate=0.5, steps=2)
    assert curve.losses == (0.625, 0.03125)


class Batches(keras.utils.PyDataset):
    """Two batches of two."""

    def __len__(self):
        return 2

    def __getitem__(self, index):
        return small.data(ONES[:2])


def endless():
    while True:
        yield small.data(ONES[:2])


@pytest.mark.parametrize("data", [Batches, endless])
@pytest.mark.filterwarnings("ignore:.*shuffle=True")
def test_datasets_and_generators(data):
    """Three steps of two batches, in a model that is built by them."""
    model = keras.Sequential([keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros")])
    model.compile("sgd", loss="mse")
    curve = find_learning_rate(model, data(), min_rate=0.25, max_rate=0.5, steps=3, spacing="linear")
    assert curve.losses == (1.0, 0.25, 0.015625)
    assert model.built
    assert model.get_weights()[0].tolist() == [[0.0]]


@on_tensorflow
@pytest.mark.filterwarnings("ignore:.*shuffle=True")
def test_a_dataset_of_tensorflow():
    import tensorflow as tf

    data = tf.data.Dataset.from_tensor_slices(small.data(ONES)).batch(2)
    model = small.model()
    curve = find_learning_rate(model, data, min_rate=0.25, max_rate=0.5, steps=3, spacing="linear")
    assert curve.losses == (1.0, 0.25, 0.015625)


@pytest.mark.filterwarnings("ignore:.*ran out of data", "ignore:.*shuffle=True")
def test_a_generator_that_ends():
    with pytest.raises(ValueError, match="ended after 2 of 3 steps"):
        find_learning_rate(small.model(), (small.data(ONES[:2]) for _ in range(2)), steps=3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"min_rate": 0.0}, "`min_rate` must be a number in"),
        ({"min_rate": 1.0, "max_rate": 1.0}, "`max_rate` must be above `min_rate`"),
        ({"max_rate": math.inf}, r"`max_rate` must be a number in \(0, inf\)"),
        ({"max_rate": "1"}, "`max_rate` must be a number in"),
        ({"steps": 1}, r"an integer in \[2, inf\). Received: steps=1"),
        ({"steps": 10.0}, r"an integer in \[2, inf\). Received: steps=10.0"),
        ({"spacing": "log"}, "Received: spacing='log'"),
        ({"smoothing": 1.0}, r"a number in \[0, 1\). Received: smoothing=1.0"),
        ({"diverge": 1.0}, r"a number in \(1, inf\]"),
        ({"diverge": math.nan}, r"a number in \(1, inf\]"),
    ],
)
def test_arguments_out_of_range(arguments, message):
    with pytest.raises((TypeError, ValueError), match=message):
        find(small.model(), **arguments)


def test_no_model_and_a_model_that_is_not_compiled():
    with pytest.raises(TypeError, match="Received: an object of type str"):
        find_learning_rate("model", *small.data())
    with pytest.raises(ValueError, match="not compiled"):
        find_learning_rate(keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)]), *small.data())


def test_a_step_without_a_loss():
    class Silent(keras.Sequential):
        def compute_metrics(self, *args, **kwargs):
            return {"accuracy": 1.0}

    model = Silent([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", loss="mse")
    with pytest.raises(ValueError, match=r"no `loss` in its logs\..* The logs have: accuracy"):
        find(model)


# The suggestions --------------------------------------------------------------------------------------


def curve_of(inner, steps=10, **arguments):
    """A curve of which these losses are left when a tenth of the steps, and 5 points, are left out."""
    losses = (9.0,) * (steps // 10) + tuple(inner) + (9.0,) * 5
    rates = tuple(10.0 ** (k - 8) for k in range(len(losses)))
    return LearningRateCurve(rates, losses, losses, "finished", steps, **arguments)


def test_suggestions_worked_out_by_hand():
    curve = curve_of([5.0, 6.0, 4.0, 3.0, 2.0, 1.0, 3.0])  # at 1e-7 to 1e-1
    # Five points fall: 6, or 5, then 4, 3, 2, 1. They end at place 5; 5 - 5 + [5/3] + [5/6] = 1.
    assert curve.valley == pytest.approx(1e-6)
    assert curve.steepest == pytest.approx(1e-6)  # from 6 to 4
    assert curve.minimum == pytest.approx(1e-2 / 10)
    assert list(curve.suggestions) == ["valley", "steepest", "minimum"]
    with pytest.raises(
        ValueError, match=r"no `slide` found: 7 of its 13 points are left without the ends, and 16 are needed"
    ):
        _ = curve.slide


def test_the_slide_worked_out_by_hand():
    """The slope is 0 to place 3, then -1; the interval slides until both of its ends have one slope."""
    losses = [10.0] * 4 + [9.0 - k for k in range(20)]
    # Slopes: 0 at 0 to 2, -1/2 at 3, -1 from 4 on. The interval begins at 8 to 23, with one slope.
    assert curve_of(losses).slide == pytest.approx(10.0 ** (8 + 1 - 8))
    # With a rise at its end, slopes 1 at 23 and 0 at 22, it slides from 8 on to 7, and to 6.
    risen = [*losses[:-1], losses[-2] + 1.0]
    assert curve_of(risen).slide == pytest.approx(10.0 ** (7 + 1 - 8))


@pytest.mark.parametrize("seed", range(5))
def test_suggestions_against_loops(seed):
    draw = np.random.default_rng(seed)
    losses = np.cumsum(draw.normal(size=60)) + 10
    rates = np.sort(10 ** draw.uniform(-7, 1, 70))
    smoothed = np.concatenate([np.full(5, 9.0), losses, np.full(5, 9.0)])
    curve = LearningRateCurve(tuple(rates), tuple(smoothed), tuple(smoothed), "finished", 50)
    inner = rates[5:65]

    longest = {}  # of the falling runs that end at a place, from the last place on which it is asked
    for place in range(60):
        longest[place] = 1 + max((longest[p] for p in range(place) if losses[p] > losses[place]), default=0)
    end = max(longest, key=lambda place: (longest[place], -place))
    length = longest[end]
    assert curve.valley == inner[end - length + math.floor(length / 3) + math.floor(length / 6)]

    slopes = [(losses[k + 1] - losses[k]) / (math.log(inner[k + 1]) - math.log(inner[k])) for k in range(59)]
    assert curve.steepest == inner[slopes.index(min(slopes))]
    assert curve.minimum == inner[losses.tolist().index(min(losses))] / 10

    def slope(k):
        return (
            losses[min(k + 1, 59)] - losses[max(k - 1, 0)]
            if k in (0, 59)
            else (losses[k + 1] - losses[k - 1]) / 2
        )

    passed = [44]
    while passed[-1] >= 0 and abs(slope(passed[-1] + 15) - slope(passed[-1])) > 0.005:
        passed.append(passed[-1] - 1)
    assert curve.slide == inner[passed[-2] if len(passed) > 1 else 44]


def test_a_curve_that_never_falls():
    curve = curve_of([1.0, 2.0, 3.0])
    assert list(curve.suggestions) == ["minimum"]
    for name in ("valley", "steepest"):
        with pytest.raises(ValueError, match=f"no `{name}` found: the loss never decreases"):
            getattr(curve, name)
    with pytest.raises(ValueError, match=r"no `minimum` found: 0 of its 6 points are left"):
        _ = curve_of([]).minimum


@pytest.mark.parametrize("spacing", ["exponential", "linear"])
def test_the_plot_names_its_suggestions(spacing):
    pytest.importorskip("matplotlib")
    from matplotlib.figure import Figure

    curve = curve_of([5.0, 6.0, 4.0, 3.0, 2.0, 1.0, 3.0], spacing=spacing)
    ax = Figure().subplots()
    assert curve.plot(ax) is ax
    assert ax.get_xscale() == ("log" if spacing == "exponential" else "linear")
    assert [text.get_text() for text in ax.texts] == ["valley\n1e-06", "steepest\n1e-06", "minimum\n0.001"]
    assert [line.get_xydata()[0].tolist() for line in ax.lines[2:]][2] == pytest.approx([1e-3, 2.0])
    curve_of([]).plot(Figure().subplots())  # with none


# That nothing is left of it ---------------------------------------------------------------------------


class Model:
    """Whatever Keras has to remember, twice alike."""

    x = np.random.default_rng(0).normal(size=(24, 3)).astype("float32")
    y = x[:, :1] * 2

    def __init__(self, **given):
        keras.utils.set_random_seed(7)
        inner = keras.Sequential(
            [
                keras.Input((3,)),
                keras.layers.Dense(4),
                keras.layers.BatchNormalization(),
                keras.layers.Dropout(0.5, seed=1),
                keras.layers.Dense(1),
            ]
        )
        self.model = LossAwareModel.from_model(inner)
        # One number is learned, another set by a callback.
        loss = HuberLoss(delta=Learned(1.0)) + PseudoHuberLoss(delta=1.0)
        # XLA compiles for longer than this trains; JAX without its compiler would not trace.
        given = {"jit_compile": keras.backend.backend() == "jax", **given}
        self.model.compile(keras.optimizers.Adam(0.01), loss=loss, metrics=["mae"], **given)

    def fit(self):
        controlled = LossParameterSchedule("pseudo_huber_loss/delta", lambda epoch: 1.0 + epoch)
        given = {"batch_size": 12, "epochs": 2, "verbose": 0, "callbacks": [controlled]}
        return self.model.fit(self.x, self.y, **given).history

    def state(self):
        groups = (self.model.variables, self.model.metrics_variables, self.model.optimizer.variables)
        values = [keras.ops.convert_to_numpy(v.value).tobytes() for group in groups for v in group]
        generator = keras_private.seed_generator()
        return {
            "values": values,
            "global seed": keras.ops.convert_to_numpy(generator.state).tolist(),
            "python": random.getstate(),
            "numpy": np.random.get_state()[1].tolist(),  # noqa: NPY002
            "model": [id(self.model.history), self.model.stop_training, id(self.model.train_function)],
            "parameters": self.model.loss_terms.parameters(),
        }


@pytest.fixture(scope="module")
def trained():
    found = Model()
    found.fit()
    keras.random.normal((1,))  # so that there is a global seed
    return found


def interrupt(error, monkeypatch):
    """Presses Control-C, or fails, after the third step."""
    add = range_test._RangeTest._add

    def interrupted(self, loss):
        add(self, loss)
        if len(self.losses) == 3:
            keras.random.normal((1,))
            random.random()
            np.random.rand()  # noqa: NPY002
            raise error

    monkeypatch.setattr(range_test._RangeTest, "_add", interrupted)


ENDINGS = {
    "finished": ({"diverge": math.inf, "max_rate": 1e-3}, None),
    "diverged": ({"diverge": 1.0001, "max_rate": 1e3}, None),
    "nan": (
        {"shuffle": False, "diverge": math.inf, "y": np.array([[0.0]] * 23 + [[math.nan]], "float32")},
        None,
    ),
    "interrupted": ({}, KeyboardInterrupt),
    "failed": ({}, MemoryError),
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_nothing_is_left_of_it(ending, trained, monkeypatch):
    arguments, error = ENDINGS[ending]
    before = trained.state()
    if error is None:
        curve = find_learning_rate(
            trained.model, Model.x, batch_size=8, steps=12, **{"y": Model.y, **arguments}
        )
        assert curve.stopped == ending
    else:
        interrupt(error, monkeypatch)
        with pytest.raises(error):
            find_learning_rate(trained.model, Model.x, Model.y, batch_size=8)
    assert trained.state() == before


def test_nothing_is_left_of_a_step_that_breaks_off(trained):
    """On JAX the variables are empty within a step."""

    def broken():
        for _ in range(2):
            yield Model.x[:8], Model.y[:8]
        raise MemoryError

    before = trained.state()
    with pytest.raises(Exception, match=r"MemoryError|^$"):
        find_learning_rate(trained.model, broken(), shuffle=False)
    assert trained.state() == before


@pytest.mark.filterwarnings("ignore:If `run_eagerly` is True")
def test_the_next_fit_is_what_it_would_have_been():
    """The first one, and the one after; shuffled, from a model that is compiled and not yet trained."""
    alone = Model(run_eagerly=True)
    expected = [alone.fit(), alone.fit()]
    tested = Model(run_eagerly=True)
    for history in expected:
        find_learning_rate(tested.model, Model.x, Model.y, steps=2, batch_size=12)
        assert tested.fit() == history
    assert [w.tolist() for w in tested.model.get_weights()] == [w.tolist() for w in alone.model.get_weights()]


@pytest.mark.parametrize("rate", [0.01, SCHEDULE])
def test_the_first_fit_of_a_model_that_the_test_has_built(rate):
    def fresh():
        keras.utils.set_random_seed(7)
        layers = [keras.layers.Dense(2), keras.layers.Dropout(0.5, seed=1), keras.layers.Dense(1)]
        model = keras.Sequential(layers)
        model.compile(keras.optimizers.Adam(rate), loss="mse", metrics=["mae"], run_eagerly=True)
        return model

    def fit(model):
        return model.fit(Model.x, Model.y, batch_size=8, verbose=0).history

    model = fresh()
    find_learning_rate(model, Model.x, Model.y, steps=2, batch_size=8)
    assert (model.optimizer.built, len(model.optimizer.variables)) == (False, 1 + (rate == 0.01))
    assert fit(model) == fit(fresh())


@pytest.mark.parametrize("frozen", [True, False])
def test_layers_may_be_frozen_after_the_test(frozen):
    """The optimizer knows of no variables from it: a built one would not take others."""
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1), keras.layers.Dense(1)])
    model.compile(keras.optimizers.Adam(), loss="mse", run_eagerly=True)
    model.layers[0].trainable = frozen
    find(model, steps=2)
    model.layers[0].trainable = not frozen
    model.compile(model.optimizer, loss="mse", run_eagerly=True)
    small.fit(model)
    assert len(model.optimizer.variables) == 2 + 2 * len(model.trainable_variables)
    assert len(model.optimizer._trainable_variables_indices) == len(model.trainable_variables)


def test_a_global_seed_made_by_the_test_goes_with_it(monkeypatch):
    before = keras_private.seed_generator()
    keras_private.set_seed_generator(None)
    try:
        interrupt(KeyboardInterrupt, monkeypatch)
        with pytest.raises(KeyboardInterrupt):
            find(small.model(), diverge=math.inf)
        assert keras_private.seed_generator() is None
    finally:
        keras_private.set_seed_generator(before)


@pytest.mark.skipif(keras.backend.backend() != "torch", reason="only PyTorch's modules have modes")
@pytest.mark.parametrize("training", [True, False])
def test_modules_keep_their_modes(training):
    """PyTorch's modules are in the mode that they were in: fit leaves them in that for inference."""
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", loss="mse")
    model.train(training)
    modules = list(model.modules())
    find_learning_rate(model, np.ones((64, 2), "float32"), np.ones((64, 1), "float32"))
    assert [module.training for module in modules] == [training] * len(modules)
