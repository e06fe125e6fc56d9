"""The table of error rates."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.stats import binomtest

from benchmarks.calibration.generators import NARROW, WIDE, Scenario


def table(outcomes: Sequence[dict], scenarios: Sequence[Scenario], permutations: int, machine: str) -> str:
    """Rates by scenario and n, each with its 95 % interval (Clopper and Pearson)."""
    lines = [
        "# Calibration: how often the verdict errs",
        "",
        f"Written by `make calibration`. {machine}",
        "",
        f"Made-up sources of {WIDE} and targets of {NARROW} columns (heavy tails: 256 and 128) whose truth is known, "
        f"through the code of `foresight analyze` from the audit of duplicates on, {permutations} permutations, the "
        "shipped thresholds. The attribute criterion is waived except in the two position scenarios, so the other "
        "criteria stand alone. *Yes*: the target's R2 lies above 0.5 and no control explains it. Brackets: 95 % "
        "binomial intervals. *Dependence* and *beyond categories*: how often these permutation tests said p <= .05; "
        "where their null is true they may do so in 5 % of runs.",
        "",
        "| scenario | bridge? | n | runs | PROCEED | PIVOT | INCONCLUSIVE | mean R2 | dependence | beyond categories |",
        "|---|---|---:|---:|---|---|---|---:|---:|---:|",
    ]
    by_key: dict[tuple[str, int], list[dict]] = {}
    for outcome in outcomes:
        name, n, _ = outcome["key"]
        by_key.setdefault((name, n), []).append(outcome)
    for scenario in scenarios:
        for n in sorted(n for name, n in by_key if name == scenario.name):
            found = by_key[scenario.name, n]
            answers = [outcome["answer"] for outcome in found]
            r2 = np.nanmean([outcome["r2"] for outcome in found]) if set(answers) != {"refused"} else float("nan")
            cells = [_rate(answers.count(word), len(found)) for word in ("PROCEED", "PIVOT", "INCONCLUSIVE")]
            if "refused" in answers:
                cells[2] += f", refused {answers.count('refused') / len(found):.0%}"
            tests = [f"{np.mean([outcome[key] for outcome in found]):.1%}" for key in ("dependence", "within")]
            shown = "not measured" if np.isnan(r2) else f"{r2:.3f}"
            lines.append(
                " | ".join([f"| {scenario.name}", scenario.truth, f"{n}", f"{len(found)}", *cells, shown, *tests])
                + " |"
            )
    return "\n".join([*lines, "", *_summary(outcomes, scenarios), ""])


def _summary(outcomes: Sequence[dict], scenarios: Sequence[Scenario]) -> list[str]:
    truth = {scenario.name: scenario.truth for scenario in scenarios}
    nulls = [outcome for outcome in outcomes if truth[outcome["key"][0]] == "no"]
    bridges = [outcome for outcome in outcomes if truth[outcome["key"][0]] == "yes"]
    wrong = sum(outcome["answer"] == "PROCEED" for outcome in nulls)
    lost = sum(outcome["answer"] == "PIVOT" for outcome in bridges)
    return [
        f"Over all {len(nulls)} runs without a bridge, PROCEED was said {wrong} times: {_rate(wrong, len(nulls))}. "
        f"Over all {len(bridges)} runs with one, PIVOT was said {lost} times: {_rate(lost, len(bridges))}."
    ]


def _rate(count: int, runs: int) -> str:
    interval = binomtest(count, runs).proportion_ci(method="exact")
    return f"{count / runs:.1%} [{interval.low:.1%}, {interval.high:.1%}]"
