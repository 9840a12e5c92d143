"""Every loss of the library with its card, gathered from the classes.

python -m keras_losses.catalogue             the table, for a terminal
python -m keras_losses.catalogue --markdown  the same as docs/losses.md has it
"""

from __future__ import annotations

import argparse
import inspect
import textwrap
from collections.abc import Iterator

import keras_losses
from keras_losses.base import COMMON, Loss
from keras_losses.card import REQUIRED, Card


def losses() -> dict[str, type[Loss]]:
    """The public losses by name, a family after the other.

    >>> from keras_losses import catalogue
    >>> catalogue.losses()["FocalLoss"].card.paper
    'Lin 2017, 1708.02002'
    """
    public = [getattr(keras_losses, name) for name in keras_losses.__all__]
    found = [loss for loss in public if inspect.isclass(loss) and issubclass(loss, Loss) and loss is not Loss]
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
        name if p.default is REQUIRED else f"{name}={p.default!r}"
        for name, p in loss.parameters.items()
        if not p.kw_only and name not in COMMON
    )
    return f"{loss.__name__}({', '.join(own)})"


def terminal() -> Iterator[str]:
    """The table for a terminal."""
    for name, loss in losses().items():
        of = card(loss)
        yield f"{name}  [{of.family}]"
        for label, words in (
            ("value", of.formula),
            ("for", of.use),
            ("not for", of.avoid),
            ("from", of.paper),
        ):
            yield textwrap.fill(words, 100, initial_indent=f"    {label:8}", subsequent_indent=" " * 12)


def markdown() -> Iterator[str]:
    """The page docs/losses.md."""
    yield "# The losses"
    yield ""
    yield "Made by `python -m keras_losses.catalogue --markdown` from the cards in the classes; do not edit."
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
            "equals": "; ".join(_identities(of)),
            "paper": of.paper,
        }
        yield from (f"| {label} | {_escaped(words)} |" for label, words in rows.items() if words)
        yield ""
        yield "| hyper-parameter | default | domain |"
        yield "|---|---|---|"
        for parameter, p in {**loss.parameters, **COMMON}.items():
            default = "required" if p.default is REQUIRED else f"`{p.default!r}`"
            yield f"| `{parameter}` | {default} | {_escaped(p.domain)} |"


def _identities(of: Card) -> Iterator[str]:
    for identity in of.identities:
        when = ", ".join(f"{name}={value}" for name, value in identity.when.items())
        given = ", ".join(f"{name}={value}" for name, value in identity.given.items())
        times = "" if identity.times == 1 else f"{identity.times} * "
        yield f"{times}{identity.equals}{f'({given})' if given else ''} at {when}"


def _escaped(words: str) -> str:
    return words.replace("|", "\\|")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--markdown", action="store_true", help="print docs/losses.md")
    print("\n".join(markdown() if parser.parse_args().markdown else terminal()))


if __name__ == "__main__":
    main()
