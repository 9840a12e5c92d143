"""SciPy, which only some functions need."""

from __future__ import annotations

import importlib
from typing import Any


def import_scipy(owner: str, purpose: str, module: str) -> Any:
    """Return a module of SciPy.

    Args:
        owner: the name of the caller, for the error if SciPy is not installed.
        purpose: what needs it, as the subject of a sentence in the plural.
        module: the name of the module.
    """
    try:
        return importlib.import_module(module)
    except ImportError:
        raise ImportError(
            f"`{owner}`: {purpose} need SciPy, which is not installed. Install it with: "
            'pip install "keras-losses[scipy]"'
        ) from None
