"""List every loss of the library with its card.

python -m keras_losses.tools.catalogue          print the table
python -m keras_losses.tools.catalogue --write  rewrite docs/losses.md and the families in README.md
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
from keras_losses.core.loss import COMMON
from keras_losses.core.parameters import REQUIRED

COMMAND = "python -m keras_losses.tools.catalogue --write"
BEGIN, END = f"<!-- {COMMAND} -->", "<!-- end of the families -->"

FAMILIES = {
    "crossentropy": "Classification",
    "imbalance": "Rare classes",
    "noise": "Wrong labels",
    "margin": "Margins",
    "ordinal": "Ordered classes",
    "vocabulary": "Language models",
    "regression": "Regression",
    "robust": "Outliers",
    "quantile": "Quantiles",
    "deviance": "Counts and amounts",
    "likelihood": "Predicted distributions",
    "counts": "Predicted distributions of counts",
    "evidential": "Evidential losses",
    "divergence": "Soft targets",
    "latent": "Latent variables",
    "pictures": "Pictures and heatmaps",
    "composite": "Sums",
    "penalties": "Penalties",
}
"""Titles of the families, in the order of the documents; others come last, under their names."""

SHARED = {
    "from_logits": "True if `y_pred` are logits; False if they are probabilities",
    "multi_label": "True if several classes may be true at once: sigmoid outputs and 0/1 labels",
    "label_smoothing": "weight of the uniform label that is mixed into each label",
    "class_weight": "weight of each class, which multiplies the losses of its samples",
    "ignore_class": "label of the samples that are left out",
    "axis": "axis of the classes in `y_pred`",
    "name": "name of the loss in logs",
    "reduction": "how the values of the samples become one number, as in Keras",
    "dtype": "dtype of the result, as in Keras; the computation uses float32 or wider",
}
"""Arguments that many losses share, and what they mean."""


def losses() -> dict[str, type[Loss]]:
    """Return the public losses of labels and predictions by name, sorted by family.

    >>> from keras_losses.tools import catalogue
    >>> catalogue.losses()["FocalLoss"].card.paper
    'Lin 2017, 1708.02002'
    """
    public = [getattr(keras_losses, name) for name in keras_losses.__all__]
    classes = [loss for loss in public if inspect.isclass(loss) and issubclass(loss, Loss)]
    of_data = [loss for loss in classes if loss is not Loss and not loss._needs_model]
    families = list(FAMILIES)

    def position_in_documents(loss: type[Loss]) -> tuple[int, str, str]:
        family = card(loss).family
        position = families.index(family) if family in families else len(families)
        return position, family, loss.__name__

    return {loss.__name__: loss for loss in sorted(of_data, key=position_in_documents)}


def card(loss: type[Loss]) -> Card:
    """Return the card of a loss; raise `TypeError` if the loss has none."""
    if loss.card is None:
        raise TypeError(f"`{loss.__name__}` has no card. Set `card = Card(...)` in the body of the class.")
    return loss.card


def call(loss: type[Loss]) -> str:
    """Return the constructor call with hyper-parameters and defaults, without the shared arguments."""
    arguments = (
        name if p.default is REQUIRED else f"{name}={_code(p.default)}"
        for name, p in loss.hyperparameters.items()
        if not p.kw_only and name not in COMMON
    )
    return f"{loss.__name__}({', '.join(arguments)})"


def _code(value: Any) -> str:
    return json.dumps(value) if isinstance(value, str) else repr(value)


def table() -> Table:
    """Return the table of all losses for a terminal."""
    shown = Table(box=SIMPLE, show_lines=True)
    for head in ("loss", "family", "value of a sample", "paper"):
        shown.add_column(head, overflow="fold")
    for loss in losses().values():
        of = card(loss)
        constructor = call(loss).replace("(", "\n(")
        shown.add_row(*map(escape, (constructor, of.family, of.formula, of.paper)))
    return shown


def by_family() -> dict[str, list[str]]:
    """Return the names of the losses of each family, under the family's title."""
    names: dict[str, list[str]] = {}
    for name, loss in losses().items():
        family = card(loss).family
        names.setdefault(FAMILIES.get(family, family), []).append(name)
    return names


def families() -> Iterator[str]:
    """Yield the lines of the README: each family with links to its losses."""
    for title, names in by_family().items():
        links = ", ".join(f"[`{name}`](docs/losses.md#{name.lower()})" for name in names)
        yield f"- **{title}**: {links}"


def others() -> dict[str, str]:
    """Return the first sentence of the docstring of each public name that `losses` leaves out."""
    public = {name: getattr(keras_losses, name) for name in keras_losses.__all__ if name not in losses()}
    documented = {name: inspect.getdoc(thing) for name, thing in public.items() if callable(thing)}
    return {name: " ".join(text.split("\n\n")[0].split()) for name, text in documented.items() if text}


