"""Class counts, class weights and output biases: every form of labels, and what is refused."""

import math

import keras
import numpy as np
import pytest

from keras_losses import CrossentropyLoss, FocalLoss, class_counts, class_weights, output_bias
from tests.backends import BACKEND, numpy, tensor, value

IDS = np.array([0, 2, 2, 0, 2])
COUNTS = [2.0, 0.0, 3.0]
HOT = np.eye(3)[IDS]


class Batches(keras.utils.PyDataset):
    """Five samples in batches of two."""

    def __init__(self, labels, weighted=False):
        super().__init__()
        self.labels, self.weighted = labels, weighted

    def __len__(self):
        return 3

    def __getitem__(self, index):
        y = self.labels[2 * index : 2 * index + 2]
        x = np.zeros((len(y), 4))
        return (x, y, np.full(len(y), 7.0)) if self.weighted else (x, y)


class Endless(Batches):
    @property
    def num_batches(self):
        return None


def words(x):
    """Name a case by its repr; by its class if the repr has an address, which differs between workers."""
    return type(x).__name__ if " at 0x" in repr(x) else repr(x)


# Counts -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "y",
    [
        IDS,
        IDS[:, None],
        IDS.tolist(),
        tuple(IDS),
        [[i] for i in IDS],
        IDS.astype("uint8"),
        IDS.astype("float32"),
        IDS.astype("float16")[:, None],
        tensor(IDS),
        tensor(IDS.astype("float32")),
        tensor(IDS.astype("float32"), "bfloat16"),
        HOT,
        HOT.tolist(),
        HOT.astype("float16").reshape(5, 1, 3),
        tensor(HOT, "float32"),
        [IDS[:2], IDS[2:]],
        [HOT[:2], HOT[2:]],
        [(np.zeros((2, 2)), IDS[:2]), (np.zeros((3, 2)), IDS[2:], np.ones(3))],
        [[np.zeros((2, 2)), tensor(IDS[:2])], [np.zeros((3, 2)), tensor(IDS[2:])]],
        zip(np.zeros((5, 2)), IDS, strict=True),
        Batches(IDS),
        Batches(HOT, weighted=True),
    ],
    ids=words,
)
def test_every_form_of_labels(y):
    """Ids and rows in arrays, tensors, lists and batches give the same counts."""
    found = class_counts(y)
    assert found.dtype == "float64"
    assert found.tolist() == COUNTS


def test_a_generator_is_read_once_and_a_batch_at_a_time():
    alive = []

    def batches():
        for ids in ([0, 2], [2, 0], [2]):
            alive.append(len(ids))
            yield np.array(ids)

    assert class_counts(batches()).tolist() == COUNTS
    assert alive == [2, 2, 1]


def test_datasets_of_tensorflow():
    """Elements may be y, (x, y) or (x, y, weight), batched or not."""
    data = pytest.importorskip("tensorflow").data.Dataset
    x, weights = np.zeros((5, 4)), np.full(5, 7.0)
    for y in (IDS, IDS[:, None], HOT.astype("float32")):
        for parts in (y, (x, y), (x, y, weights)):
            assert class_counts(data.from_tensor_slices(parts).batch(2)).tolist() == COUNTS
    assert class_counts(data.from_tensor_slices((x, IDS))).tolist() == COUNTS
    assert class_counts(data.from_tensor_slices((x, HOT)), one_hot=True).tolist() == COUNTS
    assert class_counts(data.from_tensor_slices(IDS).repeat().take(5)).tolist() == COUNTS
    with pytest.raises(ValueError, match=r"must have an end\. .* repeats for ever"):
        class_counts(data.from_tensor_slices(IDS).batch(2).repeat())
    with pytest.raises(ValueError, match=r"labels in one array\. Received: labels of type dict"):
        class_counts(data.from_tensor_slices((x, {"a": IDS})).batch(2))


