"""Every loss says what it is: a card, hyper-parameters with a domain, and a reference beside it."""

import pytest

import keras_losses
from keras_losses import catalogue
from keras_losses.card import REQUIRED, Card
from tests.contract import samples
from tests.oracles import REGISTRY

every_loss = pytest.mark.parametrize("name", samples.LOSSES)


def test_losses_are_discovered():
    """The suite sees the losses that the package shows, and the example of CONTRIBUTING.md."""
    public = {name for name in keras_losses.__all__ if name.endswith(("Loss", "Crossentropy"))} - {"Loss"}
    assert set(samples.LOSSES) == public | {"PowerErrorLoss"}


@every_loss
def test_card(name):
    """A loss has a card of its own, with every line filled in."""
    card = vars(samples.LOSSES[name]).get("card")
    assert isinstance(card, Card), f"{name} has no card"
    for line in ("family", "formula", "paper", "labels", "predictions", "use", "avoid", "elicits"):
        assert getattr(card, line), f"{name}: the card's {line} is empty"
    assert card.gradient_bound


@every_loss
def test_oracle_is_there(name):
    """A loss has a reference that does not call it."""
    assert name in REGISTRY, f"{name} has no oracle in tests/oracles"
    assert REGISTRY[name].takes in samples.KINDS


@every_loss
def test_every_hyper_parameter_has_a_domain(name):
    """A hyper-parameter has an interval, choices, or examples of what it takes and refuses."""
    for key, parameter in samples.LOSSES[name].hyperparameters.items():
        declared = parameter.within or parameter.choices or (parameter.examples and parameter.refused)
        assert declared, f"{name}: {key} has no domain"
        assert samples.values(parameter) or parameter.default is REQUIRED, f"{name}: {key} cannot vary"


@every_loss
def test_every_value_is_tried(name):
    """Each value of each hyper-parameter reaches the laws with some batch."""
    cases = samples.cases(name)
    tried = [{**case.batch.options, **case.options} for case in cases]
    for options in samples.variants(name):
        if len(options) != 1:
            continue
        ((key, value),) = options.items()
        found = any(key in one and one[key] == value for one in tried)
        # An inner loss, or how many predictions there are, is the batches' to say.
        of_batches = all(key in case.batch.options for case in cases)
        assert found or of_batches, f"{name}: {key}={value!r} is tried nowhere"


@every_loss
def test_identities_name_losses(name):
    """The identities on a card are about hyper-parameters and losses that there are."""
    for identity in samples.LOSSES[name].card.identities:
        assert set(identity.when) <= set(samples.LOSSES[name].hyperparameters)
        assert identity.equals in {*samples.LOSSES, "the inner loss"}


@pytest.mark.parametrize("name", catalogue.losses())
def test_documented(name):
    """The docstring names every hyper-parameter, the formula's source, and shows an example."""
    text = samples.LOSSES[name].__doc__
    for key in samples.LOSSES[name].hyperparameters:
        assert key in text, f"{name}: the docstring does not mention {key}"
    assert "References:" in text
    assert ">>>" in text
