"""Fails unless a wheel holds the package, its callbacks, and nothing else."""

import sys
import zipfile
from pathlib import Path

root = Path(__file__).parent.parent
expected = {f"keras_losses/{path.name}" for path in (root / "keras_losses").glob("*.py")}
expected |= {f"keras_losses/callbacks/{path.name}" for path in (root / "callbacks").glob("*.py")}
expected |= {"keras_losses/py.typed"}
names = set(zipfile.ZipFile(sys.argv[1]).namelist())
found = {name for name in names if ".dist-info/" not in name}
if found != expected:
    sys.exit(f"wheel: missing {sorted(expected - found)}, not wanted {sorted(found - expected)}")
if not any(name.endswith("licenses/LICENSE") for name in names):
    sys.exit("wheel: the licence is missing")
print(f"{Path(sys.argv[1]).name}: {len(found)} files, as they should be")
