"""What is made from the cards, and from what was seen of the laws, is up to date."""

import json
from pathlib import Path

import pytest

from keras_losses import catalogue
from tests import verification
from tests.contract.samples import LOSSES

ROOT = Path(__file__).parent.parent

# Laws of labels that are classes, of the logits that Keras keeps beside probabilities, and of numbers among
# the hyper-parameters.
FOR_SOME = {"labels", "kept_logits", "live"}


@pytest.mark.parametrize("path", ["README.md", "docs/losses.md"])
def test_what_is_made_from_the_cards_is_up_to_date(path):
    """If not: python -m keras_losses.catalogue --write"""
    assert catalogue.documents(ROOT)[ROOT / path] == (ROOT / path).read_text(encoding="utf-8")


def test_the_record_of_the_laws_is_up_to_date():
    """Every loss was run on every group of laws, on three backends; if not: python -m tests.verification"""
    seen = catalogue.verified()
    groups = {path.stem.removeprefix("test_") for path in (ROOT / "tests" / "contract").glob("test_*.py")}
    assert {law.split(".")[0] for law in seen["laws"]} == groups
    assert {loss for entry in seen["laws"].values() for loss in entry["cases"]} - {""} == set(LOSSES)
    for name, loss in catalogue.losses().items():
        assert {group.replace(" ", "_") for group in catalogue.laws(loss)} >= groups - FOR_SOME, name
    mutants = json.loads(verification.MUTANTS.read_text(encoding="utf-8"))
    page = "\n".join(verification.page(seen, mutants)).rstrip() + "\n"
    assert verification.PAGE.read_text(encoding="utf-8") == page


def test_no_law_is_skipped_for_a_loss():
    """A backend that has not what a law needs has it for no loss; where it has, every loss is tried."""
    for law, entry in catalogue.verified()["laws"].items():
        for backend in verification.BACKENDS:
            tried = {backend in cases for cases in entry["cases"].values()}
            assert len(tried) == 1, f"{law} on {backend}"
