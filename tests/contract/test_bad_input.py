"""What is wrong is refused, with a message that says what was received; nothing broadcasts in silence."""

import re

import numpy as np
import pytest
from keras import ops

from keras_losses import (
    CrossentropyLoss,
    FocalLoss,
    GaussianNLLLoss,
    HingeLoss,
    KLDivergenceLoss,
    Loss,
    MulticlassHingeLoss,
    SquaredErrorLoss,
)
from keras_losses.core.interval import Interval
from keras_losses.core.loss import COMMON
from keras_losses.core.parameters import REQUIRED
from tests import thorough
from tests.backends import BACKEND, numpy, tensor, unchecked, value
from tests.cases import REFUSED
from tests.cases.arguments import argument
from tests.contract.cases import about, every_loss, first, plain
from tests.every_loss import LOSSES, build, required
from tests.kinds import kind_of
from tests.kinds.classes import THIRDS


def refused(parameter):
    """Values outside a hyper-parameter's domain."""
    found = list(argument(parameter).refused)
    if parameter.within is not None:
        outside = Interval(parameter.within).outside()
        found += [*outside, "text", True, [1.0]]
        if parameter.integer:
            found += [0.5]
    if parameter.choices is not None:
        found += ["nonsense", 3, 0.5]
    if not parameter.optional and parameter.default is not None:
        found.append(None)
    return found


@every_loss
def test_hyper_parameters_outside_their_range(loss):
    """A hyper-parameter outside its domain raises, and the message has its name and the value."""
    for key, parameter in LOSSES[loss].hyperparameters.items():
        for wrong in refused(parameter):
            with pytest.raises((ValueError, TypeError)) as caught:
                LOSSES[loss](**{**required(loss), key: wrong})
            message = str(caught.value)
            assert key in message
            assert repr(wrong) in message
            assert loss in message


@every_loss
def test_common_arguments(loss):
    """A reduction, a dtype or an argument that there is not raises, and the message names it."""
    for options in ({"reduction": "median"}, {"dtype": "int32"}, {"dtype": "float31"}, {"gama": 2.0}):
        ((key, wrong),) = options.items()
        with pytest.raises((ValueError, TypeError)) as caught:
            build(loss, {**required(loss), **options})
        assert key in str(caught.value)
        assert key not in COMMON or str(wrong) in str(caught.value)


@every_loss
def test_required_arguments(loss):
    """What has no default is asked for by name."""
    for key, parameter in LOSSES[loss].hyperparameters.items():
        if parameter.default is REQUIRED:
            with pytest.raises(TypeError, match=key):
                LOSSES[loss]()


@pytest.mark.parametrize(
    ("loss", "options", "words"),
    [
        ("CrossentropyLoss", {"z_loss": 1e-4}, "Received: z_loss=0.0001, from_logits=False."),
        (
            "KLDivergenceLoss",
            {"generalized": True, "temperature": 2.0},
            "Received: temperature=2.0, generalized",
        ),
        ("RegularizedLoss", {"loss": HingeLoss(), "confidence_penalty": 0.1}, "confidence_penalty=0.1."),
    ],
)
def test_hyper_parameters_that_do_not_go_together(loss, options, words):
    """Two of them that each are in their domain, and mean nothing together, raise."""
    with pytest.raises(ValueError) as caught:
        build(loss, options)
    assert words in str(caught.value)


# Shapes -----------------------------------------------------------------------------------------------


def wrong_shapes(batch):
    """Shapes of labels that do not go with the predictions, made from those that do."""
    true, pred = batch.y_true.shape, batch.y_pred.shape
    yield (true[0] + 1, *true[1:]), pred
    yield true, (pred[0] + 1, *pred[1:])
    yield (1, *true[1:]), pred
    yield (*true, 2), pred
    yield true, (*pred, 2, 2)
    if len(true) > 1:
        yield (*true[:-1], true[-1] + 4), pred
        if true[0] != true[1]:
            yield (true[1], true[0], *true[2:]), pred


def names_shape(message, shape):
    # One output without an axis may be shown with the axis that it is given.
    return str(shape) in message or str((*shape, 1)) in message


@every_loss
def test_wrong_shapes(loss):
    """Shapes that do not match raise, and the message has both of them."""
    for case in [case for case in plain(loss) if case.batch.axis == -1][: None if thorough.ASKED else 6]:
        for true, pred in wrong_shapes(case.batch):
            if pred == case.batch.y_pred.shape and true in case.batch.fitting:
                continue
            with about((case, true, pred)):
                y_true, y_pred = np.zeros(true, case.batch.y_true.dtype), np.full(pred, 0.5, "float32")
                with pytest.raises(ValueError) as caught:
                    case.build()(y_true, y_pred)
                assert names_shape(str(caught.value), true), caught.value
                assert names_shape(str(caught.value), pred), caught.value


