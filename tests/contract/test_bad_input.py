"""What is wrong is refused, with a message that says what was received; nothing broadcasts in silence."""

import numpy as np
import pytest
from keras import ops

import keras_losses
from keras_losses import (
    CrossentropyLoss,
    HingeLoss,
    KLDivergenceLoss,
    Loss,
    MulticlassHingeLoss,
    SquaredErrorLoss,
)
from keras_losses.base import COMMON
from keras_losses.card import REQUIRED, Interval
from tests.backends import MODES, compiled, numpy, tensor, value
from tests.cases import REFUSED
from tests.contract import samples
from tests.oracles import REGISTRY

pytestmark = pytest.mark.of_the_base


def refused(parameter):
    """Values outside a hyper-parameter's domain."""
    found = list(parameter.refused)
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


OUTSIDE = [
    pytest.param(name, key, value, id=f"{name}-{key}={value!r}")
    for name, loss in samples.LOSSES.items()
    for key, parameter in loss.hyperparameters.items()
    for value in refused(parameter)
]


@pytest.mark.parametrize(("name", "key", "value"), OUTSIDE)
def test_hyper_parameters_outside_their_range(name, key, value):
    """A hyper-parameter outside its domain raises, and the message has its name and the value."""
    with pytest.raises((ValueError, TypeError)) as caught:
        samples.LOSSES[name](**{**samples.required(name), key: value})
    message = str(caught.value)
    assert key in message
    assert repr(value) in message
    assert name in message


@pytest.mark.parametrize("name", samples.LOSSES)
def test_common_arguments(name):
    """A reduction, a dtype or an argument that there is not raises, and the message names it."""
    for options in ({"reduction": "median"}, {"dtype": "int32"}, {"dtype": "float31"}, {"gama": 2.0}):
        ((key, value),) = options.items()
        with pytest.raises((ValueError, TypeError)) as caught:
            samples.build(name, {**samples.required(name), **options})
        assert key in str(caught.value)
        assert key not in COMMON or str(value) in str(caught.value)


@pytest.mark.parametrize("name", samples.LOSSES)
def test_required_arguments(name):
    """What has no default is asked for by name."""
    for key, parameter in samples.LOSSES[name].hyperparameters.items():
        if parameter.default is REQUIRED:
            with pytest.raises(TypeError, match=key):
                samples.LOSSES[name]()


