from __future__ import annotations

import os
import signal

import pytest

from assent.training.interrupt import catching_signals, raise_if_stopped, stop_requested
from assent.types.errors import Interrupted


@pytest.mark.parametrize(("number", "exit_code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_is_noted_and_told_with_what_is_saved(number: signal.Signals, exit_code: int) -> None:
    with catching_signals():
        assert not stop_requested()
        raise_if_stopped("nothing happened")
        os.kill(os.getpid(), number)
        assert stop_requested()
        with pytest.raises(Interrupted, match=f"stopped by {number.name}: step 4 is saved") as caught:
            raise_if_stopped("step 4 is saved")
        assert caught.value.exit_code == exit_code
    assert not stop_requested()


def test_a_second_signal_does_what_it_always_did() -> None:
    outside = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
    try:
        with catching_signals():
            assert signal.getsignal(signal.SIGINT) is not signal.default_int_handler
            os.kill(os.getpid(), signal.SIGINT)
            with pytest.raises(KeyboardInterrupt):
                os.kill(os.getpid(), signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, outside)


def test_the_old_handlers_come_back_after_an_error() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    with pytest.raises(RuntimeError), catching_signals():
        os.kill(os.getpid(), signal.SIGTERM)
        raise RuntimeError
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == before
    assert not stop_requested()
