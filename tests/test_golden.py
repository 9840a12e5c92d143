"""What a release saved loads in every later one and means the same: tests/golden/, never rewritten."""

import copy
import json
from typing import Any

import keras
import numpy as np
import pytest

import keras_losses
from keras_losses.tools import catalogue
from tests.backends import BACKEND, value
from tests.golden import write

RELEASES = sorted(path for path in write.HERE.iterdir() if (path / "losses.jsonl").exists())
LOSSES = [record for release in RELEASES for record in write.lines(release, "losses.jsonl")]
MODELS = [(release, record) for release in RELEASES for record in write.lines(release, "models.jsonl")]


@pytest.mark.parametrize("name", catalogue.losses())
def test_this_release_has_records_of_a_loss_that_change_each_hyper_parameter(name):
    """If not: python -m tests.golden.write"""
    records = write.lines(write.HERE / keras_losses.__version__, "losses.jsonl")
    assert write.missing(name, records) == set()


def test_this_release_has_a_model_for_each_path_through_the_base():
    there = {record["name"] for record in write.lines(write.HERE / keras_losses.__version__, "models.jsonl")}
    assert there == {"elementwise", "classes", "composite", "learned", "vocabulary"}


def without_modules(saved: Any) -> Any:
    """A saved config without the modules of its classes: Keras finds them by their registered names."""
    if isinstance(saved, dict):
        return {key: without_modules(value) for key, value in saved.items() if key != "module"}
    return [without_modules(value) for value in saved] if isinstance(saved, list) else saved


@pytest.mark.parametrize("name", sorted({record["saved"]["class_name"] for record in LOSSES}))
def test_a_saved_config_loads_and_means_the_same(name):
    records = [record for record in LOSSES if record["saved"]["class_name"] == name]
    for record in records:
        saved = record["saved"]
        loss = keras.losses.deserialize(copy.deepcopy(saved))  # Keras changes what it reads
        again = json.loads(json.dumps(keras.losses.serialize(loss)))
        # A later release may add arguments, but none may be lost or change.
        stated, restated = without_modules(saved), without_modules(again)
        assert {**restated["config"], **stated["config"]} == restated["config"]
        assert again["registered_name"] == saved["registered_name"]
        # JAX compiles each operation for each shape: 30 seconds for all, which no other backend takes.
        if BACKEND == "jax" and record is not records[-1]:
            continue
        found = value(loss, np.array(record["y_true"]), np.array(record["y_pred"], "float32"))
        np.testing.assert_allclose(found, record["values"], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("release", "record"), [pytest.param(*one, id=f"{one[0].name}-{one[1]['name']}") for one in MODELS]
)
# Keras keeps the structure of a functional model's inputs in another form than it makes one.
@pytest.mark.filterwarnings("ignore:The structure of `inputs`")
def test_a_saved_model_loads_and_trains_on(release, record):
    model = keras.saving.load_model(release / f"{record['name']}.keras")
    # Compiling takes most of the time and is not the point. JAX takes longer without.
    model.run_eagerly, model.jit_compile = BACKEND != "jax", BACKEND == "jax"
    assert type(model.loss).__name__ == record["loss"]
    x, y = write.INPUTS, np.array(record["y"])
    predictions = keras.ops.convert_to_numpy(model(x))
    np.testing.assert_allclose(predictions, record["predictions"], rtol=1e-5)
    np.testing.assert_allclose(
        model.test_on_batch(x, y, return_dict=True)["loss"], record["value"], rtol=1e-5
    )
    before = [keras.ops.convert_to_numpy(weight) for weight in model.trainable_variables]
    assert int(model.optimizer.iterations) == 1
    model.train_on_batch(x, y)
    assert int(model.optimizer.iterations) == 2
    for weight, old in zip(model.trainable_variables, before, strict=True):
        assert (keras.ops.convert_to_numpy(weight) != old).any()
