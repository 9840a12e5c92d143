"""What has to be settled before a backend starts."""

import os
import random
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# The suites share helpers, which they import as tests.…, whichever way pytest is started.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# Two workers on two cores: threads of PyTorch that wait for each other would take both from both.
os.environ.setdefault("OMP_NUM_THREADS", "1")
pytest_plugins = ["tests.selection"]

# How long a machine takes says nothing of a loss. JAX compiles what is drawn, so it takes longer for fewer.
_UNTIMED = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
_EXAMPLES = 2 if os.environ.get("KERAS_BACKEND") == "jax" else 12
settings.register_profile("ci", max_examples=_EXAMPLES, derandomize=True, database=None, **_UNTIMED)
settings.register_profile("long", max_examples=100 * _EXAMPLES, print_blob=True, **_UNTIMED)
settings.load_profile("ci")  # unless --hypothesis-profile names the other one


def pytest_addoption(parser: pytest.Parser) -> None:
    words = "run the thorough suite too: every case and drawn data at length, before a release or a change of the base"
    parser.addoption("--thorough", action="store_true", help=words)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselects tests marked `thorough`, unless the option asks for them."""
    if config.getoption("thorough"):
        return
    left_out = [item for item in items if item.get_closest_marker("thorough")]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if not item.get_closest_marker("thorough")]


@pytest.fixture(autouse=True)
def _same_weights() -> None:
    """Keras draws the seeds of layers from here: a test has the same weights alone and after any other."""
    random.seed(0)


def pytest_configure(config: pytest.Config) -> None:
    """Registers the marker, and lets JAX keep what it compiles, for both workers and for the next run: most of its tests' time."""
    config.addinivalue_line("markers", "thorough: runs with --thorough only")
    cache = getattr(config, "cache", None)
    if cache is None:
        return
    kept = {
        "JAX_COMPILATION_CACHE_DIR": str(cache.mkdir("jax")),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }
    for name, value in kept.items():
        os.environ.setdefault(name, value)


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Gives TensorFlow two CPU devices, so that MirroredStrategy has two replicas on one machine."""
    if os.environ.get("KERAS_BACKEND", "tensorflow") != "tensorflow" or _only_hands_out_tests(session):
        return
    import tensorflow as tf

    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)


def _only_hands_out_tests(session: pytest.Session) -> bool:
    # The controller of pytest-xdist runs no test and must not spend seconds on importing TensorFlow.
    return bool(session.config.getoption("numprocesses", 0)) and not hasattr(session.config, "workerinput")
