"""A loss that is saved comes back as it was, with every hyper-parameter."""

import copy
import json
import pickle

import keras
import numpy as np
import pytest

from keras_losses import HuberLoss
from keras_losses.tools import catalogue
from tests import every_loss as losses
from tests.backends import double_precision, value
from tests.contract.cases import cases, every_case, every_loss
from tests.every_loss import LOSSES, build, required
from tests.models import arguments, reloaded

MORE = {"name": "mine", "reduction": "sum", "dtype": "float64"}


def everything_changed(loss):
    """Objects of the loss in which, between them, every argument has each of its values."""
    left = {(key, place) for key, choices in losses.free(loss).items() for place in range(1, len(choices))}
    for case in every_case(loss):
        told = {**case.batch.options, **case.options}
        changed = {
            (key, place)
            for key, place in left
            if key in told and _comparable_to(told[key], losses.free(loss)[key][place])
        }
        if changed:
            left -= changed
            yield build(loss, told, case.batch.outputs, **MORE)
    for key, place in sorted(left):
        yield build(loss, {**required(loss), key: losses.free(loss)[key][place]}, **MORE)


def _comparable_to(one, other):
    # A sequence was cut or repeated to the number of outputs.
    return one == other or (isinstance(one, list) and isinstance(other, list))


WAYS = {
    "get_config": lambda loss: type(loss).from_config(loss.get_config()),
    "through JSON": lambda loss: keras.losses.deserialize(
        json.loads(json.dumps(keras.losses.serialize(loss)))
    ),
    "keras.losses.get": lambda loss: keras.losses.get(keras.losses.serialize(loss)),
    "keras.saving": lambda loss: keras.saving.deserialize_keras_object(
        keras.saving.serialize_keras_object(loss)
    ),
    "pickle": lambda loss: pickle.loads(pickle.dumps(loss)),
    "deepcopy": copy.deepcopy,
}


@every_loss
def test_every_argument_comes_back(loss):
    """Each way of saving gives back the class and every argument, name, reduction and dtype too."""
    for made in everything_changed(loss):
        config = made.get_config()
        assert set(config) == {*type(made).hyperparameters, "name", "reduction", "dtype"}
        for way, saved_and_loaded in WAYS.items():
            again = saved_and_loaded(made)
            assert type(again) is type(made), way
            assert again is not made, way
            assert arguments(again) == arguments(made), way
            assert again.get_config() == config, way


@every_loss
def test_registered_name(loss):
    """The registered name is the package's and the class's, for ever; of another's loss, its package's."""
    made = LOSSES[loss]
    package = "keras_losses" if loss in catalogue.losses() else made.__module__
    assert keras.saving.get_registered_name(made) == f"{package}>{loss}"
    assert keras.saving.get_registered_object(f"{package}>{loss}") is made


def test_huber_keeps_its_delta(tmp_path):
    """HuberLoss(delta=5) has the delta 5 after load_model, which Keras's own has not."""
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", loss=HuberLoss(delta=5, dtype="float64"))
    loss = reloaded(model, tmp_path).loss
    assert loss.delta == 5
    assert loss.dtype == "float64"


def test_a_cloned_model_has_the_loss():
    """clone_model and a compile config keep a loss with its arguments."""
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", loss=HuberLoss(delta=5, reduction="sum"))
    clone = keras.models.clone_model(model)
    clone.compile_from_config(model.get_compile_config())
    assert arguments(clone.loss) == arguments(model.loss)


@pytest.mark.parametrize("loss", losses.ONE_OF_EACH_PATH)
def test_float64_is_kept(loss):
    """A loss of dtype float64 computes in float64 after a round trip, too."""
    case = cases(loss)[0]
    with double_precision():
        again = keras.losses.deserialize(keras.losses.serialize(case.build(dtype="float64")))
        assert value(again, case.batch.y_true, case.batch.y_pred).dtype == np.float64
