"""A loss that is saved comes back as it was, with every hyper-parameter, and goes on training."""

import copy
import json
import pickle
import tempfile

import keras
import numpy as np
import pytest
from keras import ops

from keras_losses import CumulativeLink, HuberLoss, catalogue
from tests.backends import BACKEND, double_precision, value
from tests.contract import samples
from tests.oracles import REGISTRY

MORE = {"name": "mine", "reduction": "sum", "dtype": "float64"}


def everything_changed(name):
    """Objects of the loss in which, between them, every argument has a value other than its default."""
    parameters = samples.LOSSES[name].hyperparameters
    left = {key: samples.values(parameter) for key, parameter in parameters.items()}
    base = samples.required(name)
    for key, choices in left.items():
        made = 0
        for choice in choices:
            for extra in ({}, {"from_logits": True}, {"loss": "binary_crossentropy"}):
                options = {**base, **{k: v for k, v in extra.items() if k in parameters}, key: choice}
                try:
                    loss = samples.build(name, options, **MORE)
                except ValueError:
                    continue
                made += 1
                yield loss
                break
        assert made or key == "loss" or key == "confidence_penalty", f"{name}: no value of {key} can be made"
    if "loss" in parameters:
        for batch in samples.batches(name):
            yield samples.build(name, {**batch.options, "activity_l1": 0.3}, **MORE)


OBJECTS = [
    pytest.param(loss, id=f"{name}-{turn}")
    for name in samples.LOSSES
    for turn, loss in enumerate(everything_changed(name))
]


def arguments(loss):
    """The constructor's arguments as they are in the object, those of a loss inside it too."""
    found = {"name": loss.name, "reduction": loss.reduction, "dtype": loss.dtype}
    for key in type(loss).hyperparameters:
        found[key] = _comparable(getattr(loss, key))
    return found


def _comparable(kept):
    if isinstance(kept, dict):
        return {key: _comparable(value) for key, value in kept.items()}
    if hasattr(kept, "get_config"):
        return type(kept), _comparable(kept.get_config())
    return list(kept) if isinstance(kept, tuple) else kept


def by_keras(loss):
    return keras.losses.deserialize(keras.losses.serialize(loss))


def compiled_with(loss):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", loss=loss)
    return model


def by_keras_file(loss):
    with tempfile.TemporaryDirectory() as folder:
        compiled_with(loss).save(f"{folder}/model.keras")
        return keras.saving.load_model(f"{folder}/model.keras").loss


def by_clone(loss):
    model = compiled_with(loss)
    clone = keras.models.clone_model(model)
    clone.compile_from_config(model.get_compile_config())
    return clone.loss


