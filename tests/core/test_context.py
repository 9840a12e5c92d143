"""The context in which a model computes its loss: nested, after errors, and in several threads."""

import threading

import pytest
from keras import ops

from keras_losses import FocalLoss, HuberLoss
from keras_losses.core import context
from keras_losses.core.context import Context


def reads(number):
    return lambda: ops.convert_to_tensor(number)


def test_the_innermost_context_holds_and_the_one_before_returns():
    loss = HuberLoss(delta=1.0)
    with context.computing(Context({loss: {"delta": reads(2.0)}})):
        assert float(loss.delta) == 2.0
        with context.computing(Context({loss: {"delta": reads(3.0)}})):
            assert float(loss.delta) == 3.0
        assert float(loss.delta) == 2.0
    assert loss.delta == 1.0


def test_an_error_restores_the_context():
    loss = HuberLoss(delta=1.0)
    with (
        pytest.raises(ZeroDivisionError),
        context.computing(Context({loss: {"delta": reads(2.0)}})),
    ):
        raise ZeroDivisionError
    assert loss.delta == 1.0
    assert context.current() == Context()


def test_a_loss_reads_what_it_follows_outside_of_a_model():
    """In the steps of a model that changes nothing about it, it has its own number."""
    loss = HuberLoss(delta=1.0)
    loss._follow("delta", reads(4.0))
    assert float(loss.delta) == 4.0
    with context.computing(Context({FocalLoss(): {}})):
        assert float(loss.delta) == 4.0
    with context.computing(Context({loss: {}})):
        assert loss.delta == 1.0
    loss._follow("delta", None)
    assert loss.delta == 1.0
    assert loss.get_config()["delta"] == 1.0


def test_threads_have_contexts_of_their_own():
    """Two threads, as replicas have them, are in their contexts at the same time."""
    loss = HuberLoss(delta=1.0)
    together = threading.Barrier(2, timeout=60)
    found = {}

    def of(number):
        before = loss.delta
        with context.computing(Context({loss: {"delta": reads(number)}})):
            together.wait()
            found[number] = (before, float(loss.delta))
            together.wait()

    threads = [threading.Thread(target=of, args=(number,)) for number in (2.0, 3.0)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {2.0: (1.0, 2.0), 3.0: (1.0, 3.0)}
    assert loss.delta == 1.0
