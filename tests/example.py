"""The loss, the oracle and the values that CONTRIBUTING.md writes out, as modules: all laws run on them."""

import re
import sys
import types
from pathlib import Path

_TEXT = (Path(__file__).parent.parent / "CONTRIBUTING.md").read_text(encoding="utf-8")
CODE, ORACLE, CASES = re.findall(r"```python\n(.*?)```", _TEXT, re.DOTALL)


def _module(name: str, code: str, **given: object) -> types.ModuleType:
    module = types.ModuleType(name)
    vars(module).update(given)
    sys.modules[name] = module  # where pickle looks for the class
    exec(compile(code, f"CONTRIBUTING.md: {name}", "exec"), vars(module))
    return module


loss = _module("contributing_loss", CODE).PowerErrorLoss
_module("contributing_oracle", ORACLE)
cases = _module("contributing_cases", CASES, PowerErrorLoss=loss)
