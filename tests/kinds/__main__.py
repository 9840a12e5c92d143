"""`python -m tests.kinds` lists the kinds of data with the losses that take them."""

from tests.kinds import KINDS
from tests.oracles import REGISTRY

for name, kind in sorted(KINDS.items()):
    losses = [loss for loss, oracle in REGISTRY.items() if oracle.takes == name]
    print(f"{name!r}: {kind.description}\n    {', '.join(sorted(losses))}")
