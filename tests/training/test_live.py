import io
import logging

import pytest
from rich.console import Console

from foresight_cli.training import live
from foresight_cli.training.checkpoint import Epoch
from foresight_cli.training.live import LiveTraining, curve


def epochs(*losses):
    return [Epoch(number, loss + 0.1, loss, 1e-3) for number, loss in enumerate(losses, 1)]


@pytest.mark.parametrize(
    ("losses", "bars"),
    [([1.0], "▁"), ([1.0, 0.0, 0.5], "█▁▅"), ([0.3, 0.3], "▁▁"), ([float(i) for i in range(80)], None)],
)
def test_the_curve_goes_from_the_lowest_to_the_highest(losses, bars):
    drawn = curve(losses)
    assert len(drawn) <= live.WIDTH
    assert bars is None or drawn == bars


def test_on_a_terminal_each_epoch_is_shown_and_then_erased(monkeypatch):
    written = io.StringIO()
    monkeypatch.setattr(live, "Console", lambda stderr: Console(file=written, force_terminal=True, width=200))
    with LiveTraining(9) as shown:
        for epoch in epochs(1.0, 0.5, 0.7):
            shown.on_epoch("seed-0", epoch)
    assert "seed-0: epoch 3 of at most 9, loss 0.800, validation 0.700, best 0.500 at 2  █▁▄" in written.getvalue()
    assert written.getvalue().endswith("\x1b[2K\x1b[?25h") or "\x1b[2K" in written.getvalue().rpartition("seed-0")[2]


def test_without_a_terminal_a_line_from_time_to_time(monkeypatch, caplog):
    now = [0.0]
    monkeypatch.setattr(live.time, "monotonic", lambda: now[0])
    caplog.set_level(logging.INFO)
    with LiveTraining(9) as shown:
        for epoch in epochs(1.0, 0.5, 0.7):
            now[0] += 20
            shown.on_epoch("seed-0", epoch)
    assert caplog.messages == ["seed-0: epoch 2 of at most 9, loss 0.600, validation 0.500, best 0.500 at 2"]
