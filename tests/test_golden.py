"""What an earlier release saved loads for ever, and means the same: tests/golden/*.json, never rewritten."""

import copy
import json
from pathlib import Path

import keras
import numpy as np
import pytest

from keras_losses import catalogue
from tests.backends import value

FILES = sorted((Path(__file__).parent / "golden").glob("*.json"))
RECORDS = [record for file in FILES for record in json.loads(file.read_text(encoding="utf-8"))]


def test_every_loss_is_kept():
    assert {record["saved"]["class_name"] for record in RECORDS} == set(catalogue.losses())


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record["saved"]["class_name"])
def test_an_old_config_loads_and_means_the_same(record):
    loss = keras.losses.deserialize(copy.deepcopy(record["saved"]))  # Keras changes what it reads
    again = json.loads(json.dumps(keras.losses.serialize(loss)))
    # A later release may add arguments, but none may be lost or change.
    assert {**again["config"], **record["saved"]["config"]} == again["config"]
    assert again["registered_name"] == record["saved"]["registered_name"]
    found = value(loss, np.array(record["y_true"]), np.array(record["y_pred"], "float32"))
    np.testing.assert_allclose(found, record["values"], rtol=1e-5, atol=1e-6)
