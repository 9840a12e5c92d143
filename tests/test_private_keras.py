"""Private names of Keras that the library uses: when one of these fails, Keras has changed it."""

import keras
import numpy as np
import pytest

import keras_losses
from keras_losses import numerics
from keras_losses.training.terms import unlocked


def test_the_mask_of_a_prediction():
    """core/loss.py reads it with keras.src.backend.get_keras_mask."""
    from keras.src.backend import get_keras_mask

    inputs = keras.Input((2, 1))
    model = keras.Model(inputs, keras.layers.Masking()(inputs))
    outputs = model(np.array([[[0.0], [1.0]]], "float32"))
    assert keras.ops.convert_to_numpy(get_keras_mask(outputs)).tolist() == [[False, True]]
    assert get_keras_mask(keras.ops.ones(2)) is None


def test_keras_trying_a_model_out():
    """core/loss.py asks keras.src.backend.in_stateless_scope, and then checks no values."""
    from keras.src.backend import in_stateless_scope

    loss, ids = keras_losses.CrossentropyLoss(from_logits=True), np.array([7])
    assert not in_stateless_scope()
    with keras.StatelessScope():
        assert in_stateless_scope()
        loss(ids, np.zeros((1, 3), "float32"))
    with pytest.raises(ValueError, match="from 0 to 2"):
        loss(ids, np.zeros((1, 3), "float32"))


def test_the_layers_inside_a_layer():
    """penalties.py lists them with Layer._flatten_layers."""
    inner = keras.layers.Dense(1)
    outer = keras.layers.TimeDistributed(inner)
    assert list(outer._flatten_layers(include_self=False, recursive=False)) == [inner]


def test_the_logits_kept_beside_a_probability():
    """numerics.py looks for `_keras_logits`; traced by JAX a tensor cannot have them."""
    logits = keras.ops.convert_to_tensor([[1.0, 2.0]])
    for activation in (keras.activations.softmax, keras.activations.sigmoid):
        assert activation(logits)._keras_logits is logits


def test_the_structure_of_inputs_and_outputs():
    """learned.py and terms.py read _inputs_struct and _outputs_struct, a Sequential's of _functional."""
    x = {"x": keras.Input((1,), name="x")}
    y = {"y": keras.layers.Dense(1)(x["x"])}
    model = keras.Model(x, y)
    assert model._inputs_struct == x
    assert model._outputs_struct == y
    sequential = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    assert sequential._functional._outputs_struct is sequential.outputs[0]


def test_the_layers_of_a_model_from_inputs_and_outputs():
    """learned.py puts a layer that is not in the graph among Model._layers, where it is not."""
    inputs = keras.Input((1,))
    model = keras.Model(inputs, keras.layers.Dense(1)(inputs))
    other = keras.layers.Dense(1)
    other.build((None, 1))
    with unlocked(model):
        model.other = other
        if not any(layer is other for layer in model._layers):
            model._layers[:] = [*model._layers, other]
    assert [layer for layer in model._layers if layer is other] == [other]
    assert len(model.trainable_variables) == 4


