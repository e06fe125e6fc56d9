"""Which shard is to blame for the workers that died."""

from __future__ import annotations

from foresight_cli.extraction.ledger import DEATHS, Ledger


def test_a_shard_is_given_up_after_so_many_deaths():
    ledger = Ledger()
    assert all(ledger.begin(f"worker {i}", 38) for i in range(DEATHS))
    assert not ledger.begin("another", 38)
    said = [text for what, *(_, text) in ledger.news() if what == "log"]
    assert said == ["a worker was lost: shard 38 is done again by another"] * (DEATHS - 1)


def test_the_shard_before_is_not_to_blame():
    """It is done again each time, as its file was still being written, and each time the network lives through it."""
    ledger = Ledger()
    for i in range(DEATHS):
        assert ledger.begin(f"worker {i}", 39)
        assert ledger.begin(f"worker {i}", 38)
    assert ledger.begin("another", 39)
    assert not ledger.begin("another", 38)


def test_workers_that_end_without_a_death_are_nobodys_fault():
    ledger = Ledger()
    for number in range(100):
        assert ledger.begin("one", number)
        ledger.committed("one", number)
    assert ledger.stuck.total() == 1
    assert not [what for what, *_ in ledger.news() if what == "log"]
