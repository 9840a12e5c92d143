"""Which cases of the laws are tried: some of each law and loss, or all, where there is time.

pytest --cases 3   three cases of each test and loss, spread evenly, and one where each takes a second or so
                   (pytest.mark.costly); --cases 0 for all
pytest --cases 1   one case of each test and loss, and laws that the base keeps, whatever the formula is
                   (pytest.mark.of_the_base), for one loss of each kind of data alone
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from typing import Any

import pytest

# All are some 80,000. On TensorFlow each law is tried on most of them, elsewhere what depends on the backend.
DEFAULT = 2 if os.environ.get("KERAS_BACKEND", "tensorflow") == "tensorflow" else 1


def pytest_addoption(parser: pytest.Parser) -> None:
    words = f"of each test and loss, how many cases are tried; 0 for all (default: {DEFAULT})"
    parser.addoption("--cases", type=int, default=DEFAULT, help=words)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "costly: of whose cases a third are tried that --cases asks for")
    config.addinivalue_line("markers", "of_the_base: laws that do not depend on the formula of a loss")


def pytest_collection_modifyitems(config: pytest.Config, items: list[Any]) -> None:
    """Keeps cases that are spread evenly over those of each test and loss, in their order."""
    wanted = config.getoption("cases")
    if not wanted:
        return
    groups: dict[tuple[str, str], list[Any]] = {}
    kept = set()
    for item in items:
        loss = about(item)
        if loss:
            groups.setdefault((item.nodeid.split("[")[0], loss), []).append(item)
        else:
            kept.add(item)
    if wanted == 1:
        groups = dict(_of_each_kind(groups))
    for (test, loss), cases in groups.items():
        costly = cases[0].get_closest_marker("costly")
        step = -(-len(cases) // (-(-wanted // 3) if costly else wanted))
        # Each starts somewhere else, so that together they try every kind of data. Where cases are few, or
        # take long, the laws of a loss take the same: JAX compiles its shapes once, a fit serves two laws.
        start = loss if costly or wanted == 1 else repr((test, loss))
        kept |= set(cases[zlib.crc32(start.encode()) % step :: step])
    config.hook.pytest_deselected(items=[item for item in items if item not in kept])
    items[:] = [item for item in items if item in kept]


def _of_each_kind(groups: dict[tuple[str, str], list[Any]]) -> Iterator[tuple[tuple[str, str], list[Any]]]:
    from tests.contract.samples import OF_EACH_KIND

    served = {test for test, loss in groups if loss in OF_EACH_KIND}
    for (test, loss), cases in groups.items():
        if loss in OF_EACH_KIND or test not in served or not cases[0].get_closest_marker("of_the_base"):
            yield (test, loss), cases


def about(item: Any) -> str:
    """The loss that a test is about, or nothing."""
    from tests.contract.samples import LOSSES

    for value in item.callspec.params.values() if hasattr(item, "callspec") else ():
        named = (getattr(value, attribute, None) for attribute in ("loss", "__name__"))
        for name in (value, *named, type(value).__name__):
            if isinstance(name, str) and name.split("-")[0] in LOSSES:
                return name.split("-")[0]
    return ""
