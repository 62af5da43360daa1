"""An end that was begun is not cut short."""

import signal

import pytest

from faults.ending import undisturbed


class TestUndisturbed:
    @pytest.mark.parametrize("asking", [signal.SIGINT, signal.SIGTERM])
    def test_comes_to_its_end_before_a_signal_is_heeded(self, asking: signal.Signals) -> None:
        heard: list[object] = []
        before = signal.signal(asking, lambda number, frame: heard.append(number))
        try:
            with undisturbed():
                signal.raise_signal(asking)
                signal.raise_signal(asking)
                heard.append("the end")
        finally:
            signal.signal(asking, before)

        assert heard == ["the end", asking]
