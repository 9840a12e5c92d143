"""The losses, oracles, values and the kind of data that CONTRIBUTING.md writes out: all laws run on them."""

import re
import sys
import types
from pathlib import Path

_TEXT = (Path(__file__).parent.parent / "CONTRIBUTING.md").read_text(encoding="utf-8")
_LOSS, _ORACLE, _CASES, _ANGLES, _ANGULAR_LOSS, _ANGULAR_ORACLE, _ANGULAR_CASES = re.findall(
    r"```python\n(.*?)```", _TEXT, re.DOTALL
)


def _module(name: str, code: str, **given: object) -> types.ModuleType:
    module = types.ModuleType(name)
    vars(module).update(given)
    sys.modules[name] = module  # where pickle looks for the class
    exec(compile(code, f"CONTRIBUTING.md: {name}", "exec"), vars(module))
    return module


PowerErrorLoss = _module("contributing_loss", _LOSS).PowerErrorLoss
AngularErrorLoss = _module("contributing_angular_loss", _ANGULAR_LOSS).AngularErrorLoss
LOSSES = (PowerErrorLoss, AngularErrorLoss)
_module("contributing_oracle", _ORACLE)
_module("contributing_angular_oracle", _ANGULAR_ORACLE)
CASES = (
    _module("contributing_cases", _CASES, PowerErrorLoss=PowerErrorLoss),
    _module("contributing_angular_cases", _ANGULAR_CASES, AngularErrorLoss=AngularErrorLoss),
)
_module("contributing_angles", _ANGLES)
