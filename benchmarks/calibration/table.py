"""The page with the table of error rates."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.stats import binomtest

from benchmarks.calibration.generators import NARROW, WIDE, Scenario


def table(outcomes: Sequence[dict], scenarios: Sequence[Scenario], permutations: int, machine: str) -> str:
    """Return the page: rates by scenario and n, each with its 95 % interval (Clopper and Pearson)."""
    lines = [
        "# Calibration: how often the verdict is wrong",
        "",
        f"Written by `make calibration`. {machine}",
        "",
        f"Made-up sources of {WIDE} and targets of {NARROW} columns (heavy tails: 256 and 128) with a known truth, "
        f"judged by the code of `foresight analyze` from the audit of duplicates on, with {permutations} permutations "
        "and the shipped thresholds. The attribute criterion is waived except in the two position scenarios, so that "
        "only the other criteria are tested. *Yes*: the target's R2 is above 0.5 and no control explains it. Brackets: "
        "95 % binomial intervals. *Dependence* and *beyond categories*: how often these permutation tests had "
        "p <= .05; where their null is true, 5 % of runs may.",
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
            runs = by_key[scenario.name, n]
            answers = [outcome["answer"] for outcome in runs]
            r2 = np.nanmean([outcome["r2"] for outcome in runs]) if set(answers) != {"refused"} else float("nan")
            cells = [_rate(answers.count(word), len(runs)) for word in ("PROCEED", "PIVOT", "INCONCLUSIVE")]
            if "refused" in answers:
                cells[2] += f", refused {answers.count('refused') / len(runs):.0%}"
            tests = [f"{np.mean([outcome[key] for outcome in runs]):.1%}" for key in ("dependence", "within")]
            shown = "not measured" if np.isnan(r2) else f"{r2:.3f}"
            lines.append(
                " | ".join([f"| {scenario.name}", scenario.truth, f"{n}", f"{len(runs)}", *cells, shown, *tests]) + " |"
            )
    return "\n".join([*lines, "", *_summary(outcomes, scenarios), ""])


def _summary(outcomes: Sequence[dict], scenarios: Sequence[Scenario]) -> list[str]:
    truth = {scenario.name: scenario.truth for scenario in scenarios}
    nulls = [outcome for outcome in outcomes if truth[outcome["key"][0]] == "no"]
    bridges = [outcome for outcome in outcomes if truth[outcome["key"][0]] == "yes"]
    wrong = sum(outcome["answer"] == "PROCEED" for outcome in nulls)
    lost = sum(outcome["answer"] == "PIVOT" for outcome in bridges)
    return [
        f"In all {len(nulls)} runs without a bridge, the answer was PROCEED {wrong} times: {_rate(wrong, len(nulls))}. "
        f"In all {len(bridges)} runs with one, the answer was PIVOT {lost} times: {_rate(lost, len(bridges))}."
    ]


def _rate(count: int, runs: int) -> str:
    interval = binomtest(count, runs).proportion_ci(method="exact")
    return f"{count / runs:.1%} [{interval.low:.1%}, {interval.high:.1%}]"
