"""The losses, oracles, values and the kind of data that CONTRIBUTING.md writes out: all laws run on them."""

import re
import sys
import types
from pathlib import Path

_TEXT = (Path(__file__).parent.parent / "CONTRIBUTING.md").read_text(encoding="utf-8")
_LOSS, _ORACLE, _CASES, _TURNS, _CIRCULAR_LOSS, _CIRCULAR_ORACLE, _CIRCULAR_CASES = re.findall(
    r"```python\n(.*?)```", _TEXT, re.DOTALL
)


def _module(name: str, code: str, **given: object) -> types.ModuleType:
    module = types.ModuleType(name)
    vars(module).update(given)
    sys.modules[name] = module  # where pickle looks for the class
    exec(compile(code, f"CONTRIBUTING.md: {name}", "exec"), vars(module))
    return module


PowerErrorLoss = _module("contributing_loss", _LOSS).PowerErrorLoss
CircularErrorLoss = _module("contributing_circular_loss", _CIRCULAR_LOSS).CircularErrorLoss
LOSSES = (PowerErrorLoss, CircularErrorLoss)
_module("contributing_oracle", _ORACLE)
_module("contributing_circular_oracle", _CIRCULAR_ORACLE)
CASES = (
    _module("contributing_cases", _CASES, PowerErrorLoss=PowerErrorLoss),
    _module("contributing_circular_cases", _CIRCULAR_CASES, CircularErrorLoss=CircularErrorLoss),
)
_module("contributing_turns", _TURNS)
