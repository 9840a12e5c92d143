"""`python -m tests.kinds` lists the kinds of data with the losses that take them."""

from tests.kinds import KINDS
from tests.oracles import REGISTRY

for name, kind in sorted(KINDS.items()):
    losses = [loss for loss, oracle in REGISTRY.items() if oracle.takes == name]
    arguments = sorted({argument for batch in kind.batches() for argument in batch.options})
    print(f"{name!r}: {kind.description}")
    print(f"    arguments of the loss: {', '.join(arguments) or 'none'}")
    print(f"    losses: {', '.join(sorted(losses))}")
