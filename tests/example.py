"""The loss and the oracle that CONTRIBUTING.md writes out, as a module: all laws run on them too."""

import re
import sys
import types
from pathlib import Path

_TEXT = (Path(__file__).parent.parent / "CONTRIBUTING.md").read_text(encoding="utf-8")
CODE, ORACLE = re.findall(r"```python\n(.*?)```", _TEXT, re.DOTALL)


def _module(name: str, code: str) -> types.ModuleType:
    module = types.ModuleType(name)
    sys.modules[name] = module  # where pickle looks for the class
    exec(compile(code, f"CONTRIBUTING.md: {name}", "exec"), vars(module))
    return module


loss = _module("contributing_loss", CODE).PowerErrorLoss
_module("contributing_oracle", ORACLE)