def test_pandas():
    """Series, frames, categories and nullable numbers are counted."""
    pandas = pytest.importorskip("pandas")
    assert class_counts(pandas.Series(IDS)).tolist() == COUNTS
    assert class_counts(pandas.Series(IDS, dtype="Int64")).tolist() == COUNTS
    assert class_counts(pandas.DataFrame({"y": IDS})).tolist() == COUNTS
    assert class_counts(pandas.DataFrame(HOT, columns=list("abc"))).tolist() == COUNTS
    names = pandas.Categorical.from_codes(IDS, ["ant", "bee", "cat", "dog"])
    for y in (names, pandas.Series(names)):
        assert class_counts(y).tolist() == [2, 0, 3, 0]
    with pytest.raises(ValueError, match="must hold class ids or rows of labels as numbers"):
        class_counts(pandas.Series(["ant", "bee"]))
    with pytest.raises(ValueError, match=r"class ids .* Received: -1"):
        class_counts(pandas.Categorical(["ant", None]))


def test_numbers_of_classes():
    assert class_counts([0, 1], num_classes=4).tolist() == [1, 1, 0, 0]
    assert class_counts([np.array([0]), np.array([3, 1])]).tolist() == [1, 1, 0, 1]
    assert class_counts([True, False, True]).tolist() == [1, 2]
    assert class_counts(HOT, num_classes=3).tolist() == COUNTS
    # Soft and multi-label rows are summed unchanged.
    assert class_counts([[0.25, 0.75], [0.5, 0.5]]).tolist() == [0.75, 1.25]
    assert class_counts([[1.0, 1.0], [0.0, 1.0]]).tolist() == [1, 2]


def test_masks_and_rows_of_integers_have_to_be_told_apart():
    """[[1, 0], [0, 1]] may be four pixels, two of each class, or two samples, one of each class."""
    for dtype in ("int32", "bool", "uint8"):
        y = np.array([[1, 0], [0, 1], [1, 0]]).astype(dtype)
        assert class_counts(y, one_hot=False).tolist() == [3, 3]
        assert class_counts(y, one_hot=True).tolist() == [2, 1]
        with pytest.raises(ValueError, match=r"shape \(3, 2\) and dtype .* Pass one_hot=False for ids"):
            class_counts(y)
    assert class_counts([[0.0, 2.0], [2.0, 2.0]], one_hot=False).tolist() == [1, 0, 3]


def test_ignored_labels_are_not_counted():
    assert class_counts([0, -1, 1, -1], ignore_class=-1).tolist() == [1, 1]
    assert class_counts(np.array([0, 255, 1], "uint8"), ignore_class=255).tolist() == [1, 1]
    assert class_counts([0, 1, 1, 2], ignore_class=1).tolist() == [1, 0, 1]
    assert class_counts(HOT, ignore_class=2).tolist() == [2, 0, 0]
    assert class_counts([[1.0, -1.0], [1.0, 0.0]], ignore_class=-1).tolist() == [2, 0]


