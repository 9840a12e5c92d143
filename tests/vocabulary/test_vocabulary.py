"""The vocabulary's head: in chunks it comes to what the logits come to, in a model and by itself."""

import functools
import warnings
from math import exp, log

import keras
import numpy as np
import pytest
from keras import ops

from keras_losses import (
    CrossentropyLoss,
    LossAwareModel,
    VocabularyCrossentropy,
    VocabularyEmbedding,
    VocabularyHead,
)
from keras_losses.vocabulary import arrays as chunk_arrays
from keras_losses.vocabulary import loss as vocabulary
from tests.backends import BACKEND, MODES, numpy, tensor, thorough_on_jax
from tests.oracles.vocabulary import of_hidden_states

if BACKEND == "tensorflow":
    import tensorflow as tf
elif BACKEND == "jax":
    import jax
else:
    import torch


TOKENS, WIDTH, CLASSES = 7, 3, 11
OPTIONS = {
    "plain": {},
    "smoothed": {"label_smoothing": 0.2, "z_loss": 0.1},
    "bent": {"soft_cap": 1.5},
    "all": {"label_smoothing": 0.2, "z_loss": 0.1, "soft_cap": 1.5},
}


def data():
    r = np.random.default_rng(0)
    return {
        "ids": r.integers(0, CLASSES, TOKENS),
        "hidden": r.normal(0, 1, (TOKENS, WIDTH)).astype("float32"),
        "kernel": r.normal(0, 1, (WIDTH, CLASSES)).astype("float32"),
        "bias": r.normal(0, 1, CLASSES).astype("float32"),
    }


def slopes(function, arrays, mode=""):
    """The scalar that the function has of the arrays, and its gradients."""
    arrays = [tensor(x) for x in arrays]
    if BACKEND == "jax":
        both = jax.value_and_grad(function, tuple(range(len(arrays))))
        value, found = jax.jit(both)(*arrays)  # faster than all the operations by themselves
    elif BACKEND == "tensorflow":

        def both(*arrays):
            with tf.GradientTape() as tape:
                tape.watch(arrays)
                value = function(*arrays)
            return value, tape.gradient(value, arrays)

        value, found = (tf.function(both, autograph=False, jit_compile=mode == "xla") if mode else both)(
            *arrays
        )
    else:
        arrays = [x.requires_grad_() for x in arrays]
        value = function(*arrays)
        found = torch.autograd.grad(value, arrays)
    return numpy(value.detach() if BACKEND == "torch" else value), [numpy(x) for x in found]


# By hand ----------------------------------------------------------------------------------------------------


def test_values_by_hand():
    """Logits log 3 and 0: p is 3/4 and 1/4."""
    loss = VocabularyCrossentropy(reduction="none")
    found = loss.of_hidden_states(
        np.array([0, 1]), np.ones((2, 1), "float32"), tensor([[log(3), 0.0]], "float32")
    )
    np.testing.assert_allclose(numpy(found), [log(4 / 3), log(4)], rtol=1e-6)


def test_gradients_by_hand():
    """p is 3/4 and 1/4, the label 1: slopes 3/4 and -3/4 in the logits, of a hidden state 2."""
    loss = VocabularyCrossentropy()
    _, (of_hidden, of_kernel) = slopes(
        lambda h, w: loss.of_hidden_states(np.array([1]), h, w),
        [np.array([[2.0]], "float32"), np.array([[log(3) / 2, 0.0]], "float32")],
    )
    np.testing.assert_allclose(of_hidden, [[0.75 * log(3) / 2]], rtol=1e-6)
    np.testing.assert_allclose(of_kernel, [[1.5, -1.5]], rtol=1e-6)


def test_a_sure_token_keeps_its_digits():
    """Logits 20 and 0: log(1 + e^-20), of which a sum with the true class in it leaves nothing."""
    loss = VocabularyCrossentropy()
    value, (of_hidden, _) = slopes(
        lambda h, w: loss.of_hidden_states(np.array([0]), h, w),
        [np.ones((1, 1), "float32"), np.array([[20.0, 0.0]], "float32")],
    )
    np.testing.assert_allclose(value, exp(-20), rtol=1e-5)
    np.testing.assert_allclose(of_hidden, [[-20 * exp(-20)]], rtol=1e-5)


