"""Fails unless a wheel holds the package, its callbacks, and nothing else."""

import sys
import zipfile
from pathlib import Path

root = Path(__file__).parent.parent
expected = {"keras_losses/py.typed"}
for folder, package in (("keras_losses", "keras_losses"), ("callbacks", "keras_losses/callbacks")):
    files = (path.relative_to(root / folder) for path in (root / folder).rglob("*.py"))
    expected |= {f"{package}/{path.as_posix()}" for path in files}
names = set(zipfile.ZipFile(sys.argv[1]).namelist())
found = {name for name in names if ".dist-info/" not in name}
if found != expected:
    sys.exit(f"wheel: missing {sorted(expected - found)}, not wanted {sorted(found - expected)}")
if not any(name.endswith("licenses/LICENSE") for name in names):
    sys.exit("wheel: the licence is missing")
print(f"{Path(sys.argv[1]).name}: {len(found)} files, as they should be")
