import dataclasses
import io
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.console import Console

from foresight_cli.reporting.summary import print_summary

REPORT = Path("outputs/report/2026-11-23/FINDINGS.md")

BARE = """
  Data       36 samples, 36 independent groups, 36 rows scored

  Pair       qwen25vl final channel_mean -> ltxv final channel_mean

  Criterion         Estimate (95 % interval)   Threshold   Outcome
─────────────────────────────────────────────────────────────────────────
  linear probe      0.560                      > 0.50      NOT MEASURED
  beyond controls   not measured                           NOT MEASURED

  Controls   none measured

  Adapters   none trained yet

  INCONCLUSIVE

  qwen25vl -> ltxv: these data do not say

  - beyond controls: no control was asked for

  Report     outputs/report/2026-11-23/FINDINGS.md
             5 figures in figures/ beside it; every number is in results.yaml
  Next       foresight adapt layer=final
"""


def printed(results, adapters, *, width, terminal):
    file = io.StringIO()
    console = Console(file=file, width=width, force_terminal=terminal, color_system="256" if terminal else None)
    print_summary(results, adapters, REPORT, 5, console)
    return file.getvalue()


def test_plain_where_it_is_not_a_terminal(example):
    said = printed(example.bare()[0], [], width=80, terminal=False)
    assert "\x1b" not in said
    assert "\n".join(line.rstrip() for line in said.splitlines()) + "\n" == BARE


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize("kind", ["full", "bare"])
def test_no_wider_than_the_terminal(example, width, kind):
    said = printed(getattr(example, kind)()[0], [example.adapter()], width=width, terminal=False)
    assert max(cell_len(line.rstrip()) for line in said.splitlines()) <= min(width, 100)


def test_verdict_in_a_coloured_box_on_a_terminal(example):
    results, _ = example.full()
    said = printed(results, [example.adapter()], width=80, terminal=True)
    assert "\x1b[1;7;31m  PIVOT  " in said
    assert "╭" in said
    for answer, color in (("PROCEED", "32"), ("INCONCLUSIVE", "33"), ("OTHER", "36")):
        other = dataclasses.replace(results, verdict=dataclasses.replace(results.verdict, answer=answer))
        assert f"\x1b[1;7;{color}m  {answer}  " in printed(other, [], width=80, terminal=True)


def test_what_a_user_wants_to_know_is_said(example):
    said = printed(example.full()[0], [example.adapter()], width=100, terminal=False)
    lines = [" ".join(line.split()) for line in said.splitlines()]
    for line in (
        "Best pair qwen25vl layer 8 flat -> ltxv final channel_mean",
        "of 8, chosen on rows set aside for it",
        "sample size 267 ≥ 100 PASS",
        "attributes survive 0.237 (0.190 to 0.280) > 0.70 FAIL",
        "pixels 0.482 0.702 29.1 % 0.063 (0.042 to 0.082)",
        "x 0.930 0.220 0.237 (0.190 to 0.280)",
        "mlp 49,792 0.583 0.551 -0.004 -0.021",
        "78 exact duplicates left out, 6 near-duplicates kept together",
        "Tiny weights: this shows the machinery, and says nothing about the real models.",
        "- attributes survive: x keeps 0.237 (0.190 to 0.280) lies below 0.7; lost: x, y",
    ):
        assert line in lines
    assert not any(line.startswith("Next") for line in lines)


def test_brackets_in_names_are_no_markup(example):
    results, _ = example.full()
    results = dataclasses.replace(results, source="[red]a[/red]", target="[/]")
    assert "[red]a[/red] -> [/]: not bridgeable like this" in printed(results, [], width=80, terminal=False)