# Against the reference --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "reduction", "is_embedding"),
    [
        ("plain", "sum", False),
        ("smoothed", "none", False),
        ("bent", "sum", True),
        ("all", "none", True),
        ("all", "sum_over_batch_size", True),
        ("all", "mean_with_sample_weight", False),
    ],
)
def test_values_and_gradients(options, reduction, is_embedding):
    """Of a random function of the losses; chunks of 3, 3 and 1 token, one of weight 0."""
    given, r = data(), np.random.default_rng(1)
    weights = r.uniform(0.5, 2.0, TOKENS)
    weights[2] = 0.0
    upstream = r.normal(0, 1, TOKENS if reduction == "none" else ()).astype("float32")
    divisor = {"sum_over_batch_size": TOKENS, "mean_with_sample_weight": weights.sum()}.get(reduction, 1.0)
    rows = upstream * weights / divisor
    expected = of_hidden_states(**given, weights=rows, **OPTIONS[options])
    loss = VocabularyCrossentropy(chunk=3, reduction=reduction, **OPTIONS[options])

    def total(*arrays):
        found = loss.of_hidden_states(
            given["ids"], *arrays, weights.astype("float32"), is_embedding=is_embedding
        )
        return ops.sum(found * tensor(upstream))

    kernel = given["kernel"].T if is_embedding else given["kernel"]
    value, found = slopes(total, [given["hidden"], kernel, given["bias"]])
    np.testing.assert_allclose(value, (expected["values"] * rows).sum(), rtol=2e-5)
    found[1] = found[1].T if is_embedding else found[1]
    for x, name in zip(found, ("hidden", "kernel", "bias"), strict=True):
        np.testing.assert_allclose(x, expected[name], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("options", ["plain", "all"])
def test_a_padded_class_is_no_class(options):
    """One more class with a bias of -inf changes nothing, with smoothing and a soft cap too."""
    given, loss = data(), VocabularyCrossentropy(chunk=3, **OPTIONS[options])
    padded_kernel = np.pad(given["kernel"], ((0, 0), (0, 1)), constant_values=0.5)
    padded_bias = np.append(given["bias"], -np.inf).astype("float32")

    def total(*arrays):
        return loss.of_hidden_states(given["ids"], *arrays)

    value, found = slopes(total, [given["hidden"], given["kernel"], given["bias"]])
    padded_value, padded = slopes(total, [given["hidden"], padded_kernel, padded_bias])
    np.testing.assert_allclose(padded_value, value, rtol=1e-6)
    np.testing.assert_allclose(padded[0], found[0], rtol=1e-5, atol=1e-7)
    for x, less in ((padded[1], found[1]), (padded[2], found[2])):
        np.testing.assert_allclose(x[..., :-1], less, rtol=1e-5, atol=1e-7)
        assert (x[..., -1] == 0).all()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("is_embedding", [False, True])
def test_compiled_and_in_blocks(mode, is_embedding, monkeypatch):
    """The kernel's gradient is added to in place, 4, 4 and 3 classes at a time, where XLA compiles."""
    monkeypatch.setattr(chunk_arrays, "BLOCK", 4 * WIDTH)
    given = data()
    expected = of_hidden_states(**given, weights=np.full(TOKENS, 1 / TOKENS), **OPTIONS["all"])
    loss = VocabularyCrossentropy(chunk=3, **OPTIONS["all"])
    arrays = [given["hidden"], given["kernel"].T if is_embedding else given["kernel"], given["bias"]]
    value, found = slopes(
        lambda *arrays: loss.of_hidden_states(given["ids"], *arrays, is_embedding=is_embedding), arrays, mode
    )
    np.testing.assert_allclose(value, expected["values"].mean(), rtol=2e-5)
    found[1] = found[1].T if is_embedding else found[1]
    for x, name in zip(found, ("hidden", "kernel", "bias"), strict=True):
        np.testing.assert_allclose(x, expected[name], rtol=1e-4, atol=1e-6)


def test_a_gradient_in_the_weights():
    """The mean's slope in the weight of a token is its value over their number."""
    given = data()
    expected = of_hidden_states(**given, weights=np.ones(TOKENS))["values"] / TOKENS
    loss = VocabularyCrossentropy()
    arrays = (given["hidden"], given["kernel"], given["bias"])
    _, (found,) = slopes(
        lambda w: loss.of_hidden_states(given["ids"], *map(tensor, arrays), w), [np.ones(TOKENS, "float32")]
    )
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_class_weights_and_ignored_classes():
    given = data()
    given["ids"] = np.array([0, 1, 5, 5, 2, 0, 3])
    loss = VocabularyCrossentropy(class_weight={0: 3.0}, ignore_class=5)
    arrays = (given["hidden"], given["kernel"], given["bias"])
    values = of_hidden_states(**given, weights=np.ones(TOKENS))["values"]
    found = loss.of_hidden_states(given["ids"], *arrays)
    weighted = values * [3, 1, 0, 0, 1, 3, 1]
    np.testing.assert_allclose(numpy(found), weighted.sum() / 5, rtol=1e-5)


@pytest.mark.parametrize("reduction", ["none", "mean"])
def test_what_does_not_count_may_be_nan(reduction):
    given = data()
    mask, weights = np.arange(TOKENS) != 1, np.where(np.arange(TOKENS) == 4, 0, 1).astype("float32")
    given["hidden"][[1, 4]] = np.nan
    loss = VocabularyCrossentropy(reduction=reduction, chunk=2)

    def total(*arrays):
        return ops.sum(loss.of_hidden_states(given["ids"], *arrays, sample_weight=weights, mask=mask))

    value, found = slopes(total, [given["hidden"], given["kernel"], given["bias"]])
    counted = mask & (weights > 0)
    rows = counted / (1 if reduction == "none" else mask.sum())
    given["hidden"] = np.nan_to_num(given["hidden"])
    expected = of_hidden_states(**given, weights=rows)
    np.testing.assert_allclose(value, (expected["values"] * rows).sum(), rtol=1e-5)
    for x, name in zip(found, ("hidden", "kernel", "bias"), strict=True):
        np.testing.assert_allclose(x, expected[name], rtol=1e-4, atol=1e-6)


def test_no_tokens_and_none_that_count():
    given = data()
    loss, none = VocabularyCrossentropy(), np.zeros((0, WIDTH), "float32")
    for ids, hidden, mask in (
        (given["ids"][:0], none, None),
        (given["ids"], given["hidden"], np.zeros(TOKENS, bool)),
    ):
        value, found = slopes(
            lambda h, w, ids=ids, mask=mask: loss.of_hidden_states(ids, h, w, mask=mask),
            [hidden, given["kernel"]],
        )
        assert value == 0
        assert all((x == 0).all() for x in found)
        assert found[0].shape == hidden.shape


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision(dtype):
    """Weights far below what float16 can hold are no harm to it, and the kernel's gradient is float32."""
    given, digits = data(), {"float16": 2e-3, "bfloat16": 2e-2}[dtype]
    weights = np.full(TOKENS, 1e-9, "float32")
    loss = VocabularyCrossentropy(reduction="sum", chunk=4)
    arrays = [tensor(given["hidden"], dtype), given["kernel"], given["bias"]]
    value, found = slopes(
        lambda h, w, b: loss.of_hidden_states(given["ids"], ops.cast(h, dtype), w, b, weights),
        [given["hidden"], *arrays[1:]],
    )
    expected = of_hidden_states(**given, weights=np.full(TOKENS, 1e-9))
    np.testing.assert_allclose(value, expected["values"].sum() * 1e-9, rtol=digits)
    for x, name in list(zip(found, ("hidden", "kernel", "bias"), strict=True))[1:]:
        assert x.dtype == "float32"
        np.testing.assert_allclose(
            x, expected[name], rtol=digits, atol=2 * digits * abs(expected[name]).max()
        )


# Bad input --------------------------------------------------------------------------------------------------


def test_a_label_that_is_none():
    given = data()
    given["ids"][3] = CLASSES
    loss, arrays = VocabularyCrossentropy(), (given["hidden"], given["kernel"])
    with pytest.raises(ValueError, match=r"class ids from 0 to 10\. Received: 11"):
        loss.of_hidden_states(given["ids"], *arrays)


@pytest.mark.parametrize("mode", MODES)
def test_a_label_that_is_none_where_values_cannot_be_seen(mode):
    given = data()
    given["ids"][3] = CLASSES
    loss = VocabularyCrossentropy()
    value, found = slopes(
        lambda *arrays: loss.of_hidden_states(given["ids"], *arrays), [given["hidden"], given["kernel"]], mode
    )
    assert np.isnan(value)
    assert np.isnan(found[1]).all()


def test_shapes_and_labels_that_do_not_fit():
    given = data()
    loss = VocabularyCrossentropy()
    with pytest.raises(ValueError, match=r"`hidden` must be .*Received: shapes \(7, 3\), \(11, 3\)"):
        loss.of_hidden_states(given["ids"], given["hidden"], given["kernel"].T)
    with pytest.raises(ValueError, match="class ids"):
        loss.of_hidden_states(np.eye(CLASSES)[given["ids"]], given["hidden"], given["kernel"])
    with pytest.raises(
        ValueError, match=r"`VocabularyHead`: `units` must be an integer in \[1, inf\).*units=0"
    ):
        VocabularyHead(0)
    with pytest.raises(
        TypeError, match=r"`VocabularyEmbedding`: `output_dim` must be an integer.*output_dim=2\.5"
    ):
        VocabularyEmbedding(5, 2.5)
    with pytest.raises(ValueError, match=r"hidden states \(\.\.\., 3\)"):
        VocabularyEmbedding(5, 3)(np.ones((2, 4), "float32"), reverse=True)


def test_second_derivatives():
    """Right on JAX, where all is differentiated again; an error elsewhere, and never a number."""
    kernel, loss = tensor([[1.0, 0.0]], "float32"), VocabularyCrossentropy()

    def value(hidden):
        return loss.of_hidden_states(np.array([0]), hidden, kernel)

    hidden = tensor([[0.0]], "float32")
    if BACKEND == "jax":
        # -log sigmoid(h) has the second derivative p (1 - p), a quarter at 0.
        assert float(jax.hessian(value)(hidden).squeeze()) == pytest.approx(0.25)
    elif BACKEND == "tensorflow":
        with tf.GradientTape() as outer:
            outer.watch(hidden)
            with tf.GradientTape() as inner:
                inner.watch(hidden)
                found = value(hidden)
            slope = inner.gradient(found, hidden)
        with pytest.raises(NotImplementedError, match="first derivatives"):
            outer.gradient(slope, hidden)
    else:
        hidden.requires_grad_()
        (slope,) = torch.autograd.grad(value(hidden), hidden, create_graph=True)
        with pytest.raises(RuntimeError, match=r"once_differentiable|does not require grad"):
            slope.sum().backward()


# In models --------------------------------------------------------------------------------------------------

IDS = np.random.default_rng(2).integers(1, CLASSES, (6, 5))
IDS[:, 4] = 0
LABELS = np.random.default_rng(3).integers(0, CLASSES, (6, 5))
WEIGHTS = np.random.default_rng(4).uniform(0.5, 2, (6, 5)).astype("float32")
LOSS = {"label_smoothing": 0.1, "z_loss": 0.01, "soft_cap": 3.0, "chunk": 4}


class WithHead(keras.Model):
    def __init__(self):
        super().__init__()
        self.embedding = keras.layers.Embedding(CLASSES, WIDTH, mask_zero=True)
        self.head = VocabularyHead(CLASSES)

    def call(self, ids):
        return self.head(self.embedding(ids))


def network(kind, dtype=None):
    ids = keras.Input((None,), dtype="int32")
    if kind == "subclass":
        return WithHead()
    if kind == "tied":
        embedding = VocabularyEmbedding(CLASSES, WIDTH, mask_zero=True)
        hidden = keras.layers.Dense(WIDTH, activation="tanh", dtype=dtype)(embedding(ids))
        return keras.Model(ids, embedding(hidden, reverse=True))
    head = {"head": VocabularyHead, "dense": keras.layers.Dense}["dense" if kind == "dense" else "head"]
    layers = [
        keras.layers.Embedding(CLASSES, WIDTH, mask_zero=True, dtype=dtype),
        head(CLASSES, use_bias=kind != "no bias", bias_initializer="normal", dtype=dtype),
    ]
    return keras.Sequential([ids, *layers])


LONGER_ON_JAX = pytest.mark.thorough if BACKEND == "jax" else ()
# On JAX a step that is compiled takes less time than its operations, each compiled by itself.
UNCOMPILED = {} if BACKEND == "jax" else {"run_eagerly": True}
WITHOUT_XLA = {"jit_compile": False} if BACKEND == "tensorflow" else {}


def trained(model, loss=None, **options):
    """Two epochs; another batch size for the last batch, and weights."""
    model.compile(keras.optimizers.SGD(0.5), loss=loss or VocabularyCrossentropy(**LOSS), **options)
    given = {"batch_size": 4, "verbose": 0}
    validation = (IDS[:5], LABELS[:5], WEIGHTS[:5])
    return model.fit(
        IDS, LABELS, sample_weight=WEIGHTS, epochs=2, shuffle=False, validation_data=validation, **given
    ).history


def logits_of(model, ids):
    """Those of a model whose weights are known to be those of `network("head")`."""
    embedding, kernel, bias = (numpy(x) for x in model.get_weights()[:3])
    return embedding[ids] @ kernel + bias


WITH_XLA = pytest.param(True, marks=pytest.mark.thorough)
"""The models of `test_chunks_are_what_whole_logits_are` are compiled by XLA in the default suite."""


@pytest.mark.parametrize("jit_compile", [False, WITH_XLA] if BACKEND == "tensorflow" else ["auto"])
def test_a_model_trains_as_with_the_logits(jit_compile):
    """As in one that ends in Dense; and the numbers of a token, from the weights at the end."""
    model, plain = network("head"), network("dense")
    plain.set_weights(model.get_weights())
    found = trained(model, jit_compile=jit_compile)
    expected = trained(plain, **UNCOMPILED)
    for name in ("loss", "val_loss"):
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-5)
    for x, y in zip(model.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_allclose(numpy(x), numpy(y), rtol=1e-4, atol=1e-6)
    logits, weights = logits_of(model, IDS[:5]), WEIGHTS[:5] * (IDS[:5] != 0)
    z = 3 * np.tanh(logits.astype("float64") / 3)
    own = np.take_along_axis(z, LABELS[:5, :, None], -1)[..., 0]
    crossentropy = np.log(np.exp(z).sum(-1)) - own
    right = z.argmax(-1) == LABELS[:5]
    np.testing.assert_allclose(
        found["val_token_accuracy"][-1], (right * weights).sum() / weights.sum(), rtol=1e-5
    )
    np.testing.assert_allclose(
        found["val_perplexity"][-1], exp((crossentropy * weights).sum() / weights.sum()), rtol=1e-5
    )
    assert {"token_accuracy", "perplexity"} <= found.keys()
    np.testing.assert_allclose(numpy(model(IDS)), logits_of(model, IDS), rtol=1e-4, atol=1e-5)


OTHERS = [pytest.param(kind, marks=LONGER_ON_JAX) for kind in ("no bias", "subclass")]


@pytest.mark.parametrize("kind", ["tied", *OTHERS])
def test_chunks_are_what_whole_logits_are(kind, monkeypatch):
    """With tied weights, without a bias, and in a model of a class of its own: as where no head is noted."""
    models = [network(kind), network(kind)]
    for model in models:
        model(IDS)
    models[1].set_weights(models[0].get_weights())
    found = trained(models[0])
    monkeypatch.setattr(vocabulary, "attached_head", lambda logits: None)
    expected = trained(models[1], **UNCOMPILED)
    assert found.keys() - expected.keys() >= {"val_token_accuracy", "val_perplexity"}
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-4)
    for x, y in zip(*(model.get_weights() for model in models), strict=True):
        np.testing.assert_allclose(numpy(x), numpy(y), rtol=1e-3, atol=1e-5)


