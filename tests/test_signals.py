"""A signal that comes at the worst moment: while the main thread holds the lock of the event that is to be set."""

import signal
import threading

import pytest

from ebbtide.signals import STOP, on_signals


@pytest.fixture
def kept():
    before = {number: signal.getsignal(number) for number in (*STOP, signal.SIGHUP)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_a_signal_inside_a_wait_sets_the_event_and_does_not_hang(kept):
    stop = threading.Event()
    on_signals(STOP, stop.set)
    with stop._cond:  # where `wait` is for a moment before it sleeps
        signal.raise_signal(signal.SIGTERM)
        assert not stop.is_set()
    assert stop.wait(10)


def test_each_signal_is_a_call(kept):
    came = threading.Semaphore(0)
    on_signals([signal.SIGHUP], came.release)
    for _ in range(3):
        signal.raise_signal(signal.SIGHUP)
        assert came.acquire(timeout=10)
