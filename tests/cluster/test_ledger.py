"""The shards of dead workers, and the shard that is blamed for their deaths."""

from __future__ import annotations

from logging import WARNING

from foresight_cli.cluster.ledger import DEATHS, HANDS, Ledger

KEPT = "perhaps out of memory. What is committed is kept: run the same command again, with less"


def of(*shards: int, **settings: int) -> Ledger:
    return Ledger(shards, advice="less", **settings)


def take(ledger: Ledger, worker: str, *numbers: int) -> None:
    assert [ledger.take(worker) for _ in numbers] == list(numbers)


def failure_of(ledger: Ledger) -> str:
    return str(ledger.news().failure or "")


def test_a_dead_worker_leaves_its_shards_to_the_next():
    ledger = of(4, 5, 6, 7)
    ledger.started("1", "node-17")
    take(ledger, "1", 4, 5, 6)
    ledger.begin("1", 4)
    ledger.committed("1", 4)
    ledger.computed("1", 3)
    ledger.computed("1", 2)
    ledger.died("1", "killed by SIGKILL")
    news = ledger.news()
    assert (news.started, news.samples, news.committed) == (["node-17"], {"node-17": 5}, [("node-17", 4)])
    assert news.messages == [
        (WARNING, "worker node-17 died (killed by SIGKILL): shards 5, 6 to be done by another"),
    ]
    assert (news.failure, news.finished) == (None, False)
    take(ledger, "2", 5, 6, 7)
    assert ledger.take("2") is None
    for number in (5, 6, 7):
        ledger.committed("2", number)
    assert ledger.news().finished
    assert ledger.finished()
    ledger.died("2", "exit status 0")
    assert ledger.news().messages == [(WARNING, "worker 2 died (exit status 0)")]


def test_a_shard_is_given_up_after_several_deaths():
    ledger = of(38)
    for i in range(DEATHS):
        assert failure_of(ledger) == ""
        take(ledger, f"worker {i}", 38)
        ledger.begin(f"worker {i}", 38)
        ledger.died(f"worker {i}", "lost")
    assert failure_of(ledger) == f"3 workers died of shard 38 (the last: lost), {KEPT}"


def test_two_workers_in_all():
    ledger = of(38, deaths=2)
    for worker in "ab":
        assert failure_of(ledger) == ""
        take(ledger, worker, 38)
        ledger.begin(worker, 38)
        ledger.died(worker, "lost")
    assert failure_of(ledger) == f"2 workers died of shard 38 (the last: lost), {KEPT}"


def test_the_shard_before_is_not_given_up_and_is_named_as_a_suspect():
    """The shard is done again each time, as its file was still being written; the network survives it each time."""
    ledger = of(39, 38)
    for i in range(DEATHS):
        take(ledger, f"worker {i}", 39, 38)
        ledger.begin(f"worker {i}", 39)
        ledger.begin(f"worker {i}", 38)
        ledger.died(f"worker {i}", "lost")
    assert failure_of(ledger) == (
        f"3 workers died of shard 38 (or of reading or writing shard 39 meanwhile) (the last: lost), {KEPT}"
    )


def test_a_written_shard_is_not_a_suspect():
    ledger = of(0, 38, 1, 2)
    for i in range(DEATHS):
        worker = f"worker {i}"
        take(ledger, worker, *([0, 38] if i == 0 else [38, i]))
        ledger.begin(worker, i)
        ledger.committed(worker, i)
        ledger.begin(worker, 38)
        ledger.died(worker, "lost")
    assert failure_of(ledger) == f"3 workers died of shard 38 (the last: lost), {KEPT}"


def test_a_shard_that_kills_while_it_is_written_is_found_whatever_comes_after_it():
    ledger = of(39, *range(100, 100 + HANDS))
    for i in range(HANDS):
        assert failure_of(ledger) == ""
        worker = f"worker {i}"
        take(ledger, worker, 39)
        if i:
            take(ledger, "another", 99 + i)
            ledger.committed("another", 99 + i)
        take(ledger, worker, 100 + i)
        ledger.begin(worker, 39)
        ledger.begin(worker, 100 + i)
        ledger.died(worker, "lost")
    assert failure_of(ledger) == f"6 workers died of shard 39 (the last: lost), {KEPT}"


def test_a_shard_that_kills_while_it_is_read_or_the_model_loaded():
    ledger = of(7)
    for i in range(HANDS):
        assert failure_of(ledger) == ""
        take(ledger, f"worker {i}", 7)
        ledger.died(f"worker {i}", "lost")
    assert failure_of(ledger) == f"6 workers died of shard 7 (the last: lost), {KEPT}"


def test_a_report_that_comes_after_the_death_of_its_worker():
    ledger = of(1, 2)
    take(ledger, "late", 1)
    ledger.died("late", "lost")
    ledger.committed("late", 1)  # it was only out of reach
    ledger.committed("late", 1)
    assert ledger.news().committed == [("late", 1)]
    take(ledger, "another", 2)


def test_a_dead_worker_gets_no_shard():
    ledger = of(1, 2)
    ledger.died("late", "lost")
    assert ledger.take("late") is None
    take(ledger, "another", 1, 2)


def test_workers_that_die_before_they_take_a_shard():
    ledger = of(1, 2)
    for i in range(DEATHS):
        assert failure_of(ledger) == ""
        ledger.died(f"worker {i}", "lost")
    assert failure_of(ledger) == f"3 workers in a row died before they took a shard (the last: lost), {KEPT}"


def test_workers_that_die_early_do_not_end_the_job_while_another_has_a_shard_or_has_none_to_take():
    ledger = of(1)
    take(ledger, "busy", 1)
    for i in range(DEATHS):
        assert ledger.take(f"idle {i}") is None
        ledger.died(f"idle {i}", "lost")
    for i in range(DEATHS):
        ledger.died(f"early {i}", "lost")
    ledger.died("busy", "lost")
    assert failure_of(ledger) == ""
    take(ledger, "another", 1)


def test_the_first_failure_counts():
    ledger = of(1)
    ledger.failed(ValueError("first"))
    ledger.failed(ValueError("second"))
    assert failure_of(ledger) == "first"