@thorough_on_jax
def test_eager_steps_are_compiled_ones():
    """In eager mode all is computed of the whole logits, the numbers of the tokens too."""
    model = network("head")
    model.compile("sgd", loss=VocabularyCrossentropy(**LOSS), **WITHOUT_XLA)
    expected = model.evaluate(IDS, LABELS, sample_weight=WEIGHTS, verbose=0, return_dict=True)
    model.compile("sgd", loss=VocabularyCrossentropy(**LOSS), run_eagerly=True)
    found = model.evaluate(IDS, LABELS, sample_weight=WEIGHTS, verbose=0, return_dict=True)
    assert found == pytest.approx(expected, rel=1e-5)
    assert found.keys() == {"loss", "token_accuracy", "perplexity"}


@thorough_on_jax
def test_terms_of_a_loss_aware_model():
    """A sum of losses, whose terms are in the logs beside the numbers of a token; several steps at a time."""
    loss = VocabularyCrossentropy(chunk=4) + 0.5 * VocabularyCrossentropy(z_loss=1.0, name="other")
    plain = CrossentropyLoss(from_logits=True) + 0.5 * CrossentropyLoss(
        from_logits=True, z_loss=1.0, name="other"
    )
    model = LossAwareModel.from_model(network("head"))
    other = LossAwareModel.from_model(network("dense"))
    other.set_weights(model.get_weights())
    found = trained(model, loss, log_weighted_terms=True, steps_per_execution=1 if BACKEND == "torch" else 2)
    expected = trained(other, plain, log_weighted_terms=True, **UNCOMPILED)
    np.testing.assert_allclose(found["loss"], expected["loss"], rtol=1e-4)
    np.testing.assert_allclose(found["other_weighted"], expected["other_weighted"], rtol=1e-4)
    assert "val_token_accuracy" in found


