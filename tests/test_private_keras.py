"""Private names of Keras that the library uses: when one of these fails, Keras has changed it."""

import re
from pathlib import Path

import keras
import numpy as np
import pytest

import keras_losses
import keras_losses.callbacks
from keras_losses import keras_private, numerics


def test_the_mask_of_a_prediction():
    """keras.src.backend.get_keras_mask"""
    inputs = keras.Input((2, 1))
    model = keras.Model(inputs, keras.layers.Masking()(inputs))
    outputs = model(np.array([[[0.0], [1.0]]], "float32"))
    assert keras.ops.convert_to_numpy(keras_private.mask_of(outputs)).tolist() == [[False, True]]
    assert keras_private.mask_of(keras.ops.ones(2)) is None


def test_keras_trying_a_model_out():
    """keras.src.backend.in_stateless_scope: no values are checked then."""
    loss, ids = keras_losses.CrossentropyLoss(from_logits=True), np.array([7])
    assert not keras_private.in_stateless_scope()
    with keras.StatelessScope():
        assert keras_private.in_stateless_scope()
        loss(ids, np.zeros((1, 3), "float32"))
    with pytest.raises(ValueError, match="from 0 to 2"):
        loss(ids, np.zeros((1, 3), "float32"))


def test_the_layers_inside_a_layer():
    """Layer._flatten_layers"""
    inner = keras.layers.Dense(1)
    outer = keras.layers.TimeDistributed(inner)
    assert keras_private.layers_inside(outer, recursive=False) == [inner]


def test_the_logits_kept_beside_a_probability():
    """`_keras_logits`; a tensor that JAX traces cannot have them."""
    logits = keras.ops.convert_to_tensor([[1.0, 2.0]])
    for activation in (keras.activations.softmax, keras.activations.sigmoid):
        assert keras_private.logits_beside(activation(logits)) is logits


def test_the_structure_of_inputs_and_outputs():
    """_inputs_struct and _outputs_struct, those of a Sequential in its _functional."""
    x = {"x": keras.Input((1,), name="x")}
    y = {"y": keras.layers.Dense(1)(x["x"])}
    model = keras.Model(x, y)
    assert keras_private.structure_of(model) == (x, y)
    assert keras_private.outputs_structure(model) == y
    sequential = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    assert keras_private.structure_of(sequential)[1] is sequential.outputs[0]


def test_the_weights_of_losses():
    """Model._compile_config, without the serialization that `get_compile_config` does."""
    inputs = keras.Input((1,))
    model = keras.Model(inputs, [keras.layers.Dense(1)(inputs), keras.layers.Dense(1)(inputs)])
    model.compile("sgd", loss=["mse", lambda y_true, y_pred: y_pred], loss_weights=[1.0, 2.0])
    assert keras_private.loss_weights_of(model) == [1.0, 2.0]


def test_the_metrics_before_the_first_batch():
    """Model._compile_config, in the structure in which they were given."""
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", loss="mse", metrics=["mae"], weighted_metrics=["mse"])
    assert keras_private.metrics_of(model) == [["mae"], ["mse"]]


def test_a_layer_is_hidden_from_the_config_of_a_sequential():
    """Model._layers."""
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1), keras.layers.Dense(2)])
    last = model.layers[-1]
    with keras_private.without_layer(model, last):
        assert model.layers == model.layers[:1]
        assert len(model.get_config()["layers"]) == 2  # with the input
    assert model.layers[-1] is last


def test_the_layers_of_a_model_from_inputs_and_outputs():
    """A layer that is not in the graph is put among Model._layers, with Keras 3.10 too."""
    inputs = keras.Input((1,))
    model = keras.Model(inputs, keras.layers.Dense(1)(inputs))
    other = keras.layers.Dense(1)
    other.build((None, 1))
    with keras_private.unlocked(model):
        model.other = other
        keras_private.replace_layer(model, None, other)
    assert [layer for layer in model._layers if layer is other] == [other]
    assert len(model.trainable_variables) == 4


def test_a_model_that_takes_and_lets_go_of_layers():
    """Layer._tracker is unlocked for more state, and lets go of a layer with untrack."""

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
    with keras_private.unlocked(model):
        model.other = keras.layers.Dense(1)
        model.other.build((None, 1))
        assert len(model.trainable_variables) == 4
        keras_private.untrack(model, model.other)
    assert len(model.trainable_variables) == 2
    assert model._tracker.locked


def test_the_seed_generator_of_unseeded_random_numbers():
    """It is got and set where Keras keeps it, as there may be none yet."""
    before = keras_private.seed_generator()
    try:
        keras_private.set_seed_generator(None)
        keras.random.normal((1,))
        found = keras_private.seed_generator()
        assert isinstance(found, keras.random.SeedGenerator)
        state = keras.ops.convert_to_numpy(found.state.value).tolist()
        keras.random.normal((1,))
        assert keras.ops.convert_to_numpy(found.state.value).tolist() != state
    finally:
        keras_private.set_seed_generator(before)


