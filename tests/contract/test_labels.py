"""One loss, whatever the encoding and the dtype of its labels."""

import ml_dtypes
import numpy as np
import pytest
from scipy.special import softmax

from keras_losses.labels import one_hot
from tests.backends import numpy, value
from tests.contract import samples
from tests.contract.samples import CLASSES
from tests.oracles import REGISTRY, expected

pytestmark = pytest.mark.of_the_base

OVER_CLASSES = [name for name in samples.LOSSES if REGISTRY[name].takes in samples.OVER_CLASSES]
SPARSE = samples.all_cases(lambda case: case.batch.name.startswith("sparse") and len(case.options) != 1)
# An id that is ignored, being no class, has no one-hot row.
WITH_ROWS = [case for case in SPARSE if "ignored" not in case.batch.name]


@pytest.mark.parametrize("case", WITH_ROWS, ids=repr)
def test_one_hot_labels_are_their_ids(case):
    """Class ids and their one-hot rows, in any float dtype, give the same values."""
    batch, loss = case.batch, case.build(reduction="none")
    pred = batch.y_pred.astype("float32")
    ids = batch.y_true[..., 0] if batch.y_true.ndim == pred.ndim else batch.y_true
    hot = np.moveaxis(np.eye(CLASSES)[ids], -1, batch.axis)
    for dtype in ("float32", "float16", "int32"):
        found = value(loss, hot.astype(dtype), pred)
        np.testing.assert_allclose(found, value(loss, ids, pred), rtol=2e-6)


@pytest.mark.parametrize("ignored", range(CLASSES + 1))
@pytest.mark.parametrize("name", OVER_CLASSES)
def test_one_hot_labels_are_ignored_as_their_ids(name, ignored):
    """Every class can be ignored, and one that there is not takes nothing out."""
    ids, pred = np.array([0, 1, 2]), np.array([[0.5, 0.25, 0.25]] * 3, "float32")
    loss = samples.build(name, {"ignore_class": ignored}, reduction="none")
    found = value(loss, np.eye(CLASSES)[ids], pred)
    np.testing.assert_allclose(found, value(loss, ids, pred), rtol=2e-6)
    np.testing.assert_array_equal(found != 0, ids != ignored)


@pytest.mark.parametrize("case", SPARSE, ids=repr)
def test_dtypes_of_ids(case):
    """Class ids in int32, int64, uint8, int8 and whole floats are the same labels."""
    batch, loss = case.batch, case.build(reduction="none")
    pred = batch.y_pred.astype("float32")
    exact = value(loss, batch.y_true.astype("int32"), pred)
    dtypes = ["int64", "uint8", "int16", "float32", "float16"]
    for dtype in dtypes:
        if (batch.y_true.astype(dtype) == batch.y_true).all():
            np.testing.assert_array_equal(value(loss, batch.y_true.astype(dtype), pred), exact, dtype)


BINARY = samples.plain_cases(lambda batch: "one output 6" in batch.name or batch.name.startswith("0/1"))


@pytest.mark.parametrize("case", BINARY, ids=repr)
def test_dtypes_of_binary_labels(case):
    """Labels 0 and 1 in bool, integers and floats are the same labels."""
    loss, pred = case.build(reduction="none"), case.batch.y_pred.astype("float32")
    exact = value(loss, case.batch.y_true.astype("float32"), pred)
    for dtype in ("bool", "int32", "int64", "uint8", "float16"):
        np.testing.assert_array_equal(value(loss, case.batch.y_true.astype(dtype), pred), exact, dtype)


@pytest.mark.parametrize("name", [name for name in OVER_CLASSES if REGISTRY[name].takes != "scores"])
def test_one_output_on_another_axis(name):
    """An axis of one class is one output, wherever it is."""
    p, y = np.linspace(0.1, 0.9, 6).reshape(2, 3, 1).astype("float32"), np.arange(6).reshape(2, 3, 1) % 2
    found = value(samples.build(name, {"axis": 1}, 1, reduction="none"), y.swapaxes(1, 2), p.swapaxes(1, 2))
    exact = value(samples.build(name, {}, 1, reduction="none"), y, p)
    np.testing.assert_allclose(found, exact, rtol=1e-6)


@pytest.mark.parametrize("name", OVER_CLASSES)
@pytest.mark.parametrize("dtype", ["int32", "int64", "float32"])
def test_class_257_in_bfloat16(name, dtype):
    """Class 257 is not 256, though bfloat16 has no 257; no dtype of loss or predictions matters."""
    options = {"from_logits": True} if "from_logits" in samples.LOSSES[name].hyperparameters else {}
    loss = samples.build(name, options, 300, reduction="none", dtype="bfloat16")
    pred = np.zeros((1, 300), ml_dtypes.bfloat16)
    pred[0, 256], pred[0, 257] = 4, -3
    found = value(loss, np.array([257], dtype), pred)
    np.testing.assert_allclose(found, expected(loss, np.array([257]), pred), rtol=2e-5)


@pytest.mark.parametrize("name", OVER_CLASSES)
@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "float16"])
def test_narrow_ids_among_many_classes(name, dtype):
    """Ids whose dtype cannot count the classes are no other class's ids."""
    ids, pred = np.array([1, 44, 100]), softmax(samples.rng(name).normal(0, 1, (3, 3000)), -1)
    loss = samples.build(name, {}, 3000, reduction="none")
    found = value(loss, ids.astype(dtype), pred.astype("float32"))
    np.testing.assert_allclose(found, expected(loss, ids, pred), rtol=1e-5)


@pytest.mark.parametrize("name", OVER_CLASSES)
def test_class_16777217(name):
    """Class 16777217 is not 16777216, though float32 has no such number, by its id and in its one-hot row."""
    options = {"from_logits": True} if "from_logits" in samples.LOSSES[name].hyperparameters else {}
    loss = samples.build(name, options)
    labels, _ = loss.align(np.array([2**24 + 1], "int32"), np.zeros((1, 2**24 + 2), "float32"))
    assert int(numpy(labels.values)[0]) == 2**24 + 1
    assert numpy(one_hot(labels, "float32")).argmax() == 2**24 + 1


# To check a number for each of so many classes takes 8 s, and the gamma functions of as many half a minute
# and 6 GB: of these losses the law above has to do.
AMONG_MANY = [
    name
    for name in OVER_CLASSES
    if not samples.required(name) and samples.LOSSES[name].card.family != "likelihood"
]


@pytest.mark.parametrize("name", AMONG_MANY)
def test_class_16777217_has_its_own_value(name):
    """The last of 16777218 classes is told from the one before it."""
    options = {"from_logits": True} if "from_logits" in samples.LOSSES[name].hyperparameters else {}
    loss = samples.build(name, options, 2**24 + 2, reduction="none")
    scores = np.full((1, 2**24 + 2), -1e4, "float32")
    scores[0, -1], scores[0, -2] = 1, 5
    # Softmax over the two scores that count.
    exact = {"CrossentropyLoss": 4 + np.log1p(np.exp(-4))}
    found = value(loss, np.array([2**24 + 1], "int32"), scores)[0]
    other = value(loss, np.array([2**24], "int32"), scores)[0]
    assert found > 0.5
    assert other < 0.5 * found  # in none of which it would be half, were they taken for one
    if name in exact:
        np.testing.assert_allclose(found, exact[name], rtol=1e-4)
