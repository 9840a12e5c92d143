"""Every loss says what it is: a card, hyper-parameters with a domain, and a reference beside it."""

import pytest

import keras_losses
from keras_losses.core import Card, Loss
from keras_losses.core.parameters import REQUIRED
from keras_losses.tools import catalogue
from tests.cases.arguments import argument
from tests.contract.cases import every_case, every_loss
from tests.every_loss import LOSSES, free, values
from tests.kinds import KINDS
from tests.oracles import REGISTRY


def test_losses_are_discovered():
    """The suite sees the losses that the package shows, and the examples of CONTRIBUTING.md."""
    public = {name for name in keras_losses.__all__ if name.endswith(("Loss", "Crossentropy"))} - {"Loss"}
    # It has a test of its own, because XLA cannot compile it.
    public = {name for name in public if not getattr(keras_losses, name)._calls_host}
    assert set(LOSSES) == public | {"PowerErrorLoss", "CircularErrorLoss"}


@every_loss
def test_card(loss):
    """A loss has a card of its own, with every line filled in."""
    card = vars(LOSSES[loss]).get("card")
    assert isinstance(card, Card), f"{loss} has no card"
    for line in ("family", "formula", "paper", "labels", "predictions", "use", "avoid", "elicits"):
        assert getattr(card, line), f"{loss}: the card's {line} is empty"
    assert card.gradient_bound


@every_loss
def test_oracle_is_there(loss):
    """A loss has a reference that does not call it."""
    assert loss in REGISTRY, f"{loss} has no oracle in tests/oracles"
    assert REGISTRY[loss].takes in KINDS


@every_loss
def test_every_hyper_parameter_has_a_domain(loss):
    """A hyper-parameter has an interval, choices, or words and examples of what it takes and refuses."""
    for key, parameter in LOSSES[loss].hyperparameters.items():
        declared = (
            parameter.within
            or parameter.choices
            or (parameter.stated_domain and argument(parameter).taken and argument(parameter).refused)
        )
        assert declared, f"{loss}: {key} has no domain"
        assert values(parameter) or parameter.default is REQUIRED, f"{loss}: {key} cannot vary"


@every_loss
def test_every_value_is_tried(loss):
    """Each value of each hyper-parameter reaches the laws with some batch."""
    tried = [{**case.batch.options, **case.options} for case in every_case(loss)]
    for key, (_, *others) in free(loss).items():
        # An inner loss, or how many predictions there are, is the batches' to say.
        if all(key in case.batch.options for case in every_case(loss)):
            continue
        for value in others:
            # A sequence is cut or repeated to the number of outputs.
            found = any(key in one and (one[key] == value or isinstance(value, list)) for one in tried)
            assert found, f"{loss}: {key}={value!r} is tried nowhere"


@every_loss
def test_identities_name_losses(loss):
    """The identities on a card are about hyper-parameters and losses that there are."""
    for identity in LOSSES[loss].card.identities:
        assert set(identity.when) <= set(LOSSES[loss].hyperparameters)
        assert identity.equals in {*LOSSES, "the inner loss"}


@pytest.mark.parametrize("loss", catalogue.losses())
def test_documented(loss):
    """The docstring or a base class that it links to names every argument; it has a source, an example."""
    text = LOSSES[loss].__doc__
    bases = [base for base in LOSSES[loss].__mro__[1:] if issubclass(base, Loss)]
    linked = [
        base
        for base in bases
        if any(f"`{room}.{base.__name__}`" in text for room in ("keras_losses.core", base.__module__))
    ]
    # A linked class stands for its own bases as well: CrossentropyFamily for ClassificationLoss.
    described = text + "".join(base.__doc__ or "" for base in bases if linked and issubclass(linked[0], base))
    for key in LOSSES[loss].hyperparameters:
        assert key in described, f"{loss}: neither the docstring nor a class that it links to mentions {key}"
    assert "References:" in text
    assert ">>>" in text
