"""The shard that is blamed for dead workers."""

from __future__ import annotations

from foresight_cli.cluster.ledger import DEATHS, HANDS, Ledger


def taken(ledger: Ledger, worker: str, *numbers: int) -> None:
    assert [ledger.take(worker, number) for number in numbers] == [(False, "")] * len(numbers)


def test_a_shard_is_given_up_after_several_deaths():
    ledger = Ledger()
    for i in range(DEATHS):
        taken(ledger, f"worker {i}", 38)
        assert ledger.begin(f"worker {i}", 38) == ""
    taken(ledger, "another", 38)
    assert ledger.begin("another", 38) == "shard 38"
    messages = [text for what, *(_, text) in ledger.news() if what == "log"]
    assert messages == ["a worker was lost: shard 38 is done again by another"] * (DEATHS - 1)


def test_the_shard_before_is_not_given_up_and_is_named_as_a_suspect():
    """The shard is done again each time, as its file was still being written; the network survives it each time."""
    ledger = Ledger()
    for i in range(DEATHS):
        taken(ledger, f"worker {i}", 39, 38)
        assert ledger.begin(f"worker {i}", 39) == ""
        assert ledger.begin(f"worker {i}", 38) == ""
    taken(ledger, "another", 39, 38)
    assert ledger.begin("another", 39) == ""
    assert ledger.begin("another", 38) == "shard 38 (or of reading or writing shard 39 meanwhile)"


def test_a_written_shard_is_not_a_suspect():
    ledger = Ledger()
    for i in range(DEATHS):
        taken(ledger, f"worker {i}", i, 38)
        assert ledger.begin(f"worker {i}", i) == ""
        ledger.committed(f"worker {i}", i)
        assert ledger.begin(f"worker {i}", 38) == ""
    taken(ledger, "another", 38, 50)
    assert ledger.begin("another", 38) == "shard 38"


def test_a_shard_that_kills_while_it_is_written_is_found_whatever_comes_after_it():
    ledger = Ledger()
    for i in range(HANDS):
        taken(ledger, f"worker {i}", 39, 100 + i)
        assert ledger.begin(f"worker {i}", 39) == ""
        assert ledger.begin(f"worker {i}", 100 + i) == ""
    assert ledger.take("another", 39) == (False, "shard 39")


def test_a_shard_that_kills_while_it_is_read_is_never_begun():
    ledger = Ledger()
    for i in range(HANDS):
        taken(ledger, f"worker {i}", 7)
    assert ledger.take("another", 7) == (False, "shard 7")


def test_workers_that_end_without_a_death_are_nobodys_fault():
    ledger = Ledger()
    for number in range(100):
        taken(ledger, "one", number)
        assert ledger.begin("one", number) == ""
        ledger.committed("one", number)
        assert ledger.take("another", number) == (True, "")
    assert ledger.stuck.total() == 1
    assert not ledger.in_hand["one"]
    assert not [what for what, *_ in ledger.news() if what == "log"]