# How shapes are told is the base's, and the same on every backend.
ELEMENTWISE = thorough.few([x for x in LOSSES if kind_of(x).name in ("numbers", "signs")], 4)
SPARSE = thorough.few([x for x in LOSSES if kind_of(x).class_ids], 4)
OUTPUTS_OF = thorough.few([x for x in LOSSES if kind_of(x).one_output], 4)


@pytest.mark.parametrize("loss", ELEMENTWISE)
def test_nothing_broadcasts(loss):
    """What Keras broadcasts in silence is an error."""
    for true, pred in (((4,), (4, 4)), ((4, 1), (1, 4)), ((4, 1), (4, 3)), ((4, 3), (3,)), ((), (4, 1))):
        for a, b in ((true, pred), (pred, true)):
            with pytest.raises(ValueError):
                build(loss, {})(np.ones(a, "float32"), np.ones(b, "float32"))


@pytest.mark.parametrize("loss", [*ELEMENTWISE, *OUTPUTS_OF])
def test_a_missing_last_axis_is_added(loss):
    """Nothing but an axis of 1 at the end, to the labels or, where these are numbers, to the predictions."""
    for shape in ((4,), (2, 3)):
        y = np.arange(np.prod(shape), dtype="float32").reshape(shape) % 2
        p = np.linspace(0.1, 0.9, y.size, dtype="float32").reshape(shape)
        options = {"labels": "binary"} if "labels" in LOSSES[loss].hyperparameters else {}
        built = build(loss, options, 1, reduction="none")
        exact = value(built, y[..., None], p[..., None])
        assert exact.shape == (shape[:1] if built.pools_pixels else shape)
        np.testing.assert_array_equal(value(built, y, p[..., None]), exact)
        if loss in ELEMENTWISE:
            np.testing.assert_array_equal(value(built, y[..., None], p), exact)


@every_loss
def test_scalars(loss):
    """A scalar is no batch."""
    case = first(loss)
    with pytest.raises(ValueError, match="scalar"):
        case.build()(case.batch.y_true, np.float32(1.0))


@pytest.mark.parametrize(
    ("loss", "true", "pred", "advice"),
    [
        (SquaredErrorLoss(), (4, 3), (3, 4), "one of them looks transposed."),
        (SquaredErrorLoss(), (2, 4, 3), (2, 4, 5), "the model has 5 outputs and the targets 3; change its"),
        (SquaredErrorLoss(), (4, 5), (4, 5, 2), "have 1 output, or the targets a last axis of 2."),
        (SquaredErrorLoss(), (4, 3), (5, 3), "reshape one to the other's shape."),
        (GaussianNLLLoss(), (6, 2), (6, 2), "End the model with Dense(4)."),
        (GaussianNLLLoss(), (5,), (6, 2), "End the model with Dense(2)."),
        (
            CrossentropyLoss(),
            (6, 4),
            (6, 3),
            "class ids of shape (6,) or (6, 1), or one-hot or soft labels of",
        ),
        (CrossentropyLoss(), (6, 4), (6, 3), "soft labels of shape (6, 3). Received: y_true of shape (6, 4)"),
        (CrossentropyLoss(), (6, 4), (6, 3), "The model has 3 classes; its last layer should have 4."),
        (
            CrossentropyLoss(),
            (6, 3, 2),
            (6, 3),
            "are not the last axis of the predictions, pass their axis as axis=.",
        ),
        (CrossentropyLoss(), (6,), (6, 4, 3), "Is a pooling or Flatten layer missing?"),
        (
            MulticlassHingeLoss(),
            (6, 1),
            (6, 1),
            "must have a class axis of length 2 or more. Received: y_pred of",
        ),
    ],
    ids=str,
)
def test_advice_on_shapes(loss, true, pred, advice):
    """The message has what the mistake most likely is, in the numbers of these shapes."""
    with pytest.raises(ValueError) as caught:
        loss(np.zeros(true), np.full(pred, 0.5, "float32"))
    assert advice in str(caught.value)


