import dataclasses
import io
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.console import Console

from foresight_cli.reporting.commands import adapt_command
from foresight_cli.reporting.summary import print_summary
from foresight_cli.results import Estimate
from foresight_cli.results.duplicates import Duplicates
from tests.reporting import example
from tests.reporting.example_verdict import open_verdict

REPORT = Path("outputs/report/2026-11-23/report.html")

BARE = """
  Data       36 samples, 36 independent groups (effective n), 36 rows scored
             files left alone: 21 .heic, 1 .txt

  Pair       qwen25vl final channel_mean -> ltxv final channel_mean

  Criterion         Estimate (95 %)   Bound   Threshold   Outcome
────────────────────────────────────────────────────────────────────────
  linear probe      0.560                     > 0.50      NOT MEASURED
  beyond controls   not measured                          NOT MEASURED

  Thresholds are policy (thresholds.*); bounds and p values are statistics.

  Controls   none measured

  Adapters   none trained yet

  INCONCLUSIVE

  qwen25vl -> ltxv: the data cannot settle it

  - beyond controls [not-measured]: no control was asked for

  Held up by: beyond controls. It was not measured, and more samples alone will
  not decide it.

  Report     outputs/report/2026-11-23/report.html
             beside it 5 figures, FINDINGS.md, and every number in results.yaml
  Next       foresight adapt layer=final
"""


def printed(results, adapters, *, width, terminal):
    file = io.StringIO()
    console = Console(file=file, width=width, force_terminal=terminal, color_system="256" if terminal else None)
    print_summary(results, adapters, REPORT, 5, console)
    return file.getvalue()


def test_plain_where_it_is_not_a_terminal():
    output = printed(example.bare()[0], [], width=80, terminal=False)
    assert "\x1b" not in output
    assert "\n".join(line.rstrip() for line in output.splitlines()) + "\n" == BARE


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize("kind", ["full", "bare"])
def test_no_wider_than_the_terminal(width, kind):
    output = printed(getattr(example, kind)()[0], [example.adapter()], width=width, terminal=False)
    lines = [line.rstrip() for line in output.splitlines() if "webbrowser" not in line]  # a command stays in one piece
    assert max(cell_len(line) for line in lines) <= min(width, 100)


def test_verdict_in_a_coloured_box_on_a_terminal():
    results, _ = example.full()
    output = printed(results, [example.adapter()], width=80, terminal=True)
    assert "\x1b[1;7;31m  PIVOT  " in output
    assert "╭" in output
    for answer, color in (("PROCEED", "32"), ("INCONCLUSIVE", "33"), ("OTHER", "36")):
        other = dataclasses.replace(results, verdict=dataclasses.replace(results.verdict, answer=answer))
        assert f"\x1b[1;7;{color}m  {answer}  " in printed(other, [], width=80, terminal=True)


def test_the_summary_has_every_part():
    output = printed(example.full()[0], [example.adapter()], width=100, terminal=False)
    lines = [" ".join(line.split()) for line in output.splitlines()]
    for line in (
        "Best pair qwen25vl layer 8 flat -> ltxv final channel_mean",
        "best of 8 by R² (0.563) on rows set aside for choosing",
        "such as cool gradient/0, cool gradient/1",
        "sample size 267 ≥ 100 PASS",
        "beyond controls 0.063 (0.042 to 0.084) ≥ 0.045 > 0.05 UNCLEAR control-explains:pixels",
        "attributes survive 0.237 (0.192 to 0.282) ≤ 0.286 > 0.70 FAIL spatial-retention:x,y",
        "Thresholds are policy (thresholds.*); bounds and p values are statistics.",
        "random_init 0.377 0.498 18.8 % 0.142 (0.119 to 0.165)",
        "pixels 0.482 0.702 29.1 % 0.063 (0.042 to 0.084)",
        "More rows R² 0.560 with 216 training rows",
        "with unlimited data R² might reach at most 0.729",
        "The Q1 study's rule would say PROCEED (R² 0.612, Spearman 0.684, recall@10 0.298, biased CKA",
        "x 0.930 0.220 0.237 (0.190 to 0.280)",
        "mlp 49,792 0.583 (0.544 to 0.622) tie (0.551) -0.021",
        "78 exact duplicates left out, 6 near-duplicates kept together",
        "Tiny weights: this shows the machinery, and says nothing about the real models.",
        "- attributes survive: x keeps 0.237 (0.192 to 0.282), below 0.7; lost: x, y; not judged, as the",
    ):
        assert line in lines
    assert "Next python -m webbrowser outputs/report/2026-11-23/report.html" in lines
    advice = (
        "None is worth taking: adapter=mlp (49,792), the choice on the validation rows, keeps 0.24 of x, wanted 0.70. "
        "Ridge (8,320) keeps 0.22 of x, wanted 0.70. Try another layer or pooling, or more samples."
    )
    assert advice in " ".join(lines)


def test_the_choice_among_pairs_is_open():
    output = printed(example.decodable(), [], width=100, terminal=False)
    lines = [line.strip() for line in output.splitlines()]
    at = lines.index("Best pair  qwen25vl final channel_mean -> ltxv final flat")
    assert lines[at + 1 : at + 4] == [
        "best of 4 of 8 by R² (0.434) on rows set aside for choosing: flat targets only, as no",
        "pooled latent can be decoded",
        "not a candidate, but higher: qwen25vl layer 8 flat -> ltxv final channel_mean (0.563)",
    ]