@pytest.mark.parametrize(
    ("name", "options", "words"),
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
def test_hyper_parameters_that_do_not_go_together(name, options, words):
    """Two of them that each are in their domain, and mean nothing together, raise."""
    with pytest.raises(ValueError) as caught:
        samples.build(name, options)
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


SHAPES = [
    pytest.param(case, true, pred, id=f"{case}-{true}-{pred}")
    for case in samples.plain_cases()
    if case.batch.axis == -1
    for true, pred in wrong_shapes(case.batch)
]


def names_shape(message, shape):
    # One output without an axis may be shown with the axis that it is given.
    return str(shape) in message or str((*shape, 1)) in message


@pytest.mark.parametrize(("case", "true", "pred"), SHAPES)
def test_wrong_shapes(case, true, pred):
    """Shapes that do not match raise, and the message has both of them."""
    y_true = np.zeros(true, case.batch.y_true.dtype)
    y_pred = np.full(pred, 0.5, "float32")
    with pytest.raises(ValueError) as caught:
        case.build()(y_true, y_pred)
    assert names_shape(str(caught.value), true), caught.value
    assert names_shape(str(caught.value), pred), caught.value


ELEMENTWISE = [name for name in samples.LOSSES if REGISTRY[name].takes in ("numbers", "signs")]
SPARSE = [name for name in samples.LOSSES if REGISTRY[name].takes in samples.OVER_CLASSES]
CLASSES_OF = [name for name in SPARSE if REGISTRY[name].takes != "scores"]
OUTPUTS_OF = [name for name in samples.LOSSES if REGISTRY[name].takes in samples.OF_ONE_OUTPUT]


@pytest.mark.parametrize("name", ELEMENTWISE)
@pytest.mark.parametrize(
    ("true", "pred"),
    [((4,), (4, 4)), ((4, 1), (1, 4)), ((4, 1), (4, 3)), ((4, 3), (3,)), ((), (4, 1))],
    ids=str,
)
def test_nothing_broadcasts(name, true, pred):
    """What Keras broadcasts in silence is an error."""
    for a, b in ((true, pred), (pred, true)):
        with pytest.raises(ValueError):
            samples.build(name, {})(np.ones(a, "float32"), np.ones(b, "float32"))


@pytest.mark.parametrize("name", [*ELEMENTWISE, *OUTPUTS_OF])
@pytest.mark.parametrize("shape", [(4,), (2, 3)], ids=str)
def test_a_missing_last_axis_is_added(name, shape):
    """Nothing but an axis of 1 at the end, to the labels or, where these are numbers, to the predictions."""
    y = np.arange(np.prod(shape), dtype="float32").reshape(shape) % 2
    p = np.linspace(0.1, 0.9, y.size, dtype="float32").reshape(shape)
    options = {"labels": "binary"} if REGISTRY[name].takes == "signs" else {}
    loss = samples.build(name, options, 1, reduction="none")
    exact = value(loss, y[..., None], p[..., None])
    assert exact.shape == shape
    np.testing.assert_array_equal(value(loss, y, p[..., None]), exact)
    if name in ELEMENTWISE:
        np.testing.assert_array_equal(value(loss, y[..., None], p), exact)


@pytest.mark.parametrize("case", samples.plain_cases(samples.simple), ids=repr)
def test_scalars(case):
    """A scalar is no batch."""
    with pytest.raises(ValueError, match="scalar"):
        case.build()(case.batch.y_true, np.float32(1.0))


@pytest.mark.parametrize(
    ("loss", "true", "pred", "advice"),
    [
        (SquaredErrorLoss(), (4, 3), (3, 4), "one of them looks transposed."),
        (SquaredErrorLoss(), (2, 4, 3), (2, 4, 5), "the model has 5 outputs and the targets 3; change its"),
        (SquaredErrorLoss(), (4, 5), (4, 5, 2), "have 1 output, or the targets a last axis of 2."),
        (SquaredErrorLoss(), (4, 3), (5, 3), "reshape one to the other's shape."),
        (
            CrossentropyLoss(),
            (6, 4),
            (6, 3),
            "class ids of shape (6,) or (6, 1), or one-hot or soft labels of",
        ),
        (CrossentropyLoss(), (6, 4), (6, 3), "soft labels of shape (6, 3). Received: y_true of shape (6, 4)"),
        (CrossentropyLoss(), (6, 4), (6, 3), "The model has 3 classes; its last layer should have 4."),
        (CrossentropyLoss(), (6, 3, 2), (6, 3), "are not the last axis of the predictions, pass axis=."),
        (CrossentropyLoss(), (6,), (6, 4, 3), "is a pooling or Flatten missing?"),
        (MulticlassHingeLoss(), (6, 1), (6, 1), "must have a class axis of at least 2. Received: y_pred of"),
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

    with pytest.raises(ValueError, match=r"WholeBatchLoss: call\(\) must return one value for each sample"):
        value(WholeBatchLoss(), np.zeros((3, 2)), np.zeros((3, 2)))


@pytest.mark.parametrize("name", SPARSE)
def test_axes_that_are_no_classes(name):
    """The class axis is none of the batch, and none that is not there."""
    y_true, y_pred = np.zeros((6, 4), "int32"), np.full((6, 4, 3), 1 / 3, "float32")
    exact = value(samples.build(name, {}), y_true, y_pred)
    assert value(samples.build(name, {"axis": 2}), y_true, y_pred) == exact
    for axis in (0, 3, 4, -3, -4):
        with pytest.raises(ValueError, match=rf"`axis` must name an axis .* Received: axis={axis} and"):
            samples.build(name, {"axis": axis})(y_true, y_pred)


# Values -----------------------------------------------------------------------------------------------

THIRDS = [[0.2, 0.3, 0.5]]
BAD_VALUES = [
    *(
        (name, {}, y, THIRDS, shown)
        for name in SPARSE
        for y, shown in (([7], "7"), ([3], "3"), ([1.9], "1.9"), ([-1], "-1"))
    ),
    *((name, {}, [[1.0, 1.0, 0.0]], THIRDS, "2") for name in CLASSES_OF),
    *((name, {}, [[1.5, -0.5, 0.0]], THIRDS, "1.5") for name in SPARSE),
    *((name, {}, [2], [[1.5, -0.5, 0.0]], "1.5") for name in CLASSES_OF),
    *((name, {}, [2], [[0.9, 0.9, 0.9]], "2.7") for name in CLASSES_OF),
    *((name, {}, [1], [3.0], "3") for name in OUTPUTS_OF),
    *((name, {}, [-1.0, 1.0], [0.5, 0.5], "-1") for name in OUTPUTS_OF),
    *(
        (name, {"multi_label": True}, [[2.0, 0.0, 1.0]], THIRDS, "2")
        for name in CLASSES_OF
        if REGISTRY[name].takes == "classes"
    ),
    *((loss.__name__, *rest) for loss, *rest in REFUSED),
]


@pytest.mark.parametrize(("name", "options", "y_true", "y_pred", "shown"), BAD_VALUES)
def test_values_outside_the_domain(name, options, y_true, y_pred, shown):
    """In eager mode labels and predictions outside the domain raise, and the message has the value."""
    loss = samples.build(name, options, samples.outputs_of(y_pred))
    with pytest.raises(ValueError) as caught:
        value(loss, np.asarray(y_true), np.asarray(y_pred, "float32"))
    assert f"Received: {shown}" in str(caught.value) or f"up to {shown}" in str(caught.value), caught.value


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


def is_id(y_true, y_pred):
    """Whether the bad value is a class id: one that is no class has no defined value."""
    return np.ndim(y_true) < np.ndim(y_pred)


DEFINED = [(*rest, y_true, y_pred) for *rest, y_true, y_pred, _ in BAD_VALUES if not is_id(y_true, y_pred)]


@pytest.mark.parametrize(("name", "options", "y_true", "y_pred"), DEFINED)
def test_checks_of_values_can_be_turned_off(name, options, y_true, y_pred):
    """config.validate_values(False) turns the checks of values off, and those of shapes stay."""
    loss = samples.build(name, options, samples.outputs_of(y_pred))
    y_true, y_pred = np.asarray(y_true), np.asarray(y_pred, "float32")
    keras_losses.config.validate_values(False)
    try:
        assert value(loss, y_true, y_pred).shape == ()
        with pytest.raises(ValueError):
            loss(y_true[:, None, None, None], y_pred)
    finally:
        keras_losses.config.validate_values(True)
    with pytest.raises(ValueError):
        value(loss, y_true, y_pred)


ONE_OF_EACH = {name: (name, *rest) for name, *rest in DEFINED}


@pytest.mark.costly
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("name", "options", "y_true", "y_pred"), ONE_OF_EACH.values(), ids=ONE_OF_EACH)
def test_compiled_graphs_do_not_check_values(name, options, y_true, y_pred, mode):
    """A compiled loss takes what eager mode refuses, and means what it means there without checks."""
    loss = samples.build(name, options, samples.outputs_of(y_pred))
    y_true, y_pred = np.asarray(y_true), np.asarray(y_pred, "float32")
    found, _ = compiled(loss, mode)(y_true, y_pred)
    keras_losses.config.validate_values(False)
    try:
        np.testing.assert_allclose(found, value(loss, y_true, y_pred), rtol=2e-6)
    finally:
        keras_losses.config.validate_values(True)


def sparse(name):
    """The first batch of a loss whose labels are class ids, of one loss alone."""
    found = (batch for batch in samples.batches(name) if batch.name.startswith("sparse "))
    return next(found, None) if REGISTRY[name].takes not in samples.AROUND else None


OF_IDS = [
    pytest.param(name, options, id="-".join([name, *options]))
    for name, loss in samples.LOSSES.items()
    if sparse(name)
    for options in ({}, {"label_smoothing": 0.1})
    if options.keys() <= loss.hyperparameters.keys()
]


@pytest.mark.costly
@pytest.mark.parametrize("mode", MODES[-1:])
@pytest.mark.parametrize(("name", "options"), OF_IDS)
def test_a_class_that_there_is_not_is_nan_where_it_cannot_raise(name, options, mode):
    """In a compiled step the loss of such a sample is NaN, and those of others are what they were."""
    batch = sparse(name)
    loss = samples.build(name, {**batch.options, **options}, batch.outputs, reduction="none")
    run = compiled(loss, mode)
    expected, _ = run(batch.y_true, batch.y_pred)
    for wrong in (-1, 3, 10**6):
        y_true = batch.y_true.copy()
        y_true[1] = wrong
        found, _ = run(y_true, batch.y_pred)
        assert np.isnan(found[1])
        others = [0, *range(2, len(found))]
        if not loss.pools_batch:
            np.testing.assert_allclose(found[others], expected[others], rtol=1e-6)


@pytest.mark.parametrize("name", SPARSE)
def test_a_weight_of_zero_takes_a_bad_label_out(name):
    """A label outside the domain does not raise where it does not count."""
    loss = samples.build(name, {})
    y_pred = np.array(THIRDS * 2, "float32")
    found = value(loss, np.array([2, 7]), y_pred, np.array([1.0, 0.0], "float32"))
    np.testing.assert_allclose(found, value(loss, np.array([2]), y_pred[:1]) / 2, rtol=2e-6)
