"""Experiment trackers, by the names of ``conf/tracker/``; ``metrics.jsonl`` is written with any of them and with none.

A tracker implements one small protocol, `Tracker`; `Tracking` writes to it and survives its errors.
"""

from foresight_cli.trackers.tracker import Tracker, settings_of
from foresight_cli.trackers.tracking import Tracking, open_tracking

__all__ = ["Tracker", "Tracking", "open_tracking", "settings_of"]