def test_a_loss_of_the_batch_is_none_of_its_samples():
    """A formula that leaves one number for the batch raises, before weights could be applied to it."""

    class WholeBatchLoss(Loss):
        def call(self, y_true, y_pred):
            return ops.mean(y_true - y_pred)

    with pytest.raises(ValueError, match=r"`WholeBatchLoss`: call\(\) must return one value for each sample"):
        value(WholeBatchLoss(), np.zeros((3, 2)), np.zeros((3, 2)))


@pytest.mark.parametrize("loss", SPARSE)
def test_axes_that_are_no_classes(loss):
    """The class axis is none of the batch, and none that is not there."""
    y_true, y_pred = np.zeros((6, 4), "int32"), np.full((6, 4, 3), 1 / 3, "float32")
    exact = value(build(loss, {}), y_true, y_pred)
    assert value(build(loss, {"axis": 2}), y_true, y_pred) == exact
    for axis in (0, 3, 4, -3, -4):
        with pytest.raises(ValueError, match=rf"`axis` must name an axis .* Received: axis={axis} and"):
            build(loss, {"axis": axis})(y_true, y_pred)


NOT_DENSE = [
    (np.array(["a", "b"]), r"Received: values of type <U1\. Turn names into class ids"),
    (np.array([b"a", b"b"]), r"Received: values of type \|S1"),
    (np.array(["a", 1], object), r"Received: values of type object"),
    (["a", "b"], r"Received: values of type str"),
]


@pytest.mark.parametrize(("x", "words"), NOT_DENSE, ids=lambda x: repr(x)[:20])
def test_labels_and_weights_that_are_no_numbers(x, words):
    y_pred = np.full((2, 3), 1 / 3, "float32")
    with pytest.raises(
        TypeError, match=rf"`FocalLoss`: `y_true` must hold numbers in one dense tensor\. {words}"
    ):
        FocalLoss()(x, y_pred)
    with pytest.raises(TypeError, match=rf"`FocalLoss`: `sample_weight` must hold .*{words}"):
        FocalLoss()(np.array([0, 1]), y_pred, x)


@pytest.mark.skipif(BACKEND != "tensorflow", reason="tensors of TensorFlow")
def test_tensors_that_are_not_dense():
    import tensorflow as tf

    y_pred = np.full((2, 3), 1 / 3, "float32")
    refused = {
        r"Received: a ragged tensor of type RaggedTensor\. Pad it": tf.ragged.constant([[1], [1, 2]]),
        r"Received: a sparse tensor of type SparseTensor\. .*tf\.sparse\.to_dense": tf.sparse.from_dense(
            np.eye(3)[:2]
        ),
        r"Received: values of type <dtype: 'string'>\. Turn names": tf.constant(["a", "b"]),
    }
    for words, x in refused.items():
        for loss in (FocalLoss(), SquaredErrorLoss()):
            for function in (loss, tf.function(loss, autograph=False)):
                with pytest.raises(TypeError, match=rf"`y_true` must hold numbers .*{words}"):
                    function(x, y_pred)


@pytest.mark.skipif(BACKEND != "tensorflow", reason="the other backends know the rank")
@pytest.mark.parametrize("name", ["y_true", "y_pred", "sample_weight"])
def test_tensors_of_unknown_rank(name):
    import tensorflow as tf

    inputs = {
        "y_true": tf.constant([0, 1]),
        "y_pred": tf.fill((2, 3), 1 / 3),
        "sample_weight": tf.constant([1.0, 2.0]),
    }

    @tf.function(input_signature=[tf.TensorSpec(None, inputs[name].dtype)], autograph=False)
    def step(x):
        return FocalLoss()(**{**inputs, name: x})

    with pytest.raises(ValueError, match=rf"axes of `{name}` must be known .* with tf\.ensure_shape"):
        step(inputs[name])


# Values -----------------------------------------------------------------------------------------------


def bad_values(loss):
    """What the loss's kind and its author say that must be refused."""
    yield from kind_of(loss).refused()
    yield from (tuple(rest) for refusing, *rest in REFUSED if refusing.__name__ == loss)


def outputs_of(y_pred):
    return np.shape(y_pred)[-1] if np.ndim(y_pred) > 1 else 1


def refusal(loss, options, y_true, y_pred):
    """The loss with these options, and the message with which it refuses the values."""
    built = build(loss, options, outputs_of(y_pred))
    with pytest.raises(ValueError) as caught:
        value(built, np.asarray(y_true), np.asarray(y_pred, "float32"))
    return built, str(caught.value)


