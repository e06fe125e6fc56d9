import dataclasses
import re
from pathlib import Path

import pytest

import foresight_cli.reporting
from foresight_cli.reporting.captions import caption
from foresight_cli.reporting.derived import derived
from foresight_cli.reporting.figures import Drawn, catalogue
from foresight_cli.reporting.findings import render_findings
from foresight_cli.reporting.traced import Numbers
from foresight_cli.results import Estimate, load_results, save_results
from tests.reporting import example


def leaves(value):
    if dataclasses.is_dataclass(value):
        value = dataclasses.asdict(value)
    if isinstance(value, dict):
        value = [*value, *value.values()]
    if isinstance(value, list | tuple):
        return [leaf for item in value for leaf in leaves(item)]
    return [value]


def numbers(text):
    return set(re.findall(r"\d+(?:,\d{3})*(?:\.\d+)?(?:e-\d+)?", text))


def cells(line):
    return len(re.findall(r"(?<!\\)\|", line)) - 1


def tables(text):
    """Return each table as a list of its lines."""
    prose = re.sub(r"^(`{3,}).*?^\1$", "", text, flags=re.MULTILINE | re.DOTALL)
    return [table.splitlines() for table in re.findall(r"(?:^\|.*\n)+", prose, flags=re.MULTILINE)]


@pytest.fixture(params=["full", "bare"])
def report(request, tmp_path):
    """Return results read back from results.yaml, adapters, the text, and the numbers written into it."""
    results, _ = getattr(example, request.param)()
    save_results(results, tmp_path / "results.yaml")
    results = load_results(tmp_path / "results.yaml")
    adapters = [example.adapter(), example.adapter("linear", r2=0.551)] if request.param == "full" else []
    kept = Numbers()
    drawn = Drawn(list(catalogue(results)), {"neighborhood_examples": "the pictures could not be opened again"})
    drawn.names.remove("neighborhood_examples")
    return results, adapters, render_findings(results, adapters, drawn, kept), kept


def test_every_number_is_a_leaf_of_the_results_or_derived(report):
    results, adapters, text, kept = report
    values = [
        v for v in (*leaves(results), *leaves(adapters), *derived(results).values()) if isinstance(v, int | float)
    ]
    assert len(kept.written) > 50
    for value, piece in kept.written:
        assert value in values, (value, piece)
        assert piece in text


def test_no_number_comes_from_elsewhere(report):
    results, adapters, text, kept = report
    folder = Path(foresight_cli.reporting.__file__).parent
    literal = "".join(path.read_text(encoding="utf-8") for path in folder.glob("*.j2"))
    captions = " ".join(caption(name) for name in catalogue(results))
    words = " ".join(str(v) for v in leaves([results, adapters]) if isinstance(v, str))
    allowed = numbers(" ".join([literal, captions, words, *catalogue(results), *(piece for _, piece in kept.written)]))
    prose = re.sub(r"^(`{3,}).*?^\1$", "", text, flags=re.MULTILINE | re.DOTALL)
    assert numbers(prose) - allowed == set()


def test_a_number_without_a_filter_is_refused():
    results, _ = example.bare()
    numbered = [dataclasses.replace(space, label=3) for space in results.spaces]
    with pytest.raises(TypeError, match="a number goes through a filter"):
        render_findings(dataclasses.replace(results, spaces=numbered), [], Drawn())


def test_tables_are_whole(report):
    markdown_tables = tables(report[2])
    assert len(markdown_tables) >= 3
    for table in markdown_tables:
        assert {cells(line) for line in table} == {cells(table[0])}


def test_shape_of_the_study(report):
    headings = re.findall(r"^#+ .*", report[2], flags=re.MULTILINE)
    for wanted in (
        "## The Question",
        "## The Answer",
        "## Key Results",
        "### What would change this verdict",
        "### More than chance, more than categories",
        "### Scores of trivial representations",
        "### The answer of the Q1 study's rule",
        "## Sub-experiment Summaries",
        "### E-Q1.1: Clusters in the source",
        "### E-Q1.2: Clusters in the target",
        "### E-Q1.3: Intrinsic Dimensionality",
        "### E-Q1.4: Linear Probing",
        "### E-Q1.5: Semantic Similarity Preservation",
        "### E-Q1.6: Neighborhood Analysis",
        "### E-Q1.7: CKA Analysis",
        "## What survives the bridge",
        "## Trained adapters",
        "## Implications for Architecture",
        "## Data",
        "## Figures that were not drawn",
        "## Provenance",
    ):
        assert wanted in headings
    for section in re.split(r"^### E-", report[2], flags=re.MULTILINE)[1:]:
        assert section.splitlines()[1].startswith("**Finding:** ")
    assert "\n\n\n\n" not in report[2]


def test_figures_are_embedded_once_and_those_left_out_are_named():
    results, _ = example.full()
    drawn = Drawn(["source_tsne_layer_8", "source_tsne_layer_final", "cka_heatmap"], {"cka_layer_curve": "why | not"})
    text = render_findings(results, [], drawn)
    assert re.findall(r"!\[.*?\]\((.*?)\)", text) == ["figures/source_tsne_layer_8.png", "figures/cka_heatmap.png"]
    assert "Other layers: [source_tsne_layer_final](figures/source_tsne_layer_final.png)" in text
    assert "| cka_layer_curve | why \\| not |" in text