def test_an_optimizer_that_gets_a_rate_in_place_of_its_schedule_and_lets_go_of_its_slots():
    """Optimizer._learning_rate is set; _untrack_variable and more undo build."""
    schedule = keras.optimizers.schedules.ExponentialDecay(0.5, 1, 0.5)
    optimizer = keras.optimizers.Adam(schedule)
    assert keras_private.rate_source(optimizer) is schedule
    keras_private.set_rate_source(optimizer, keras.Variable(0.25, name="learning_rate"))
    optimizer.learning_rate = 0.125
    assert [variable.name for variable in optimizer.variables] == ["iteration", "learning_rate"]
    assert float(keras.ops.convert_to_numpy(optimizer.learning_rate)) == 0.125
    optimizer.learning_rate = schedule
    assert keras_private.rate_source(optimizer) is schedule
    assert len(optimizer.variables) == 1

    trained = keras.Variable(1.0)
    optimizer.build([trained])
    assert list(optimizer._trainable_variables_indices.values()) == [0]
    assert optimizer._trainable_variables == [trained]
    keras_private.forget_slots(optimizer, {id(optimizer.variables[0])})
    assert len(optimizer.variables) == 1
    assert not optimizer.built
    optimizer.build([trained])
    assert len(optimizer.variables) == 3


def test_the_compiled_parts_of_a_model():
    """That Model._compile_metrics and Model._compile_loss are built is taken back."""
    inputs = keras.Input((1,))
    outputs = [keras.layers.Dense(1, name="a")(inputs), keras.layers.Dense(1, name="b")(inputs)]
    model = keras.Model(inputs, outputs)
    model.compile("sgd", loss=["mse", "mae"], metrics=[["mae"], ["mse"]])
    assert not model._compile_metrics.built
    assert not model._compile_loss.built
    put_back = keras_private.unbuild_compiled_parts(model)
    x = np.ones((1, 1), "float32")
    model.train_on_batch(x, [x, x])
    names = [metric.name for metric in model.metrics]
    assert model._compile_metrics.built
    assert model._compile_loss.built
    put_back()
    assert not model._compile_metrics.built
    assert not model._compile_loss.built
    model.train_function = None
    model.train_on_batch(x, [x, x])
    assert [metric.name for metric in model.metrics] == names


def test_what_an_optimizer_hands_to_its_schedule_and_where_its_slots_are():
    """Optimizer._iterations and _get_variable_index"""
    handed = []

    class Noted(keras.optimizers.schedules.LearningRateSchedule):
        def __call__(self, step):
            handed.append(step)
            return 0.5

    optimizer = keras.optimizers.SGD(Noted(), momentum=0.9)
    assert float(keras.ops.convert_to_numpy(optimizer.learning_rate)) == 0.5
    assert handed[-1] is keras_private.iteration_counter(optimizer)
    variables = [keras.Variable([0.0]), keras.Variable([0.0, 0.0])]
    optimizer.build(variables)
    assert [optimizer.momentums[keras_private.slot_index(optimizer, v)].shape for v in variables] == [
        (1,),
        (2,),
    ]


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="a function of TensorFlow's")
def test_a_graph_knows_that_xla_will_compile_it():
    """GraphOrParentsInXlaContext says so, also within a loop."""
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
    """keras.src.backend.set_keras_mask"""
    x = keras.ops.ones((2, 3))
    keras_private.set_mask(x, keras.ops.ones((2,), "bool"))
    assert keras_private.mask_of(x).shape == (2,)


def test_a_name_that_is_gone_breaks_its_feature_with_a_clear_message(monkeypatch):
    import keras.src.backend

    monkeypatch.delattr(keras.src.backend, "get_keras_mask")
    message = r"`keras_losses`: reading the mask of a layer needs a private name that the installed Keras"
    with pytest.raises(keras_private.PrivateNameError, match=message):
        keras_losses.HuberLoss()(np.ones((1, 1)), np.ones((1, 1)))
    with pytest.raises(keras_private.PrivateNameError, match="computes the learning rate"):
        keras_private.rate_source(object())


def test_private_modules_are_imported_in_one_place():
    """No other module of the library imports from keras.src or tensorflow.python."""
    folders = (Path(keras_losses.__file__).parent, Path(keras_losses.callbacks.__file__).parent)
    found = [
        path.name
        for folder in folders
        for path in folder.rglob("*.py")
        if re.search(r"(from|import) (keras\.src|tensorflow\.python)", path.read_text(encoding="utf-8"))
    ]
    assert set(found) == {"keras_private.py"}