WAYS = {
    "get_config": lambda loss: type(loss).from_config(loss.get_config()),
    "through JSON": lambda loss: keras.losses.deserialize(
        json.loads(json.dumps(keras.losses.serialize(loss)))
    ),
    "keras.losses": by_keras,
    "keras.losses.get": lambda loss: keras.losses.get(keras.losses.serialize(loss)),
    "keras.saving": lambda loss: keras.saving.deserialize_keras_object(
        keras.saving.serialize_keras_object(loss)
    ),
    ".keras": by_keras_file,
    "clone_model": by_clone,
    "pickle": lambda loss: pickle.loads(pickle.dumps(loss)),
    "deepcopy": copy.deepcopy,
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("loss", OBJECTS)
def test_every_argument_comes_back(loss, way):
    """Each way of saving gives back the class and every argument, name, reduction and dtype too."""
    again = WAYS[way](loss)
    assert type(again) is type(loss)
    assert again is not loss
    assert arguments(again) == arguments(loss)
    assert again.get_config() == loss.get_config()


@pytest.mark.parametrize("loss", OBJECTS)
def test_config_has_every_argument(loss):
    """The config is JSON, and holds every argument of the constructor."""
    config = loss.get_config()
    assert set(config) == {*type(loss).hyperparameters, "name", "reduction", "dtype"}
    json.dumps(keras.losses.serialize(loss))


@pytest.mark.parametrize("name", samples.LOSSES)
def test_registered_name(name):
    """The registered name is the package's and the class's, for ever; of another's loss, its package's."""
    loss = samples.LOSSES[name]
    package = "keras_losses" if name in catalogue.losses() else "contributing_loss"
    assert keras.saving.get_registered_name(loss) == f"{package}>{name}"
    assert keras.saving.get_registered_object(f"{package}>{name}") is loss


FIRST = {
    case.loss: case
    for case in reversed(samples.plain_cases(lambda batch: samples.simple(batch) and batch.y_pred.ndim == 2))
    # A pair holds probabilities, which a layer has to make.
    if REGISTRY[case.loss].takes not in samples.SEVERAL_PREDICTIONS or "probabilities" in case.batch.name
}


@keras.saving.register_keras_serializable("tests")
def softmax_of_each(x):
    """Of predictions that lie one after another."""
    each = ops.softmax(ops.reshape(x, (-1, samples.CLASSES)))
    return ops.reshape(each, (-1, *x.shape[1:]))


def last_layer(case):
    """A linear layer with as many outputs as the batch, and what the loss expects of them."""
    loss = case.build()
    if REGISTRY[case.loss].takes == "cut points":
        return CumulativeLink(loss.num_classes, link=loss.link)
    probabilities = getattr(samples.inside(loss), "from_logits", True) is False
    units = case.batch.y_pred.shape[-1]
    activation = {True: "sigmoid" if units == 1 else "softmax", False: None}[probabilities]
    if REGISTRY[case.loss].takes in samples.SEVERAL_PREDICTIONS:
        activation = softmax_of_each
    return keras.layers.Dense(units, activation=activation)


def small_model(case):
    """One layer, the last that the loss expects."""
    model = keras.Sequential([keras.Input((2,)), last_layer(case)])
    return model, np.linspace(-1, 1, 12, dtype="float32").reshape(6, 2)


@pytest.mark.of_the_base
@pytest.mark.parametrize("name", samples.LOSSES)
def test_keras_file(name, tmp_path):
    """A .keras file needs no custom_objects: the loss has all its arguments, and training goes on."""
    case = FIRST[name]
    model, x = small_model(case)
    y = case.batch.y_true
    fitting = [one for one in samples.cases(name) if one.batch is case.batch][-1]
    loss = fitting.build(name="mine", reduction="sum")
    model.compile(keras.optimizers.SGD(0.01), loss=loss)
    model.fit(x, y, verbose=0, batch_size=6)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert type(again.loss) is samples.LOSSES[name]
    assert arguments(again.loss) == arguments(loss)
    # A sum of both signs has the rounding of its parts, not of what is left of them.
    size = np.abs(ops.convert_to_numpy(fitting.build(reduction=None)(y, model(x)))).sum()
    losses = [one.fit(x, y, verbose=0, batch_size=6).history["loss"] for one in (model, again)]
    np.testing.assert_allclose(*losses, rtol=0, atol=1e-6 * size)
    for mine, theirs in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("name", samples.OF_EACH_KIND)
def test_weights_file(name, tmp_path):
    """A .weights.h5 file, into a model compiled with the loss's config: the same loss, and the same steps."""
    case = FIRST[name]
    made = []
    for turn in range(2):
        keras.utils.set_random_seed(turn)
        model, x = small_model(case)
        model.compile(keras.optimizers.SGD(0.01, momentum=0.9), loss=by_keras(case.build()))
        if not made:
            model.fit(x, case.batch.y_true, verbose=0, batch_size=6)
            model.save_weights(tmp_path / "model.weights.h5")
        else:
            model.optimizer.build(model.trainable_variables)
            model.load_weights(tmp_path / "model.weights.h5")
        made.append(model)
    for model in made:
        model.reset_metrics()  # old Keras would go on with the mean over the steps of fit
    losses = [model.train_on_batch(x, case.batch.y_true) for model in made]
    np.testing.assert_allclose(*losses, rtol=1e-6)
    for mine, theirs in zip(*(model.get_weights() for model in made), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-5, atol=1e-7)


@pytest.mark.of_the_base
@pytest.mark.skipif(BACKEND != "tensorflow", reason="SavedModel is a format of TensorFlow's")
@pytest.mark.parametrize("name", samples.LOSSES)
def test_export(name, tmp_path):
    """A compiled and trained model is exported as a SavedModel, which predicts the same."""
    import tensorflow as tf

    model, x = small_model(FIRST[name])
    model.compile("sgd", loss=FIRST[name].build())
    model.train_on_batch(x, FIRST[name].batch.y_true)
    model.export(tmp_path / "exported", verbose=False)
    exported = tf.saved_model.load(tmp_path / "exported")
    np.testing.assert_allclose(exported.serve(x), model.predict(x, verbose=0), rtol=1e-6)


def test_huber_keeps_its_delta():
    """HuberLoss(delta=5) has the delta 5 after load_model, which Keras's own has not."""
    loss = by_keras_file(HuberLoss(delta=5, dtype="float64"))
    assert loss.delta == 5
    assert loss.dtype == "float64"


@pytest.mark.parametrize("case", samples.plain_cases(samples.simple), ids=repr)
def test_float64_is_kept(case):
    """A loss of dtype float64 computes in float64 after a round trip, too."""
    with double_precision():
        found = value(by_keras(case.build(dtype="float64")), case.batch.y_true, case.batch.y_pred)
        assert found.dtype == "float64"


def test_every_loss_is_here():
    """No loss is without a model to save."""
    assert set(FIRST) == set(samples.LOSSES) == set(REGISTRY)