def test_a_model_that_takes_and_lets_go_of_layers():
    """terms.py unlocks Layer._tracker for more state, and learned.py lets go of a layer with untrack."""

    class OfItsOwn(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = keras.layers.Dense(1)

        def call(self, x):
            return self.dense(x)

    model = OfItsOwn()
    model(np.ones((1, 1), "float32"))
    assert model._tracker.locked
    with pytest.raises(ValueError, match="already built"):
        model.other = keras.layers.Dense(1)
    with unlocked(model):
        model.other = keras.layers.Dense(1)
        model.other.build((None, 1))
        assert len(model.trainable_variables) == 4
        model._tracker.untrack(model.other)
    assert len(model.trainable_variables) == 2
    assert model._tracker.locked


def test_the_seed_generator_of_unseeded_random_numbers():
    """finder.py gets and sets it where Keras keeps it, as there may be none yet."""
    from keras.src.backend.common import global_state

    from keras_losses.callbacks.control.finder import GLOBAL_SEED_GENERATOR

    before = global_state.get_global_attribute(GLOBAL_SEED_GENERATOR)
    try:
        global_state.set_global_attribute(GLOBAL_SEED_GENERATOR, None)
        keras.random.normal((1,))
        found = global_state.get_global_attribute(GLOBAL_SEED_GENERATOR)
        assert isinstance(found, keras.random.SeedGenerator)
        state = keras.ops.convert_to_numpy(found.state.value).tolist()
        keras.random.normal((1,))
        assert keras.ops.convert_to_numpy(found.state.value).tolist() != state
    finally:
        global_state.set_global_attribute(GLOBAL_SEED_GENERATOR, before)


def test_an_optimizer_that_gets_a_rate_in_place_of_its_schedule_and_lets_go_of_its_slots():
    """finder.py sets Optimizer._learning_rate, and undoes build with _untrack_variable and more."""
    schedule = keras.optimizers.schedules.ExponentialDecay(0.5, 1, 0.5)
    optimizer = keras.optimizers.Adam(schedule)
    assert optimizer._learning_rate is schedule
    optimizer._learning_rate = keras.Variable(0.25, name="learning_rate")
    optimizer.learning_rate = 0.125
    assert [variable.name for variable in optimizer.variables] == ["iteration", "learning_rate"]
    assert float(keras.ops.convert_to_numpy(optimizer.learning_rate)) == 0.125
    optimizer.learning_rate = schedule
    assert optimizer._learning_rate is schedule
    assert len(optimizer.variables) == 1

    trained = keras.Variable(1.0)
    optimizer.build([trained])
    assert list(optimizer._trainable_variables_indices.values()) == [0]
    assert optimizer._trainable_variables == [trained]
    for variable in optimizer.variables[1:]:
        optimizer._untrack_variable(variable)
    assert len(optimizer.variables) == 1
    optimizer.built = False
    optimizer.build([trained])
    assert len(optimizer.variables) == 3


def test_the_compiled_parts_of_a_model():
    """finder.py takes back that Model._compile_metrics and Model._compile_loss are built."""
    inputs = keras.Input((1,))
    outputs = [keras.layers.Dense(1, name="a")(inputs), keras.layers.Dense(1, name="b")(inputs)]
    model = keras.Model(inputs, outputs)
    model.compile("sgd", loss=["mse", "mae"], metrics=[["mae"], ["mse"]])
    assert not model._compile_metrics.built
    assert not model._compile_loss.built
    x = np.ones((1, 1), "float32")
    model.train_on_batch(x, [x, x])
    names = [metric.name for metric in model.metrics]
    assert model._compile_metrics.built
    assert model._compile_loss.built
    for metric in list(model._compile_loss.metrics):
        model._compile_loss._tracker.untrack(metric)
    model._compile_metrics.built = model._compile_loss.built = False
    model.train_function = None
    model.train_on_batch(x, [x, x])
    assert [metric.name for metric in model.metrics] == names


def test_what_an_optimizer_hands_to_its_schedule_and_where_its_slots_are():
    """momentum.py reads Optimizer._iterations and _get_variable_index."""
    handed = []

    class Noted(keras.optimizers.schedules.LearningRateSchedule):
        def __call__(self, step):
            handed.append(step)
            return 0.5

    optimizer = keras.optimizers.SGD(Noted(), momentum=0.9)
    assert float(keras.ops.convert_to_numpy(optimizer.learning_rate)) == 0.5
    assert handed[-1] is optimizer._iterations
    variables = [keras.Variable([0.0]), keras.Variable([0.0, 0.0])]
    optimizer.build(variables)
    assert [optimizer.momentums[optimizer._get_variable_index(v)].shape for v in variables] == [(1,), (2,)]


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="a function of TensorFlow's")
def test_a_graph_knows_that_xla_will_compile_it():
    """numerics.py asks it which of two formulas is faster, also within a loop."""
    import tensorflow as tf

    def seen(compiled):
        found = []

        def body(x):
            found.append(numerics.compiled_by_tensorflow())
            return x + 1.0

        tf.function(lambda x: tf.while_loop(lambda x: x < 3.0, body, [body(x)]), jit_compile=compiled)(1.0)
        return set(found)

    assert (seen(True), seen(False)) == ({True}, {False})
    assert not numerics.compiled_by_tensorflow()


def test_a_mask_can_be_left_on_a_tensor():
    """VocabularyEmbedding is told by no method of Keras's which of its two calls a mask is for."""
    from keras.src.backend import get_keras_mask, set_keras_mask

    x = keras.ops.ones((2, 3))
    set_keras_mask(x, keras.ops.ones((2,), "bool"))
    assert get_keras_mask(x).shape == (2,)