def markdown() -> Iterator[str]:
    """Yield the lines of docs/losses.md."""
    yield "# The losses"
    yield ""
    yield f"`{COMMAND}` writes this page from the cards in the classes; do not edit it."
    yield ""
    yield "- [All losses](#all-losses): formula and use of each"
    yield "- [Layers, functions and models](#layers-functions-and-models)"
    yield "- [Shared arguments](#shared-arguments)"
    yield "- [How to read a card](#how-to-read-a-card), and the card of each loss"
    yield ""
    yield "## All losses"
    for title, names in by_family().items():
        yield from ("", f"**{title}**", "", "| loss | value of a sample | use it for |", "|---|---|---|")
        for name in names:
            of = card(losses()[name])
            constructor = call(losses()[name])
            yield f"| [`{constructor}`](#{name.lower()}) | `{_escaped(of.formula)}` | {_escaped(of.use)} |"
    yield from ("", "## Layers, functions and models", "", "| name | what it is |", "|---|---|")
    yield from (f"| `{name}` | {_escaped(text)} |" for name, text in sorted(others().items()))
    yield from ("", "## Shared arguments", "")
    yield "These arguments are keyword-only. A card names those that its loss takes."
    yield from ("", "| argument | meaning |", "|---|---|")
    yield from (f"| `{name}` | {meaning} |" for name, meaning in SHARED.items())
    yield from ("", "## How to read a card", *READING.rstrip().split("\n"))
    for name in losses():
        yield from _section(name)


READING = """
- *value of a sample*: the formula. z are logits, p probabilities, p_t the probability of the true class,
  y the label, f the prediction and r = y - f the residual.
- *elicits*: the property of the labels' distribution that the best constant prediction equals, such as the
  mean, a quantile or the class probabilities.
- *largest gradient*: a bound on the gradient of one sample in one prediction.
- *accuracy*: where the value loses digits in floating point, and how many.
- *cost*: arithmetic beyond that of the cross-entropy.
- *equals*: values of the hyper-parameters at which the loss is another loss.
"""


def _section(name: str) -> Iterator[str]:
    """Yield the lines of the card of a loss."""
    loss = losses()[name]
    of = card(loss)
    yield from ("", f"## {name}", "", f"`{call(loss)}`", "", "| | |", "|---|---|")
    rows = {
        "family": of.family,
        "value of a sample": of.formula,
        "use it for": of.use,
        "not for": of.avoid,
        "labels": of.labels,
        "predictions": of.predictions,
        "elicits": "; ".join(filter(None, (of.elicits, of.elicits_note))),
        "largest gradient": of.gradient_bound,
        "accuracy": of.conditioning,
        "cost": of.cost,
        "equals": "; ".join(_identities(of)),
        "paper": of.paper,
    }
    yield from (f"| {label} | {_escaped(words)} |" for label, words in rows.items() if words)
    arguments = {**loss.hyperparameters, **COMMON}
    hyperparameters = {argument: p for argument, p in arguments.items() if argument not in SHARED}
    if hyperparameters:
        yield from ("", "| hyper-parameter | default | domain |", "|---|---|---|")
    for argument, p in hyperparameters.items():
        default = "required" if p.default is REQUIRED else f"`{_code(p.default)}`"
        yield f"| `{argument}` | {default} | {_escaped(p.domain)} |"
    shared = {argument: p for argument, p in arguments.items() if argument in SHARED}
    defaults = ", ".join(f"`{argument}={_code(p.default)}`" for argument, p in shared.items())
    yield from ("", f"[Shared arguments](#shared-arguments): {defaults}.")


def _identities(of: Card) -> Iterator[str]:
    for identity in of.identities:
        when = ", ".join(f"{name}={value}" for name, value in identity.when.items())
        arguments = ", ".join(f"{name}={value}" for name, value in identity.arguments.items())
        factor = "" if identity.factor == 1 else f"{identity.factor} * "
        other = f"{identity.equals}({arguments})" if arguments else identity.equals
        yield f"{factor}{other} at {when}"


def _escaped(words: str) -> str:
    return words.replace("|", "\\|")


def documents(root: Path) -> dict[Path, str]:
    """Return the new text of each document of a checkout that is made from the cards."""
    before, _, rest = (root / "README.md").read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    return {
        root / "README.md": before + "\n".join([BEGIN, *families(), END]) + after,
        root / "docs" / "losses.md": "\n".join(markdown()) + "\n",
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument(
        "--write",
        action="store_true",
        help="rewrite docs/losses.md and the families in README.md; run it in a checkout",
    )
    if not parser.parse_args().write:
        Console().print(table())
        return
    for path, text in documents(Path()).items():
        path.write_text(text, encoding="utf-8")
        print(path)


if __name__ == "__main__":
    main()
