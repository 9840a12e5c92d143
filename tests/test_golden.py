"""What an earlier release saved loads for ever, and means the same: tests/golden/, never rewritten."""

import copy
import json
from pathlib import Path

import keras
import numpy as np
import pytest

from keras_losses import catalogue
from tests.backends import value
from tests.contract import test_round_trips  # noqa: F401 - registers an activation that the models have

GOLDEN = Path(__file__).parent / "golden"


def records(file):
    return [
        record
        for path in sorted(GOLDEN.glob(f"*/{file}"))
        for record in json.loads(path.read_text(encoding="utf-8"))
    ]


CONFIGS, MODELS = records("configs.json"), records("models.json")


def test_every_loss_is_kept():
    assert {record["saved"]["class_name"] for record in CONFIGS} == set(catalogue.losses())
    assert {Path(record["file"]).stem for record in MODELS} == set(catalogue.losses())


@pytest.mark.parametrize("record", CONFIGS, ids=lambda record: record["saved"]["class_name"])
def test_an_old_config_loads_and_means_the_same(record):
    loss = keras.losses.deserialize(copy.deepcopy(record["saved"]))  # Keras changes what it reads
    again = json.loads(json.dumps(keras.losses.serialize(loss)))
    # A later release may add arguments, but none may be lost or change.
    assert {**again["config"], **record["saved"]["config"]} == again["config"]
    assert again["registered_name"] == record["saved"]["registered_name"]
    found = value(loss, np.array(record["y_true"]), np.array(record["y_pred"], "float32"))
    np.testing.assert_allclose(found, record["values"], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("record", MODELS, ids=lambda record: record["file"])
def test_an_old_model_loads_and_trains_on(record):
    model = keras.saving.load_model(GOLDEN / record["file"])
    assert type(model.loss).__name__ == Path(record["file"]).stem
    x, y = np.array(record["x"], "float32"), np.array(record["y"])
    np.testing.assert_allclose(model.predict(x, verbose=0), record["predictions"], rtol=1e-5)
    np.testing.assert_allclose(np.ravel(model.evaluate(x, y, verbose=0))[0], record["loss"], rtol=1e-5)
    before = model.get_weights()[0]
    assert int(model.optimizer.iterations) == 1
    model.train_on_batch(x, y)
    assert int(model.optimizer.iterations) == 2
    assert (model.get_weights()[0] != before).any()
