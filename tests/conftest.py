"""What has to be settled before a backend starts."""

import gc
import os
import random
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# The suites share helpers, which they import as tests.…, whichever way pytest is started.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from tests import thorough

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# Two workers on two cores: threads of PyTorch that wait for each other would take both from both.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# How long a machine takes says nothing of a loss.
_UNTIMED = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("default", max_examples=8, derandomize=True, database=None, **_UNTIMED)
settings.register_profile("few", max_examples=2, derandomize=True, database=None, **_UNTIMED)
settings.register_profile("thorough", max_examples=500, print_blob=True, **_UNTIMED)


def pytest_addoption(parser: pytest.Parser) -> None:
    words = "everything, and drawn data at length: for a release, or a change of what all losses share"
    parser.addoption("--thorough", action="store_true", help=words)
    words = "two cases of each loss, as on JAX: for a run beside another one that tries all of them"
    parser.addoption("--few-cases", action="store_true", help=words)


def pytest_configure(config: pytest.Config) -> None:
    """Settles how much is tried, which decides what the tests are parametrised with."""
    config.addinivalue_line("markers", "thorough: runs with --thorough only")
    thorough.ASKED = config.getoption("thorough")
    thorough.FEW = thorough.FEW or config.getoption("few_cases")
    settings.load_profile("thorough" if thorough.ASKED else "few" if thorough.FEW else "default")
    _share_what_jax_compiles(config)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves out what is thorough, and gives what shares results to one worker."""
    if not thorough.ASKED:
        left_out = [item for item in items if item.get_closest_marker("thorough")]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if not item.get_closest_marker("thorough")]
    for item in items:
        # All laws of a loss, which evaluate its cases once; elsewhere all tests of a file.
        loss = item.callspec.params.get("loss") if hasattr(item, "callspec") else None
        group = loss if isinstance(loss, str) else item.nodeid.split("::")[0]
        item.add_marker(pytest.mark.xdist_group(group))


def pytest_collection_finish(session: pytest.Session) -> None:
    """Takes what is imported by now out of garbage collection, so that collections are cheap and frequent.

    A fit that is stopped leaves iterators of TensorFlow in a circle. To free those of a whole suite at once
    took up to 34 s.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _same_weights() -> None:
    """Keras draws the seeds of layers from here: a test has the same weights alone and after any other."""
    random.seed(0)


def _share_what_jax_compiles(config: pytest.Config) -> None:
    """Keeps it for both workers and for the next run: most of the time of the tests on JAX."""
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