@pytest.mark.parametrize(
    ("y", "options", "words"),
    [
        ([0, -1], {}, r"class ids from 0 up\. Received: -1\. To skip an id, pass it as ignore_class"),
        ([0, 1.5], {}, r"class ids from 0 up\. Received: 1\.5"),
        ([0, np.nan], {}, r"Received: nan"),
        ([0, np.inf], {}, r"Received: inf"),
        ([0, 3], {"num_classes": 3}, r"class ids from 0 to 2\. Received: 3"),
        (HOT, {"num_classes": 4}, r"a column for each of the 4 classes\. Received: y of shape \(5, 3\)"),
        ([[0.5, 1.5]], {}, r"labels between 0 and 1\. Received: 1\.5\. .* one_hot=False"),
        ([[0.5, np.nan]], {}, r"labels between 0 and 1\. Received: nan"),
        (["ant", "bee"], {}, r"as numbers, without gaps\. Received: y of dtype <U3\."),
        ("ant", {}, r"Received: y of type str"),
        ({"a": 1}, {}, r"Received: y of type dict"),
        (3, {}, r"Received: y of type int"),
        (None, {}, r"Received: y of type NoneType"),
        ([], {}, r"at least one label"),
        (iter([]), {}, r"at least one label"),
        (np.zeros((0, 3)), {}, r"at least one label"),
        ([-1, -1], {"ignore_class": -1}, r"at least one label"),
        ((np.zeros((2, 3)), np.array([0, 1])), {}, r"a tuple of 2 arrays, which looks like \(x, y\)"),
        (
            [(np.zeros(2), np.zeros(2), 1, 1)],
            {},
            r"\(x, y\) or \(x, y, sample_weight\)\. Received: a tuple of 4",
        ),
        ([(np.zeros(2), {"a": 1})], {}, r"Received: labels of type dict"),
        ([(np.zeros(2), None)], {}, r"Received: labels of type NoneType"),
        ([HOT, IDS], {}, r"one encoding and one number of classes"),
        ([HOT, HOT[:, :2]], {}, r"one encoding and one number of classes"),
        ([[0], [0, 1]], {}, r"numbers in one array"),
        (
            IDS,
            {"one_hot": True},
            r"the last axis of `y` must be that of the classes\. Received: y of shape \(5,\)",
        ),
        (
            IDS,
            {"num_classes": 0},
            r"`num_classes` must be an integer in \[1, inf\), or None\. Received: num_classes=0",
        ),
        (IDS, {"num_classes": 2.5}, r"Received: num_classes=2\.5 \(it is of type float\)"),
        (Endless(IDS), {}, r"must have an end"),
    ],
    ids=words,
)
def test_what_has_no_counts(y, options, words):
    """The message has what was received, what was expected and what to do."""
    with pytest.raises((TypeError, ValueError), match=words) as caught:
        class_counts(y, **options)
    assert str(caught.value).startswith("`class_counts`: ")


@pytest.mark.skipif(BACKEND != "torch", reason="the counts are the same for all backends")
def test_batches_of_pytorch():
    torch = pytest.importorskip("torch")
    data = torch.utils.data.TensorDataset(torch.zeros(5, 2), torch.tensor(IDS))
    assert class_counts(torch.utils.data.DataLoader(data, batch_size=2)).tolist() == COUNTS


# Weights ------------------------------------------------------------------------------------------------


def test_weights_by_hand():
    """Weights of classes with 100, 400 and 900 samples, scaled to a mean of 1."""
    inverse, root = np.array([36.0, 9, 4]), np.array([6.0, 3, 2])
    np.testing.assert_allclose(class_weights([100, 400, 900], "inverse"), inverse / 49 * 3)
    np.testing.assert_allclose(class_weights([100, 400, 900], "sqrt_inverse"), root / 11 * 3)
    effective = np.array([1 / (1 - 0.9**n) for n in (1, 2, 3)])  # 10, 5.263, 3.690
    np.testing.assert_allclose(class_weights([1, 2, 3], beta=0.9), effective * 3 / effective.sum())


def test_effective_numbers_go_from_equal_weights_to_the_inverse():
    """beta = 0 and very large counts give equal weights; beta near 1 gives the inverse."""
    counts = np.array([3.0, 50.0, 1e7])
    np.testing.assert_array_equal(class_weights(counts, beta=0.0), 1.0)
    np.testing.assert_array_equal(class_weights(counts * 1e9, beta=0.9), 1.0)
    nearly_one = 1 - 2.0**-50
    np.testing.assert_allclose(
        class_weights(counts, beta=nearly_one), class_weights(counts, "inverse"), rtol=1e-8
    )
    # 1 - beta^n = n (1 - beta) (1 - (n - 1)(1 - beta) / 2 ...) keeps a digit that 1 - beta**n loses.
    few = class_weights([1, 3], beta=1 - 2.0**-40)
    np.testing.assert_allclose(few[0] / few[1], 3 * (1 - 2.0**-40), rtol=1e-15)