def test_lines_that_matter():
    text = render_findings(example.full()[0], [example.adapter()], Drawn())
    lines = text.splitlines()
    assert lines[:5] == [
        "# qwen25vl to ltxv: Latent Space Alignment - Findings",
        "",
        "**Status:** Completed",
        "**Recommendation:** PIVOT",
        "",
    ]
    for line in (
        "| sample size | independent groups of samples | **267** |  | ≥ 100 | PASS |  |",
        "| pairing | debiased CKA left | **0.012** |  | ≤ 0.30 | PASS |  |",
        "| dependence | permutation test, p value | **p = 0.001** |  | ≤ 0.05 | PASS |  |",
        "| linear probe | held-out R2, source to target | **0.560 (0.538 to 0.582)** | ≥ 0.542 | > 0.50 | PASS |  |",
        "| beyond controls | R2 that the source adds to the hardest control | **0.063 (0.042 to 0.084)** | ≥ 0.045 "
        "| > 0.05 | UNCLEAR | control-explains:pixels |",
        "| attributes survive | worst retention of an attribute | **0.237 (0.192 to 0.282)** | ≤ 0.286 | > 0.70 | FAIL "
        "| spatial-retention:x,y |",
        "The Q1 study's own rule would say **PROCEED**; its numbers are below.",
        "| freely | CKA, debiased | 0.610 | 0.001 | 0.012 | 0.001 | 0.001 | 0.602 |",
        "| within categories | Neighbour recall@10 | 0.268 | 0.037 | 0.006 | 0.001 | 0.004 | 0.232 |",
        "| qwen25vl layer 8 channel_mean | ltxv final flat | Spearman \N{GREEK SMALL LETTER RHO} of distances | 0.684 "
        "| -0.002 | 0.031 | 0.001 | 0.001 | 0.667 |",
        "- Within categories or clusters, CKA is computed after subtracting the mean of each category or cluster",
        "- If the source explained a share of 0.50 of the target, these tests would detect it with probability 99 %",
        "- More rows: with unlimited data R² might reach at most 0.729",
        "- R² of the median sample: 0.530 (0.505 to 0.555); R² with whole neighbourhoods of both spaces held out: "
        "0.510 (0.480 to 0.540)",
        "| 216 | 0.560 | 0.800 |",
        "| pixels | 0.482 | 0.702 | 0.655 | 29.1 % | 0.063 (0.042 to 0.084) |",
        "| random_init | 0.377 | 0.498 | 0.561 | 18.8 % | 0.142 (0.119 to 0.165) |",
        "- CKA, biased: 0.702 (its threshold: 0.400)",
        "| hue | 0.310 | 0.210 | 0.110 | not judged: lower bound in the target, 0.162, below 0.300 |",
        "| mlp | qwen25vl layer 8 channel_mean | ltxv final channel_mean | mlp | 49,792 "
        "| 0.583 (0.544 to 0.622) | 0.792 | 0.304 |  |",
        "- 354 samples, 78 exact duplicates left out (22.0 %), 6 near-duplicates kept together: 267 independent "
        "groups, the effective n",
        "- Alike: cool gradient/0, cool gradient/1",
        "  - broken.png: not an image",
        "- Left alone, files that foresight does not read here: 21 .heic, 1 .txt",
    ):
        assert line in lines
    assert "\n> **Tiny weights.** These numbers come from two small checkpoints trained on drawn shapes" in text
    assert "too close to 0.05 to call. About 500 independent samples would decide it." in text
    assert "**Held up by:**" not in text
    assert "**Waived**" not in text


def test_a_bare_analysis_says_what_is_missing():
    text = render_findings(example.bare()[0], [], Drawn())
    for part in (
        "**The data cannot settle it.** For qwen25vl final channel_mean to ltxv final channel_mean, something required",
        "| beyond controls | R2 added | **not measured** |  |  | NOT MEASURED | not-measured |",
        "**Held up by:** beyond controls. It was not measured, and more samples alone will not decide it.",
        "- More rows: too few samples for a learning curve that shows whether more would raise R²",
        "No control was measured, so nothing here shows that the source is better than plain pixels.",
        "Its four numbers were not measured.",
        "**Finding:** not measured: the data has no categories.",
        "No permutation test was made.",
        'No attribute was measured; the criterion "attributes survive" gives the reason.',
        "```bash\nforesight adapt layer=final\n```",
        "2. **Adapter**: no size is advised, since no adapter was trained.",
        "then run `foresight analyze` again.",
    ):
        assert part in text
    assert "Tiny weights" not in text
    assert "None" not in text
    assert re.search(r"\bnan\b", text) is None


