"""Every loss of the library with its card, gathered from the classes.

python -m keras_losses.tools.catalogue          the table, for a terminal
python -m keras_losses.tools.catalogue --write  in a checkout, the README's table and docs/losses.md
"""

from __future__ import annotations

import argparse
import inspect
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.box import SIMPLE
from rich.console import Console
from rich.markup import escape
from rich.table import Table

import keras_losses
from keras_losses.core import Card, Loss
from keras_losses.core.base import COMMON
from keras_losses.core.card import REQUIRED

COMMAND = "python -m keras_losses.tools.catalogue --write"
BEGIN, END = f"<!-- {COMMAND} -->", "<!-- end of the table -->"


def losses() -> dict[str, type[Loss]]:
    """The public losses of labels and predictions by name, a family after the other.

    >>> from keras_losses.tools import catalogue
    >>> catalogue.losses()["FocalLoss"].card.paper
    'Lin 2017, 1708.02002'
    """
    public = [getattr(keras_losses, name) for name in keras_losses.__all__]
    classes = [loss for loss in public if inspect.isclass(loss) and issubclass(loss, Loss)]
    found = [loss for loss in classes if loss is not Loss and not loss._needs_model]
    return {
        loss.__name__: loss for loss in sorted(found, key=lambda loss: (card(loss).family, loss.__name__))
    }


def card(loss: type[Loss]) -> Card:
    """The card of a loss; `TypeError` for one that has none."""
    if loss.card is None:
        raise TypeError(f"{loss.__name__} has no card: say in its body what it is and where it belongs.")
    return loss.card


def call(loss: type[Loss]) -> str:
    """The constructor as one would write it: the loss's own hyper-parameters with their defaults."""
    own = (
        name if p.default is REQUIRED else f"{name}={_code(p.default)}"
        for name, p in loss.hyperparameters.items()
        if not p.kw_only and name not in COMMON
    )
    return f"{loss.__name__}({', '.join(own)})"


def _code(value: Any) -> str:
    return json.dumps(value) if isinstance(value, str) else repr(value)


def table() -> Table:
    """The table for a terminal."""
    shown = Table(box=SIMPLE, show_lines=True)
    for head in ("loss", "family", "value of a sample", "paper"):
        shown.add_column(head, overflow="fold")
    for loss in losses().values():
        of = card(loss)
        constructor = call(loss).replace("(", "\n(")
        shown.add_row(*map(escape, (constructor, of.family, of.formula, of.paper)))
    return shown


def readme() -> Iterator[str]:
    """The table of the README."""
    yield "| loss | value of a sample | for |"
    yield "|---|---|---|"
    for loss in losses().values():
        of = card(loss)
        yield f"| `{call(loss)}` | `{_escaped(of.formula)}` | {_escaped(of.use)} |"


def markdown() -> Iterator[str]:
    """The page docs/losses.md."""
    yield "# The losses"
    yield ""
    yield f"Made by `{COMMAND}` from the cards in the classes; do not edit."
    for name, loss in losses().items():
        of = card(loss)
        yield ""
        yield f"## {name}"
        yield ""
        yield f"`{call(loss)}`"
        yield ""
        yield "| | |"
        yield "|---|---|"
        rows = {
            "family": of.family,
            "value of a sample": of.formula,
            "use it for": of.use,
            "not for": of.avoid,
            "labels": of.labels,
            "predictions": of.predictions,
            "elicits": "; ".join(filter(None, (of.elicits, of.elicits_note))),
            "largest gradient": of.gradient_bound,
            "digits": of.conditioning,
            "cost": of.cost,
            "equals": "; ".join(_identities(of)),
            "paper": of.paper,
        }
        yield from (f"| {label} | {_escaped(words)} |" for label, words in rows.items() if words)
        yield ""
        yield "| hyper-parameter | default | domain |"
        yield "|---|---|---|"
        for parameter, p in {**loss.hyperparameters, **COMMON}.items():
            default = "required" if p.default is REQUIRED else f"`{_code(p.default)}`"
            yield f"| `{parameter}` | {default} | {_escaped(p.domain)} |"


def _identities(of: Card) -> Iterator[str]:
    for identity in of.identities:
        when = ", ".join(f"{name}={value}" for name, value in identity.when.items())
        given = ", ".join(f"{name}={value}" for name, value in identity.given.items())
        times = "" if identity.times == 1 else f"{identity.times} * "
        yield f"{times}{identity.equals}{f'({given})' if given else ''} at {when}"


def _escaped(words: str) -> str:
    return words.replace("|", "\\|")


def documents(root: Path) -> dict[Path, str]:
    """What stands in the documents of a checkout that are made from the cards."""
    before, _, rest = (root / "README.md").read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    return {
        root / "README.md": before + "\n".join([BEGIN, *readme(), END]) + after,
        root / "docs" / "losses.md": "\n".join(markdown()) + "\n",
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument(
        "--write", action="store_true", help="write README.md's table and docs/losses.md of the checkout here"
    )
    if not parser.parse_args().write:
        Console().print(table())
        return
    for path, text in documents(Path()).items():
        path.write_text(text, encoding="utf-8")
        print(path)


if __name__ == "__main__":
    main()
