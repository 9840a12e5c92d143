"""What is made from the cards is up to date, and the page on verification names tests that exist."""

import io
import re
from pathlib import Path

import pytest
from rich.console import Console

from keras_losses.tools import catalogue

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("path", ["README.md", "docs/losses.md"])
def test_what_is_made_from_the_cards_is_up_to_date(path):
    """If not: python -m keras_losses.tools.catalogue --write"""
    assert catalogue.documents(ROOT)[ROOT / path] == (ROOT / path).read_text(encoding="utf-8")


def test_the_table_for_a_terminal_has_every_loss_and_its_paper():
    """A wide terminal, in which no cell is wrapped."""
    console = Console(file=io.StringIO(), width=1000)
    console.print(catalogue.table())
    printed = console.file.getvalue()
    words = set(re.findall(r"\w+", printed))
    for name, loss in catalogue.losses().items():
        assert name in words
        assert catalogue.card(loss).paper in printed, name


def test_the_page_on_verification_names_every_group_of_laws_and_nothing_else():
    """A file of laws that is added, renamed or taken away is added, renamed or taken away there."""
    page = (ROOT / "docs" / "verification.md").read_text(encoding="utf-8")
    named = set(re.findall(r"tests/contract/(test_\w+\.py)", page))
    assert named == {path.name for path in (ROOT / "tests" / "contract").glob("test_*.py")}
    for path in re.findall(r"`(tests/[\w/.]+)`", page):
        assert (ROOT / path).exists(), path