def test_weights_go_into_losses():
    weights = class_weights(class_counts([0, 0, 0, 1]), "inverse")  # 1/2, 3/2
    for loss in (CrossentropyLoss(class_weight=weights), FocalLoss(gamma=0.0, alpha=weights)):
        found = value(loss, np.array([0, 1]), np.full((2, 2), 0.5, "float32"))
        np.testing.assert_allclose(found, math.log(2), rtol=1e-6)
        assert loss.from_config(loss.get_config()).get_config() == loss.get_config()


def test_class_weights_of_images_go_through_fit():
    """Labels (n, h, w) train with class weights of the loss, while Keras's fit(class_weight=) raises."""
    x = np.zeros((2, 4, 4, 1), "float32")
    y = np.arange(32).reshape(2, 4, 4) % 4 // 3  # a quarter of the pixels is of class 1
    model = keras.Sequential([keras.Input((4, 4, 1)), keras.layers.Conv2D(2, 1)])
    weights = class_weights(class_counts(y, one_hot=False), method="inverse")  # 1/2 and 3/2
    model.compile(keras.optimizers.SGD(1.0), loss=CrossentropyLoss(from_logits=True, class_weight=weights))
    history = model.fit(x, y, batch_size=2, verbose=0).history
    # (3/4 * 1/2 + 1/4 * 3/2) log 2, half from each class, so the gradient of the bias is 0.
    np.testing.assert_allclose(history["loss"], [0.75 * math.log(2)], rtol=1e-6)
    np.testing.assert_allclose(model.get_weights()[1], [0, 0], atol=1e-6)


@pytest.mark.parametrize(
    ("counts", "options", "words"),
    [
        ([3, 0], {}, r"infinite weight\. .* class 1 has no samples\. .* counts \+ 1"),
        ([3, 0], {"beta": 0.0}, r"class 1 has no samples"),
        ([0, 1, 0, 1, 1], {}, r"If these are labels, count them: class_weights\(class_counts\(y\)\)"),
        ([3, -1], {}, r"`counts` must be .* from 0 up"),
        ([3, np.nan], {}, r"`counts` must be"),
        ([], {}, r"`counts` must be"),
        ([[3, 4]], {}, r"`counts` must be"),
        ([3, 4], {"method": "linear"}, r"one of 'inverse', .* Received: method='linear'"),
        ([3, 4], {"beta": 1.0}, r"`beta` must be a number in \[0, 1\)\. Received: beta=1\.0"),
        ([3, 4], {"beta": -0.1}, r"Received: beta=-0\.1"),
        ([3, 4], {"beta": np.nan}, r"Received: beta=nan"),
    ],
)
def test_what_has_no_weights(counts, options, words):
    with pytest.raises(ValueError, match=words):
        class_weights(counts, **options)


# Biases -------------------------------------------------------------------------------------------------


def test_biases_by_hand():
    """Log-odds for one output and for several labels, log priors for a softmax."""
    three_of_four = [1, 1, 0, 1]
    np.testing.assert_allclose(output_bias(three_of_four), [math.log(3)])
    np.testing.assert_allclose(output_bias(three_of_four, outputs=1), [math.log(3)])
    np.testing.assert_allclose(output_bias(three_of_four, 2), np.log([1 / 4, 3 / 4]))
    np.testing.assert_allclose(output_bias(np.eye(2)[three_of_four]), np.log([1 / 4, 3 / 4]))
    np.testing.assert_allclose(output_bias([0, 1, 2, 2]), np.log([1 / 4, 1 / 4, 1 / 2]))
    labels = np.array([[1, 0], [1, 1], [1, 0], [0, 0]])
    np.testing.assert_allclose(output_bias(labels, multi_label=True), [math.log(3), -math.log(3)])
    np.testing.assert_allclose(output_bias(labels[:, :1], multi_label=True), [math.log(3)])
    unknown = np.array([[1.0, 0.0], [-1.0, 1.0], [1.0, 1.0], [0.0, 1.0]])
    found = output_bias(unknown, multi_label=True, ignore_class=-1)
    np.testing.assert_allclose(found, [math.log(2), math.log(3)])


