"""What is wrong is refused, with a message that says what was received; nothing broadcasts in silence."""

import numpy as np
import pytest

import keras_losses
from keras_losses.base import COMMON
from keras_losses.card import REQUIRED, Interval
from tests.backends import COMPILED, compiled, value
from tests.cases import REFUSED
from tests.contract import samples
from tests.oracles import REGISTRY


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
    for key, parameter in loss.parameters.items()
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
    for key, parameter in samples.LOSSES[name].parameters.items():
        if parameter.default is REQUIRED:
            with pytest.raises(TypeError, match=key):
                samples.LOSSES[name]()


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


@pytest.mark.parametrize("case", samples.plain_cases(samples.simple), ids=repr)
def test_scalars(case):
    """A scalar is no batch."""
    with pytest.raises(ValueError, match="scalar"):
        case.build()(case.batch.y_true, np.float32(1.0))


# Values -----------------------------------------------------------------------------------------------

THIRDS = [[0.2, 0.3, 0.5]]
SPARSE = [name for name in samples.LOSSES if REGISTRY[name].takes in ("classes", "scores")]
CLASSES_OF = [name for name in samples.LOSSES if REGISTRY[name].takes == "classes"]
BAD_VALUES = [
    *(
        (name, {}, y, THIRDS, shown)
        for name in SPARSE
        for y, shown in (([7], "7"), ([1.9], "1.9"), ([-1], "-1"))
    ),
    *((name, {}, [[1.0, 1.0, 0.0]], THIRDS, "2") for name in CLASSES_OF),
    *((name, {}, [[1.5, -0.5, 0.0]], THIRDS, "1.5") for name in SPARSE),
    *((name, {}, [2], [[1.5, -0.5, 0.0]], "1.5") for name in CLASSES_OF),
    *((name, {}, [2], [[0.9, 0.9, 0.9]], "2.7") for name in CLASSES_OF),
    *((name, {}, [1], [3.0], "3") for name in CLASSES_OF),
    *((name, {}, [-1.0, 1.0], [0.5, 0.5], "-1") for name in CLASSES_OF),
    *((name, {"multi_label": True}, [[2.0, 0.0, 1.0]], THIRDS, "2") for name in CLASSES_OF),
    *((loss.__name__, *rest) for loss, *rest in REFUSED),
]


@pytest.mark.parametrize(("name", "options", "y_true", "y_pred", "shown"), BAD_VALUES)
def test_values_outside_the_domain(name, options, y_true, y_pred, shown):
    """In eager mode labels and predictions outside the domain raise, and the message has the value."""
    loss = samples.build(name, options)
    with pytest.raises(ValueError) as caught:
        value(loss, np.asarray(y_true), np.asarray(y_pred, "float32"))
    assert f"Received: {shown}" in str(caught.value) or f"up to {shown}" in str(caught.value), caught.value


def is_id(y_true, y_pred):
    """Whether the bad value is a class id: one that is no class has no defined value."""
    return np.ndim(y_true) < np.ndim(y_pred)


DEFINED = [(*rest, y_true, y_pred) for *rest, y_true, y_pred, _ in BAD_VALUES if not is_id(y_true, y_pred)]


@pytest.mark.parametrize(("name", "options", "y_true", "y_pred"), DEFINED)
def test_checks_of_values_can_be_turned_off(name, options, y_true, y_pred):
    """config.validate_values(False) turns the checks of values off, and those of shapes stay."""
    loss = samples.build(name, options)
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


@pytest.mark.parametrize("mode", COMPILED)
@pytest.mark.parametrize(("name", "options", "y_true", "y_pred"), ONE_OF_EACH.values(), ids=ONE_OF_EACH)
def test_compiled_graphs_do_not_check_values(name, options, y_true, y_pred, mode):
    """A compiled loss takes what eager mode refuses, and means what it means there without checks."""
    loss = samples.build(name, options)
    y_true, y_pred = np.asarray(y_true), np.asarray(y_pred, "float32")
    found, _ = compiled(loss, mode)(y_true, y_pred)
    keras_losses.config.validate_values(False)
    try:
        np.testing.assert_allclose(found, value(loss, y_true, y_pred), rtol=2e-6)
    finally:
        keras_losses.config.validate_values(True)


@pytest.mark.parametrize("name", SPARSE)
def test_a_weight_of_zero_takes_a_bad_label_out(name):
    """A label outside the domain does not raise where it does not count."""
    loss = samples.build(name, {})
    y_pred = np.array(THIRDS * 2, "float32")
    found = value(loss, np.array([2, 7]), y_pred, np.array([1.0, 0.0], "float32"))
    np.testing.assert_allclose(found, value(loss, np.array([2]), y_pred[:1]) / 2, rtol=2e-6)