@pytest.mark.parametrize("kind", ["head", pytest.param("tied", marks=LONGER_ON_JAX)])
def test_saved_and_loaded(kind, tmp_path):
    model = network(kind)
    model.compile(keras.optimizers.SGD(0.5), loss=VocabularyCrossentropy(**LOSS), **WITHOUT_XLA)
    model.fit(IDS, LABELS, batch_size=6, shuffle=False, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.loss.get_config() == model.loss.get_config()
    np.testing.assert_allclose(numpy(loaded(IDS)), numpy(model(IDS)), rtol=1e-6)
    # The losses, accuracies and perplexities of two more steps.
    history = [
        each.fit(IDS, LABELS, batch_size=6, epochs=2, shuffle=False, verbose=0).history
        for each in (loaded, model)
    ]
    assert history[0].keys() == {"loss", "token_accuracy", "perplexity"}
    for name, values in history[1].items():
        np.testing.assert_allclose(history[0][name], values, rtol=1e-5)


def test_configs_of_the_layers():
    for layer in (
        VocabularyHead(5, use_bias=False, kernel_regularizer="l2", bias_constraint="non_neg", name="head"),
        VocabularyEmbedding(5, 3, embeddings_initializer="ones", mask_zero=True, name="embedding"),
    ):
        config = layer.get_config()
        assert type(layer).from_config(config).get_config() == config


@thorough_on_jax
def test_mixed_precision():
    model, plain = network("head", "mixed_float16"), network("dense")
    plain.set_weights(model.get_weights())
    found, expected = trained(model, **WITHOUT_XLA), trained(plain, **UNCOMPILED)
    np.testing.assert_allclose(found["loss"], expected["loss"], rtol=2e-2)
    assert keras.backend.standardize_dtype(model(IDS).dtype) == "float16"


def test_without_the_loss_no_numbers_of_tokens():
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model = network("head")
    model.compile("sgd", loss=loss, **UNCOMPILED)
    assert model.evaluate(IDS, LABELS, verbose=0, return_dict=True).keys() == {"loss"}


@pytest.mark.skipif(BACKEND != "tensorflow", reason="a facility of TensorFlow's")
def test_two_replicas_are_one():
    to_one_device = tf.distribute.ReductionToOneDevice()
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"], cross_device_ops=to_one_device)
    found = []
    for scope in (tf.distribute.get_strategy(), strategy):
        with scope.scope():
            keras.utils.set_random_seed(0)
            model = network("head")
            model.compile("sgd", loss=VocabularyCrossentropy(chunk=4), jit_compile=False)
        ids = np.where(IDS == 0, 1, IDS)  # so that each replica has as many tokens
        found.append(model.fit(ids, LABELS, batch_size=6, epochs=2, shuffle=False, verbose=0).history)
    for name in found[0]:
        np.testing.assert_allclose(found[1][name], found[0][name], rtol=1e-5)


@pytest.mark.parametrize("mode", MODES[:1])
def test_logits_of_no_head_are_warned_of(mode):
    """While a step is traced, for whichever compiler."""
    loss = VocabularyCrossentropy()
    ids = np.array([1, 2])

    def noted(count, between):
        def total(logits):
            return loss(ids, logits + between)

        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            slopes(total, [np.zeros((2, count), "float32")], mode)
        return [str(each.message) for each in seen if "VocabularyCrossentropy" in str(each.message)]

    assert "the 5000 logits of each token are not the output of a VocabularyHead" in noted(5000, 0.0)[0]
    assert not noted(50, 0.0)


@pytest.mark.parametrize("mode", MODES)
def test_numbers_that_a_schedule_sets(mode):
    """All three may be tensors, whose numbers are those that count."""
    given, numbers = data(), {"z_loss": 0.2, "label_smoothing": 0.3, "soft_cap": 1.2}
    arrays = [given["hidden"], given["kernel"], given["bias"]]
    loss = VocabularyCrossentropy(chunk=4, soft_cap=5.0)
    for name, x in numbers.items():
        loss._follow(name, functools.partial(tensor, np.float32(x)))
    expected = of_hidden_states(**given, weights=np.full(TOKENS, 1 / TOKENS), **numbers)
    result, found = slopes(lambda *x: loss.of_hidden_states(given["ids"], *x), arrays, mode)
    np.testing.assert_allclose(result, expected["values"].mean(), rtol=2e-5)
    np.testing.assert_allclose(found[1], expected["kernel"], rtol=1e-4, atol=1e-6)
