"""What only the author of a loss can say of it: values by hand, its kinks, and data it must refuse.

A file for each family, with these lists as far as it needs them:

BY_HAND       (loss, its hyper-parameters, y_true, y_pred, the value of each sample, written as arithmetic)
BESIDE_KINKS  (loss object, y_true, y_pred): samples close to a kink, on each of its sides
REFUSED       (loss, its hyper-parameters, y_true, y_pred, the value that the message shows), in eager mode
"""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any

from tests import example

NEAR = 0.01
"""Close to a kink, and farther from it than the differences of tests/contract/test_gradients.py reach."""

_FAMILIES = [importlib.import_module(f"{__name__}.{found.name}") for found in pkgutil.iter_modules(__path__)]


def _gathered(name: str) -> list[Any]:
    return [case for module in (*_FAMILIES, *example.CASES) for case in getattr(module, name, ())]


BY_HAND = _gathered("BY_HAND")
BESIDE_KINKS = _gathered("BESIDE_KINKS")
REFUSED = _gathered("REFUSED")