def test_the_only_pair_with_a_flat_target_was_not_chosen_by_its_score():
    results = example.decodable()
    pairs = [p for i, p in enumerate(results.pairs) if i == results.chosen.index or not i % 2]
    chosen = dataclasses.replace(results.chosen, index=pairs.index(results.chosen_pair))
    results = dataclasses.replace(results, pairs=pairs, chosen=chosen)
    output = printed(results, [], width=100, terminal=False)
    lines = [line.strip() for line in output.splitlines()]
    at = lines.index("Pair       qwen25vl final channel_mean -> ltxv final flat")
    assert lines[at + 1] == "the only one of 5 with a flat target, as no pooled latent can be decoded"
    assert "best of" not in output


def test_next_is_the_pair_of_the_verdict_if_adapters_are_of_another():
    results, adapter = example.full()[0], example.adapter()
    other = dataclasses.replace(adapter, provenance={**adapter.provenance, "keys": ["a", "b"]})
    (command,) = (x for x in printed(results, [other], width=100, terminal=False).splitlines() if "  Next" in x)
    assert command == f"  Next       {adapt_command(results)}"


def test_what_is_read_better_than_from_the_target_is_kept_fully():
    results, _ = example.full()
    size = dataclasses.replace(results.chosen.attributes[2], through_bridge=0.95, retention=Estimate(1.08, 1.02, 1.2))
    results = dataclasses.replace(results, chosen=dataclasses.replace(results.chosen, attributes=[size]))
    lines = [" ".join(line.split()) for line in printed(results, [], width=80, terminal=False).splitlines()]
    at = lines.index("size 0.880 0.950 1.000 (1.000 to 1.000), fully")
    assert lines[at + 2] == "Fully: read better through the bridge than from the target itself."


def test_an_open_verdict_says_what_was_waived_and_what_would_settle_it():
    results, _ = example.full()
    chosen = dataclasses.replace(results.chosen, companion="shapes (1000 drawings)")
    results = dataclasses.replace(results, verdict=open_verdict(), chosen=chosen)
    lines = printed(results, [], width=80, terminal=False).splitlines()
    texts = [line.strip() for line in lines]
    assert "INCONCLUSIVE (attributes waived)" in texts
    assert "Held up by: beyond controls. About 500 independent samples would decide it;" in texts
    assert "Measured on the companion data shapes (1000 drawings)." in texts
    assert "attributes survive   not measured                       > 0.70      WAIVED" in texts
    assert "  INCONCLUSIVE (attributes waived)  " in printed(results, [], width=80, terminal=True)


def test_codes_are_beside_the_reasons_if_the_table_has_no_room():
    results, _ = example.full()
    narrow, wide = (printed(results, [], width=width, terminal=False) for width in (80, 100))
    assert ("Reason code" in narrow, "Reason code" in wide) == (False, True)
    assert "- attributes survive [spatial-retention:x,y]: x keeps" in narrow
    assert "- attributes survive: x keeps" in wide


@pytest.mark.parametrize("width", [80, 100])
def test_no_cell_of_the_criteria_is_cut_or_broken(width):
    """The widest possible rows: negative intervals and the longest outcome."""
    results, _ = example.full()
    estimate = dataclasses.replace(results.verdict.criteria[5].estimate, value=-0.111, low=-0.222, high=-0.333)
    criteria = [
        dataclasses.replace(c, estimate=estimate, bound=-0.444, outcome=outcome)
        for c, outcome in zip(results.verdict.criteria[5::2], ("UNCLEAR", "FAIL"), strict=True)
    ]
    results = dataclasses.replace(results, verdict=dataclasses.replace(results.verdict, criteria=criteria))
    lines = [" ".join(line.split()) for line in printed(results, [], width=width, terminal=False).splitlines()]
    assert any(line.startswith("beyond controls -0.111 (-0.222 to -0.333) ≥ -0.444 > 0.05 UNCLEAR") for line in lines)
    assert any(line.startswith("attributes survive -0.111 (-0.222 to -0.333) ≤ -0.444 > 0.70 FAIL") for line in lines)


def test_brackets_in_names_are_no_markup():
    results, _ = example.full()
    names = {"source": "[red]a[/red]", "target": "[/]"}
    spaces = [dataclasses.replace(space, label=names[space.side]) for space in results.spaces]
    results = dataclasses.replace(results, spaces=spaces)
    assert "[red]a[/red] -> [/]: not bridgeable like this" in printed(results, [], width=80, terminal=False)


def test_adapters_of_other_pairs_are_listed_with_their_folders_in_one_piece():
    lines = ["2 for vision layer 2 cls -> ltxv final channel_mean (outputs/adapt/multirun/2026-11-30/22-29-58-705214)",
             "1 for a -> b (outputs/adapt/2026-11-30/22-30-58-705214)"]  # fmt: skip
    for adapters, words in (
        ([], "  Adapters   none for this pair; "),
        ([example.adapter()], f"{'':13}of other pairs: "),
    ):
        console = Console(file=io.StringIO(), width=80)
        print_summary(example.full()[0], adapters, REPORT, 5, console, lines)
        printed_lines = console.file.getvalue().splitlines()
        assert words + lines[0] in printed_lines
        assert f"{'':13}{lines[1]}" in printed_lines
        assert "none trained yet" not in console.file.getvalue()


def test_one_duplicate_is_one():
    alike = Duplicates(rows=1205, exact=1, near=1204, groups=3, examples=[], skipped=[])
    assert (alike.exact_words, alike.near_words) == ("1 exact duplicate", "1,204 near-duplicates")