def test_an_adapter_that_gains_nothing_is_called_so():
    def kept(attributes):
        return [dataclasses.replace(attribute, retention=Estimate.of(0.8, 0.01)) for attribute in attributes]

    adapter = example.adapter(r2=0.5)
    lossy = render_findings(example.full()[0], [adapter], Drawn())
    assert (
        "2. **Adapter**: None is worth taking: adapter=mlp (49,792), the choice on the validation rows, keeps 0.24 of "
        "x, wanted 0.70. Ridge (8,320) keeps 0.22 of x, wanted 0.70. Try another layer or pooling, or more samples.\n"
    ) in lossy
    shares = {name: kept(getattr(adapter, name)) for name in ("attributes", "attributes_ridge")}
    adapter = dataclasses.replace(adapter, **shares)
    text = render_findings(example.full()[0], [adapter], Drawn())
    decision = (
        "Take adapter=linear (ridge, 8,320 parameters): adapter=mlp (49,792), the choice on the validation rows, is "
        "worse than ridge (8,320 parameters) on the test rows: it adds -0.051 (-0.090 to -0.012) of R²."
    )
    assert f"2. **Adapter**: {decision}\n" in text
    command = "foresight adapt weights=tiny layer=8 source.pooling=flat adapter=linear"
    assert f"\n{decision}\n\n```bash\n{command}\n```\n" in text
    alone = dataclasses.replace(adapter, scores=adapter.scores[:2])
    best = "2. **Adapter**: Take adapter=mlp (49,792 parameters): the best validation R².\n"
    assert best in render_findings(example.full()[0], [alone], Drawn())


def test_what_an_adapter_keeps_is_compared_to_ridge():
    adapter = dataclasses.replace(example.adapter(), r2_per_component=[0.91, 0.43] + [0.0] * 8)
    text = render_findings(example.full()[0], [adapter], Drawn())
    runs = (
        "- mlp: R² 0.744 on its training rows; 160 train, 54 val, 54 test rows; retrieval@10 by chance 0.185; "
        "2 training runs, R² 0.583, 0.571"
    )
    parts = (
        "  - R² by principal component of the target, the largest first: "
        "0.91, 0.43, 0.00, 0.00, 0.00, 0.00, 0.00, 0.00 ...",
        "  - x: keeps 0.239 (0.190 to 0.281); ridge keeps 0.216 (0.170 to 0.260): tie, R² 0.020 (-0.010 to 0.050)",
    )
    assert "\n".join(f"{line}." for line in (runs, *parts)) in text
    noisy = dataclasses.replace(adapter, noise_from="jpeg", noise_ceiling=0.97)
    ceiling = f"{runs}; the target after jpeg predicts itself with R² 0.970, the ceiling.\n"
    assert ceiling in render_findings(example.full()[0], [noisy], Drawn())


NASTY = "a|b\n# <script>`*_x_*[y](z)``` $m$ \\"


def test_names_of_others_break_no_table_and_make_no_markup():
    results, _ = example.full()
    spaces = [dataclasses.replace(s, model=NASTY, pooling="p|q") for s in results.spaces]
    criteria = [dataclasses.replace(c, name=NASTY, measures=NASTY, reason=NASTY) for c in results.verdict.criteria]
    chosen = dataclasses.replace(
        results.chosen, attributes=[dataclasses.replace(a, name=NASTY) for a in results.chosen.attributes]
    )
    results = dataclasses.replace(
        results,
        source=NASTY,
        target=NASTY,
        spaces=spaces,
        chosen=chosen,
        labels={NASTY: 3},
        controls=[dataclasses.replace(c, name=NASTY) for c in results.controls],
        duplicates=dataclasses.replace(results.duplicates, examples=[[NASTY, NASTY]], skipped=[[NASTY, NASTY]]),
        verdict=dataclasses.replace(
            results.verdict,
            reasons=[NASTY],
            criteria=criteria,
            study_values={NASTY: 0.5},
            study_thresholds={NASTY: 0.25},
        ),
        warnings=[NASTY],
        data={"path": NASTY, "``````": 1},
        provenance={"date": NASTY},
    )
    text = render_findings(results, [example.adapter(NASTY, NASTY, NASTY)], Drawn([], {"x": NASTY}))
    for table in tables(text):
        assert {cells(line) for line in table} == {cells(table[0])}
    prose = re.sub(r"^(`{3,}).*?^\1$", "", text, flags=re.MULTILINE | re.DOTALL)
    assert "<script>" not in prose
    assert "\n# " not in prose
    assert "a\\|b # &lt;script&gt;\\`\\*\\_x\\_\\*\\[y\\](z)\\`\\`\\` \\$m\\$ \\\\" in prose


def test_long_lists_are_cut():
    results, _ = example.full()
    duplicates = dataclasses.replace(
        results.duplicates,
        examples=[[f"s{i}" for i in range(9)]] * 9,
        skipped=[[f"f{i}", "broken"] for i in range(30)],
    )
    results = dataclasses.replace(results, duplicates=duplicates, provenance={"entries": [f"e{i}" for i in range(20)]})
    text = render_findings(results, [], Drawn())
    assert text.count("- Alike: s0, s1, s2, s3, s4, s5 ...") == 5
    assert "- Samples that could not be used and were left out: 30" in text
    assert "  - f19: broken\n  - and more: see `results.yaml`" in text
    assert "- e11\n- '... and 8 more'\n" in text