def test_smoothed_biases():
    np.testing.assert_allclose(output_bias([0, 0, 0], smoothing=1.0), [math.log(1 / 4)])
    np.testing.assert_allclose(
        output_bias([0, 2], 4, smoothing=0.5), np.log([1.5 / 4, 0.5 / 4, 1.5 / 4, 0.5 / 4])
    )
    labels = np.array([[1, 0], [1, 1]])
    np.testing.assert_allclose(output_bias(labels, multi_label=True, smoothing=1), [math.log(3), 0])


def entropy(p):
    return -sum(x * math.log(x) for x in p)


@pytest.mark.parametrize(
    ("y", "options", "units", "expected"),
    [
        (np.array([1, 0, 0, 0]), {}, 1, entropy([1 / 4, 3 / 4])),
        (np.array([1, 0, 0, 0]), {"outputs": 2}, 2, entropy([1 / 4, 3 / 4])),
        (np.array([0, 1, 1, 2, 2, 2, 2, 2]), {}, 3, entropy([1 / 8, 2 / 8, 5 / 8])),
        (
            np.array([[1, 0], [0, 0], [0, 1], [0, 1]]),
            {"multi_label": True},
            2,
            (entropy([1 / 4, 3 / 4]) + math.log(2)) / 2,
        ),
    ],
)
def test_training_starts_at_the_entropy_of_the_labels(y, options, units, expected, tmp_path):
    """With a kernel of 0, cross-entropy starts at the entropy; the bias is saved and loaded."""
    loss = CrossentropyLoss(from_logits=True, multi_label=options.get("multi_label", False))
    constant = keras.initializers.Constant(output_bias(y, **options))
    head = keras.layers.Dense(units, kernel_initializer="zeros", bias_initializer=constant)
    model = keras.Sequential([keras.Input((3,)), head])
    x = np.ones((len(y), 3), "float32")
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    for made in (model, again, keras.models.clone_model(again)):
        np.testing.assert_allclose(value(loss, y, numpy(made(x))), expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("y", "options", "words"),
    [
        ([0, 0], {}, r"`output_bias`: .* class 1 has no samples .* Pass smoothing=1"),
        ([0, 2], {}, r"class 1 has no samples"),
        ([0, 1], {"outputs": 3}, r"class 2 has no samples"),
        ([[1.0, 0.0]], {"multi_label": True}, r"output 0 has no samples of the label 0"),
        ([[1.0, 0.0], [0.0, 0.0]], {"multi_label": True}, r"output 1 has no samples of the label 1"),
        ([0, 1, 2], {"outputs": 1}, r"class ids from 0 to 1\. Received: 2"),
        (HOT, {"outputs": 1}, r"must have a column for each of the 2 classes"),
        (HOT[:, ::2], {"outputs": 1}, r"Give the last layer 2 outputs"),
        ([0, 1], {"multi_label": True}, r"last axis of `y` must be that of the classes"),
        (HOT, {"multi_label": True, "one_hot": False}, r"`one_hot` must not be False with multi_label=True"),
        ([0, 1], {"smoothing": -1}, r"`smoothing` must be a number in \[0, inf\)\. Received: smoothing=-1"),
        ([0, 1], {"outputs": 0}, r"`outputs` must be an integer in \[1, inf\)"),
    ],
    ids=repr,
)
def test_what_has_no_bias(y, options, words):
    with pytest.raises(ValueError, match=words):
        output_bias(y, **options)
