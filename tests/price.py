"""What each loss adds to the default suite: the processor seconds of its laws.

    python -m tests.price                 # on TensorFlow; KERAS_BACKEND=jax or torch for the others
    python -m tests.price FocalLoss       # of some losses alone

Starting a backend and what all losses share (the first trace, the first kernel) are paid for by a loss that
is not counted. Laws that are tried on one loss for each path through the base are not counted either: another
loss does not add to them. CONTRIBUTING.md says what a loss may cost.
"""

from __future__ import annotations

import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

import pytest
from rich import print
from rich.table import Table

from tests.every_loss import ONE_OF_EACH_PATH

WARM_UP = "SquaredErrorLoss"


class Prices:
    """A plugin that adds up what the tests of each loss take."""

    def __init__(self, wanted: list[str]) -> None:
        self.wanted = wanted
        self.seconds: Counter[str] = Counter()
        self.laws: Counter[str] = Counter()

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        """Keeps the laws of losses, those of the warm-up first."""
        kept = [item for item in items if self.loss(item)]
        tried: dict[str, set[str]] = defaultdict(set)
        for item in kept:
            tried[item.originalname].add(self.loss(item))
        kept = [item for item in kept if not tried[item.originalname] <= {*ONE_OF_EACH_PATH}]
        if self.wanted:
            kept = [item for item in kept if self.loss(item) in (*self.wanted, WARM_UP)]
        items[:] = sorted(kept, key=lambda item: (self.loss(item) != WARM_UP, self.loss(item)))

    def loss(self, item: Any) -> str:
        """The name of the loss that a test is about, or nothing."""
        found = item.callspec.params.get("loss", "") if hasattr(item, "callspec") else ""
        if isinstance(found, str):
            return found
        return found.__name__ if isinstance(found, type) else type(found).__name__

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_protocol(self, item: Any) -> Iterator[None]:
        began = time.process_time()
        yield
        seconds = time.process_time() - began
        self.seconds[self.loss(item)] += seconds
        self.laws[item.originalname] += seconds


def main() -> int:
    prices = Prices(sys.argv[1:])
    failed = pytest.main(["-o", "addopts=", "-q", "tests/contract"], plugins=[prices])
    del prices.seconds[WARM_UP]
    table = Table("loss", "processor seconds")
    for name, seconds in prices.seconds.most_common():
        table.add_row(name, f"{seconds:.2f}")
    of_all = sorted(prices.seconds.values())
    table.add_section()
    table.add_row("median", f"{of_all[len(of_all) // 2]:.2f}")
    table.add_row("mean", f"{sum(of_all) / len(of_all):.2f}")
    print(table)
    dearest = Table("law", "processor seconds of all these losses")
    for name, seconds in prices.laws.most_common(8):
        dearest.add_row(name, f"{seconds:.1f}")
    print(dearest)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