@pytest.mark.parametrize("loss", [name for name in LOSSES if list(bad_values(name))])
def test_values_outside_the_domain(loss):
    """In eager mode labels and predictions outside the domain raise, and the message has the value."""
    for options, y_true, y_pred, shown in bad_values(loss):
        with about((options, y_true, y_pred)):
            _, message = refusal(loss, options, y_true, y_pred)
            assert f"Received: {shown}" in message or f"up to {shown}" in message, message


@pytest.mark.parametrize("loss", [name for name in LOSSES if list(bad_values(name))])
def test_advised_arguments_are_those_of_the_loss(loss):
    """Errors on probabilities advised multi_label=True for losses that have no such argument."""
    for options, y_true, y_pred, _ in bad_values(loss):
        with about((options, y_true, y_pred)):
            built, message = refusal(loss, options, y_true, y_pred)
            for name in re.findall(r"\b(\w+)=(?:True|False)", message):
                known = LOSSES[loss].hyperparameters | getattr(built, "loss", built).hyperparameters
                assert name in known, message


@pytest.mark.parametrize(
    ("loss", "y_true", "y_pred", "words"),
    [
        (CrossentropyLoss(), [3], THIRDS, "integer class ids from 0 to 2. Received: 3."),
        (CrossentropyLoss(), [1, 8, 7], THIRDS * 3, "integer class ids from 0 to 2. Received: 8."),
        (CrossentropyLoss(), [1], [[-0.25, 1.75, -0.5]], "Received: -0.25."),
        (HingeLoss(), [0.5], [0.5], "must hold -1 and 1, as labels='signed' declares. Received: 0.5."),
        (HingeLoss(labels="binary"), [3, 2], [0.5, 0.5], "must hold 0 and 1, as labels='binary' declares. "),
        (HingeLoss(labels="binary"), [3, 2], [0.5, 0.5], "Received: 3."),
        (MulticlassHingeLoss(), [[0.25, 0.75, 0.0]], THIRDS, "must be one-hot. Received: 0.25."),
        (KLDivergenceLoss(), [[2.0, -0.25, -0.75]], THIRDS, "must not be negative. Received: -0.25."),
        (KLDivergenceLoss(), [[0.5, 0.7, 0.0], [0.5, 0.8, 0.0]], THIRDS * 2, "adds up to 1.2."),
    ],
    ids=str,
)
def test_a_refused_value_is_the_first(loss, y_true, y_pred, words):
    """The message has the first value that is wrong, and what it should be."""
    with pytest.raises(ValueError) as caught:
        value(loss, np.asarray(y_true), np.asarray(y_pred, "float32"))
    assert words in str(caught.value)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_probability_may_be_above_1_by_rounding(dtype):
    """By four of the gaps below 1 of its dtype, and no more."""
    gap = {"float32": 2.0**-24, "bfloat16": 2.0**-8}[dtype]
    for over, fine in ((4 * gap, True), (6 * gap, False)):
        for p in (1 + over, -over):
            loss, y_pred = CrossentropyLoss(), tensor(np.array([p]), dtype)
            if fine:
                assert np.isfinite(numpy(loss(np.array([1]), y_pred)))
            else:
                with pytest.raises(ValueError, match="must hold probabilities"):
                    loss(np.array([1]), y_pred)


@every_loss
def test_checks_of_values_can_be_turned_off(loss):
    """config.validate_values(False) turns the checks of values off, and those of shapes stay."""
    # A class id that is no class has no defined value.
    defined = [bad for bad in bad_values(loss) if np.ndim(bad[1]) == np.ndim(bad[2])]
    for options, y_true, y_pred, _ in thorough.few(defined[:2], 1):
        built = build(loss, options, outputs_of(y_pred))
        y_true, y_pred = np.asarray(y_true), np.asarray(y_pred, "float32")
        with unchecked():
            assert value(built, y_true, y_pred).shape == ()
            with pytest.raises(ValueError):
                built(y_true[:, None, None, None], y_pred)
        with pytest.raises(ValueError):
            value(built, y_true, y_pred)


@pytest.mark.parametrize("loss", SPARSE)
def test_a_weight_of_zero_takes_a_bad_label_out(loss):
    """A label outside the domain does not raise where it does not count."""
    built, y_pred = build(loss, {}), np.array(THIRDS * 2, "float32")
    found = value(built, np.array([2, 7]), y_pred, np.array([1.0, 0.0], "float32"))
    np.testing.assert_allclose(found, value(built, np.array([2]), y_pred[:1]) / 2, rtol=2e-6)
