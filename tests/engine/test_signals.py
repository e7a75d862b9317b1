"""Stop signals: remembered while a step runs, at once where work may be cut short."""

import os
import signal

import pytest

from pretrain.engine.signals import Interrupted, StopSignal


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1, signal.SIGINT])
def test_a_signal_is_remembered_and_what_may_be_cut_short_is(number: int) -> None:
    before = signal.getsignal(number)
    with StopSignal() as stop:
        done = []

        def work() -> None:
            with stop.interrupts():
                done.append("begun")
                os.kill(os.getpid(), number)
                done.append("after")

        with pytest.raises(Interrupted):
            work()
        assert stop.received == signal.Signals(number).name
        with pytest.raises(Interrupted):
            work()  # before it begins
        assert done == ["begun"]
    assert signal.getsignal(number) == before


def test_outside_of_such_work_nothing_is_raised() -> None:
    with StopSignal() as stop:
        with stop.interrupts():
            pass
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.received == "SIGTERM"


def test_no_handler_of_exceptions_swallows_it() -> None:
    def decoding(stop: StopSignal) -> str:
        with stop.interrupts():
            try:
                os.kill(os.getpid(), signal.SIGTERM)
            except Exception:
                return "swallowed"
        return "unnoticed"

    with StopSignal() as stop, pytest.raises(Interrupted):
        decoding(stop)
