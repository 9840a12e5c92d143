"""One loss, whatever the encoding and the dtype of its labels."""

import ml_dtypes
import numpy as np
import pytest
from scipy.special import softmax

from keras_losses.core.labels import one_hot
from tests import thorough
from tests.backends import numpy, value
from tests.contract.cases import about, cases, every_loss, plain, single
from tests.every_loss import LOSSES, build, required
from tests.kinds import kind_of
from tests.kinds.kind import CLASSES, Seeded, hot
from tests.oracles import expected

OF_IDS = [name for name in LOSSES if kind_of(name).class_ids]
of_ids = pytest.mark.parametrize("loss", OF_IDS)
DTYPES = ("bool", "int32", "int64", "uint8", "int16", "float16", "float32")


@every_loss
def test_dtypes_of_labels(loss):
    """The same labels in any dtype that can hold them have the same values, bit for bit."""
    tried = [case for case in plain(loss) if (case.y_true == np.round(case.y_true)).all()][:2]
    tried = thorough.few(tried, 1)
    for turn, case in enumerate(tried):
        with about(case):
            same = [dtype for dtype in DTYPES if (case.y_true.astype(dtype) == case.y_true).all()]
            exact = value(case.build(reduction="none"), case.y_true, case.y_pred)
            for dtype in same[turn::2]:
                found = value(case.build(reduction="none"), case.y_true.astype(dtype), case.y_pred)
                np.testing.assert_array_equal(found, exact, dtype)


@every_loss
def test_one_hot_labels_are_their_ids(loss):
    """Class ids and their one-hot rows give the same values, with every hyper-parameter."""
    sparse = [
        case
        for case in cases(loss)
        if case.batch.name.startswith("sparse") and "ignore_class" not in case.batch.options
    ]
    for case in thorough.few(sparse[:4], 1):
        with about(case):
            rows = np.moveaxis(hot(case.y_true, case.batch.outputs), -1, case.batch.axis)
            found = value(case.build(reduction="none"), rows.astype("float32"), case.y_pred)
            np.testing.assert_allclose(found, single(case).values, rtol=2e-6, atol=1e-7)


@of_ids
def test_one_hot_labels_are_ignored_as_their_ids(loss):
    """Every class can be ignored, and one that there is not takes nothing out."""
    # No loss is 0 by chance: that of a distance on either side would be at a probability of 1/2.
    ids, pred = np.array([0, 1, 2]), np.array([[0.4, 0.35, 0.25]] * 3, "float32")
    for ignored in (0, CLASSES - 1, CLASSES):
        built = build(loss, {"ignore_class": ignored}, reduction="none")
        found = value(built, hot(ids, CLASSES), pred)
        np.testing.assert_allclose(found, value(built, ids, pred), rtol=2e-6)
        np.testing.assert_array_equal(found != 0, ids != ignored)


@pytest.mark.parametrize("loss", [name for name in OF_IDS if kind_of(name).one_output])
def test_one_output_on_another_axis(loss):
    """An axis of one class is one output, wherever it is."""
    p, y = np.linspace(0.1, 0.9, 6).reshape(2, 3, 1).astype("float32"), np.arange(6).reshape(2, 3, 1) % 2
    found = value(build(loss, {"axis": 1}, 1, reduction="none"), y.swapaxes(1, 2), p.swapaxes(1, 2))
    exact = value(build(loss, {}, 1, reduction="none"), y, p)
    np.testing.assert_allclose(found, exact, rtol=1e-6)


def from_logits(loss):
    return {"from_logits": True} if "from_logits" in LOSSES[loss].hyperparameters else {}


@of_ids
def test_class_257_in_bfloat16(loss):
    """Class 257 is not 256, though bfloat16 has no 257; no dtype of loss, labels or predictions matters."""
    built = build(loss, from_logits(loss), 300, reduction="none", dtype="bfloat16")
    pred = np.zeros((1, 300), ml_dtypes.bfloat16)
    pred[0, 256], pred[0, 257] = 4, -3
    exact = expected(built, np.array([257]), pred)
    for dtype in ("int32", "float32"):
        np.testing.assert_allclose(value(built, np.array([257], dtype), pred), exact, rtol=2e-5)


@of_ids
def test_narrow_ids_among_many_classes(loss):
    """Ids whose dtype cannot count the classes are no other class's ids."""
    ids, pred = np.array([1, 44, 100]), softmax(Seeded(loss).numbers((3, 300)) / 2, -1)
    built = build(loss, {}, 300, reduction="none")
    exact = expected(built, ids, pred)
    for dtype in ("int8", "uint8"):
        found = value(built, ids.astype(dtype), pred.astype("float32"))
        np.testing.assert_allclose(found, exact, rtol=1e-5)


def test_class_16777217():
    """Class 16777217 is not 16777216, though float32 has no such number, by its id and in its one-hot row."""
    loss = build("CrossentropyLoss", {"from_logits": True}, reduction="none")
    ids, scores = np.array([2**24 + 1], "int32"), np.full((1, 2**24 + 2), -1e4, "float32")
    scores[0, -1], scores[0, -2] = 1, 5
    # Softmax over the two scores that count.
    np.testing.assert_allclose(value(loss, ids, scores), [4 + np.log1p(np.exp(-4))], rtol=1e-4)
    labels, _ = loss.align(ids, scores)
    assert int(numpy(labels.values)[0]) == 2**24 + 1
    assert numpy(one_hot(labels, "float32")).argmax() == 2**24 + 1


@pytest.mark.thorough
@pytest.mark.parametrize(
    # A number for each of so many classes takes 8 s, and gamma functions of as many half a minute and 6 GB.
    "loss",
    [name for name in OF_IDS if not required(name) and LOSSES[name].card.family != "evidential"],
)
def test_class_16777217_has_its_own_value(loss):
    """The last of 16777218 classes is told from the one before it."""
    built = build(loss, from_logits(loss), 2**24 + 2, reduction="none")
    scores = np.full((1, 2**24 + 2), -1e4, "float32")
    scores[0, -1], scores[0, -2] = 1, 5
    found = value(built, np.array([2**24 + 1], "int32"), scores)[0]
    other = value(built, np.array([2**24], "int32"), scores)[0]
    assert found > 0.5
    assert other < 0.5 * found  # in none of which it would be half, were they taken for one
