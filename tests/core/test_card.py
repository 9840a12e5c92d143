"""Ranges and refusals of hyper-parameters in numbers and words written out: the laws take them as given."""

import math

import keras
import pytest
from keras import ops

from keras_losses import FocalLoss, HuberLoss, PoissonLoss, TweedieLoss
from keras_losses.core import Parameter, flag
from keras_losses.core.interval import Interval


@pytest.mark.parametrize(
    ("interval", "members", "others"),
    [
        ("[0, 1]", (0.0, 0.5, 1.0), (-1e-9, 1.000001, math.inf, math.nan)),
        ("(0, 1)", (1e-9, 0.999999), (0.0, 1.0, -1.0, 2.0)),
        ("[0, 1)", (0.0, 0.999999), (-1e-9, 1.0)),
        ("(0, 1]", (1e-9, 1.0), (0.0, 1.000001)),
        ("[1, inf)", (1.0, 1e300), (0.999999, math.inf, -math.inf)),
        ("(-inf, inf)", (-1e300, 0.0, 1e300), (math.inf, -math.inf, math.nan)),
    ],
)
def test_an_interval_reads_as_in_a_paper(interval, members, others):
    """A square bracket takes its end in, a round one leaves it out."""
    for number in members:
        assert number in Interval(interval)
    for number in others:
        assert number not in Interval(interval)


def test_the_numbers_that_the_laws_try():
    """Closed ends, steps of the way between them, and what is just beyond; an infinite end is 10 away."""
    assert Interval("[0, 1]").inside() == (0.0, 0.05, 0.35, 0.5, 0.8, 1.0)
    assert Interval("(2, inf)").inside() == pytest.approx((2.5, 5.5, 7.0, 10.0, 12.0))
    assert Interval("(-inf, inf)").inside() == pytest.approx((-10.0, -9.0, -3.0, 0.0, 6.0, 10.0))
    *beyond, infinity, nan = Interval("[0, 1)").outside()
    assert beyond == [-1.0, -1e-6, 1.0, 1.000001, 2.0]
    assert math.isinf(infinity)
    assert math.isnan(nan)
    assert Interval("(0, 1]").outside()[:-2] == (-1.0, 0.0, -1e-6, 1.000001, 2.0)


def _even(value):
    if value % 2:
        raise ValueError("it is odd")
    return value


@pytest.mark.parametrize(
    ("parameter", "value", "error", "message"),
    [
        (Parameter(within="[0, 1]"), 2.0, ValueError, "a number in [0, 1]. Received: gamma=2.0"),
        (
            Parameter(within="[0, 1]"),
            "1",
            TypeError,
            "a number in [0, 1]. Received: gamma='1' (it is of type str)",
        ),
        (
            Parameter(within="[0, 9]", integer=True),
            0.5,
            TypeError,
            "an integer in [0, 9]. Received: gamma=0.5 (it is of type float)",
        ),
        (
            Parameter(choices=("a", "b"), optional=True),
            "c",
            ValueError,
            "one of 'a', 'b', or None. Received: gamma='c'",
        ),
        (flag(default=False), 1, ValueError, "one of False, True. Received: gamma=1"),
        (
            Parameter(convert=_even, stated_domain="an even number, or one that is near"),
            3,
            ValueError,
            "an even number, or one that is near. Received: gamma=3 (it is odd)",
        ),
        (
            Parameter(convert=_even, stated_domain="an even number, or one that is near"),
            "x",
            TypeError,
            "an even number, or one that is near. Received: gamma='x' (not all",
        ),
    ],
)
def test_a_refusal_says_what_is_wanted(parameter, value, error, message):
    """The domain in words, the value, and why it is none, where that is more than the words."""
    with pytest.raises(error) as caught:
        parameter.check("FocalLoss", "gamma", value)
    found = str(caught.value)
    expected = f"`FocalLoss`: `gamma` must be {message}"
    assert found.startswith(expected) if message.endswith("(not all") else found == expected


def test_what_is_kept_of_a_value():
    """Integers where they are asked for, floats elsewhere, None where it is taken, choices by type."""
    kept = Parameter(within="[0, 9]", integer=True).check("", "", 3)
    assert (kept, type(kept)) == (3, int)
    kept = Parameter(within="[0, 9]").check("", "", 3)
    assert (kept, type(kept)) == (3.0, float)
    assert Parameter(within="[0, 9]", optional=True).check("", "", None) is None
    assert Parameter(choices=(False, True)).check("", "", True) is True
    assert Parameter().check("", "", "anything") == "anything"
    assert Parameter().domain == "anything"


class OwnHuberLoss(HuberLoss):
    """A loss that writes its own constructor."""

    def __init__(self, delta=2.0, unit="cm", **kwargs):
        super().__init__(delta=delta, **kwargs)
        self.unit = unit


def test_a_constructor_of_ones_own():
    """Its arguments are those of the config, and of the loss that is made of it."""
    loss = OwnHuberLoss.from_config(OwnHuberLoss(delta=3.0, unit="m").get_config())
    assert (loss.delta, loss.unit) == (3.0, "m")
    assert repr(loss) == "OwnHuberLoss(delta=3.0)"


def test_a_tensor_stands_in_for_a_number():
    """A formula reads the tensor, in the dtype that is computed in; configs and repr keep the number."""
    for loss, key in ((FocalLoss(gamma=3.0), "gamma"), (OwnHuberLoss(delta=3.0), "delta")):
        config, words = loss.get_config(), repr(loss)
        loss._follow(key, lambda: ops.convert_to_tensor(0.5, dtype="float16"))
        assert float(getattr(loss, key)) == 0.5
        assert keras.backend.standardize_dtype(getattr(loss, key).dtype) == "float32"
        assert loss.get_config() == config
        assert repr(loss) == words


def test_a_hyper_parameter_is_read_off_its_class():
    """It is its declaration there, or the value that a subclass has fixed; what was never set is missing."""
    assert TweedieLoss.power is TweedieLoss.hyperparameters["power"]
    assert (PoissonLoss.power, PoissonLoss().power) == (1.0, 1.0)
    assert not hasattr(FocalLoss.__new__(FocalLoss), "gamma")
