"""FINDINGS.md for each verdict, with waived criteria and with replacements for missing data."""

import dataclasses

import pytest

from foresight_cli.reporting.figures import Drawn
from foresight_cli.reporting.findings import render_findings
from tests.reporting import example
from tests.reporting.example_verdict import open_verdict


@pytest.mark.parametrize(
    ("answer", "headline", "advice"),
    [
        ("PROCEED", "**Yes.** A small adapter can be expected to carry", "use qwen25vl layer 8 flat as the source"),
        ("PIVOT", "**No, not like this.**", "not *linearly* bridgeable"),
        (
            "INCONCLUSIVE",
            "**The data cannot settle it.**",
            "or add data; then run `foresight analyze weights=tiny` again",
        ),
    ],
)
def test_answers(answer, headline, advice):
    results, _ = example.full()
    text = render_findings(
        dataclasses.replace(results, verdict=dataclasses.replace(results.verdict, answer=answer)), [], Drawn()
    )
    assert headline in text
    assert advice in text


def test_every_criterion_passed():
    results, _ = example.full()
    passed = [c for c in results.verdict.criteria if c.outcome == "PASS"]
    results = dataclasses.replace(results, verdict=dataclasses.replace(results.verdict, criteria=passed))
    text = render_findings(results, [], Drawn())
    assert (
        "Every criterion passes. A lower bound below its threshold, on other data, would change this verdict." in text
    )


def test_an_open_verdict_says_what_was_waived_and_what_would_settle_it():
    results = dataclasses.replace(example.full()[0], verdict=open_verdict())
    text = render_findings(results, [], Drawn())
    lines = text.splitlines()
    for line in (
        "**Recommendation:** INCONCLUSIVE (attributes waived)",
        "**Held up by:** beyond controls. About 500 independent samples would decide it; you have 267.",
        "**Waived** by `verdict.*` in the config, and not part of this answer: attributes.",
        "| attributes survive | worst retention of an attribute | **not measured** |  | > 0.70 | WAIVED |  |",
    ):
        assert line in lines
    assert "- **attributes survive**" not in text  # what was waived would not change the verdict


def test_a_proceed_with_waivers_claims_no_more_than_it_may():
    results, _ = example.full()
    verdict = dataclasses.replace(results.verdict, answer="PROCEED", waived=["attributes"], criteria=[])
    text = render_findings(dataclasses.replace(results, verdict=verdict), [], Drawn())
    assert "**Recommendation:** PROCEED (attributes waived)\n" in text
    assert "every criterion that was not waived passes on its lower 95 % bound" in text
    assert "Every criterion passes that was not waived." in text


def test_attributes_of_a_companion_are_marked():
    results, _ = example.full()
    chosen = dataclasses.replace(results.chosen, companion="shapes (1000 drawings)")
    text = render_findings(dataclasses.replace(results, chosen=chosen), [], Drawn())
    sentence = "these are from the companion data **shapes (1000 drawings)**, through the same models.\n"
    assert sentence in text
    assert "companion" not in render_findings(results, [], Drawn())


def test_without_categories_rows_are_permuted_within_clusters():
    results, _ = example.full()
    chosen = dataclasses.replace(results.chosen, within_label=[])
    text = render_findings(dataclasses.replace(results, labels={}, chosen=chosen), [], Drawn())
    assert "within categories (not measured: the data has no usable categories), or within clusters" in text
    assert "| within clusters | CKA, debiased | 0.610 |" in text
    assert "| within categories |" not in text
    assert (
        "- Within categories or clusters, CKA is computed after subtracting the mean of each category or cluster\n"
        in text
    )


def test_the_choice_among_pairs_is_open():
    text = render_findings(example.decodable(), [], Drawn())
    choice = (
        "This pair was chosen among 4 of 8 pairs by its held-out R² (0.434) on rows set aside for choosing: only those "
        "with a flat target, because a pooled latent cannot be decoded. Every number below is from the 270 other rows.",
        "Among the other pairs, qwen25vl layer 8 flat → ltxv final channel_mean is the best, with a higher R² (0.563) "
        "on the same rows.",
    )
    assert "\n".join(choice) in text
    table = text.partition("| Source | Target | CKA, debiased |")[2].splitlines()[2:4]
    assert [row.split("|")[1:3] for row in table] == [
        [" **qwen25vl final channel_mean** ", " **ltxv final flat** "],
        [" qwen25vl layer 8 flat ", " ltxv final channel_mean "],
    ]


def test_the_only_pair_with_a_flat_target_was_not_chosen_by_its_score():
    results = example.decodable()
    pairs = [p for i, p in enumerate(results.pairs) if i == results.chosen.index or not i % 2]
    chosen = dataclasses.replace(results.chosen, index=pairs.index(results.chosen_pair))
    text = render_findings(dataclasses.replace(results, pairs=pairs, chosen=chosen), [], Drawn())
    assert "This is the only one of 5 pairs with a flat target: a pooled latent cannot be decoded. No choice" in text
    assert "chosen among" not in text
