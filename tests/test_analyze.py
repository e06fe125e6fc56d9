"""The whole analysis on spaces with a known answer."""

import re
from pathlib import Path

import numpy as np
import pytest

from foresight_cli.results import load_arrays, load_results
from tests.commands import typed


def newest(folder: Path, name: str) -> Path:
    return max(folder.glob(f"outputs/*/*/*/{name}"), key=lambda p: p.stat().st_mtime)


@pytest.fixture
def shapes(run, tmp_path):
    data = ("data.per_category=20", "data.size=64")
    typed(run, "extract", "model=pixels", "pooling=all", "model.resolution=16", *data)
    typed(run, "extract", "model=histogram", *data)
    typed(run, "analyze", "source=histogram", "target=pixels", "target.model.resolution=16", "permutations=19")
    return tmp_path


@pytest.mark.slow
def test_a_histogram_passes_the_study_and_not_foresight(run, tmp_path):
    """Oracle U: on the study's own drawings, a space without positions passes all four of its gates."""
    data = ("data.variant=q1", "data.per_category=50")
    typed(run, "extract", "model=pixels", "pooling=flat", *data)
    typed(run, "extract", "model=histogram", "pooling=flat", *data)
    typed(run, "analyze", "source=histogram", "target=pixels", "permutations=19")
    results = load_results(newest(tmp_path, "results.yaml"))
    assert results.verdict.study_answer == "PROCEED"
    assert results.duplicates.exact == 98
    assert results.rows == 352
    lost = {a.name: a for a in results.chosen.attributes}
    assert lost["x"].from_target > 0.5
    assert lost["x"].through_bridge < 0.1
    assert any("lost: x, y" in reason for reason in results.verdict.reasons)
    assert results.verdict.answer == "INCONCLUSIVE"  # one seed gives one picture of each category, so 52 groups remain
    assert results.verdict.limiting == "sample size"
    assert results.verdict.criteria[-1].code == "spatial-retention:x,y"
    # Two of the study's four numbers do not depend on tie-breaking; computed by separate code on the same drawings.
    assert results.verdict.study_values["cka"] == pytest.approx(0.86, abs=0.02)
    assert results.verdict.study_values["spearman"] == pytest.approx(0.80, abs=0.02)


def test_every_number_is_read_back_as_it_was_written(shapes):
    path = newest(shapes, "results.yaml")
    results = load_results(path)
    assert [s.name for s in results.spaces] == [
        "histogram final channel_mean",
        "pixels final channel_mean",
        "pixels final flat",
    ]
    assert len(results.pairs) == 2
    assert all(pair.selection_r2 is not None for pair in results.pairs)
    assert results.labels == {name: count for name, count in results.labels.items() if count > 0}
    assert sum(results.labels.values()) == results.rows
    controls = ["pixels", "histogram", "mean_rgb", "random_network", "label", "all_controls"]
    assert [c.name for c in results.controls] == controls
    for tests in (*(pair.tests for pair in results.pairs), results.chosen.within_label):
        assert [test.measure for test in tests] == ["cka", "spearman", "recall"]
        assert all(0.05 <= test.p_value <= test.p_corrected <= 1 for test in tests)  # of 19 permutations
    assert {test.measure: test.value for test in results.chosen_pair.tests} == pytest.approx(
        {
            "cka": results.chosen_pair.cka.value,
            "spearman": results.chosen_pair.spearman.value,
            "recall": results.chosen_pair.neighborhood[0].recall.value,
        }
    )
    curve = results.chosen.learning_curve
    assert curve[-1].r2 == results.chosen_pair.r2.value <= results.chosen.r2_limit
    assert results.chosen.companion is None
    assert {a.name for a in results.chosen.attributes} == {"x", "y", "size", "hue"}
    assert results.provenance["command"].startswith("foresight analyze source=histogram target=pixels")
    text = path.read_text()
    assert "low: null\n" in text  # only one of the two pairs has an interval for Spearman
    assert re.search(r"(: |- )not measured$", text, re.MULTILINE) is None


def test_the_arrays_fit_the_results(shapes):
    results = load_results(newest(shapes, "results.yaml"))
    arrays = load_arrays(newest(shapes, "figures.safetensors"))
    n = results.rows
    assert arrays["label"].shape == (n,)
    assert arrays["tsne/0"].shape == (n, 2)
    assert arrays["rsa/ranks"].sum() == pytest.approx(1, abs=1e-5)
    assert arrays["neighborhood/ranks"].min() >= 1
    assert arrays["neighborhood/ranks"].max() <= n - 1
    shown = arrays["thumbnails"]
    assert shown.shape[1:] == (64, 64, 3)
    assert max(arrays[f"neighborhood/{s}"].max() for s in ("query", "source", "target")) < len(shown)


def test_the_same_seed_gives_the_same_results(shapes, run):
    again = ("analyze", "source=histogram", "target=pixels", "target.model.resolution=16", "permutations=19")
    typed(run, *again)  # by now the control histogram is cached, and the cache stays the same
    first = newest(shapes, "results.yaml")
    typed(run, *again)
    second = newest(shapes, "results.yaml")
    assert first != second
    assert first.read_bytes() == second.read_bytes()


def test_too_few_samples(run):
    for model in ("pixels", "histogram"):
        typed(run, "extract", f"model={model}", "data.per_category=2", "data.size=32")
    result = run("analyze", "source=pixels", "target=histogram")
    assert result.exit_code == 1
    assert result.output.splitlines()[-1] == (
        "foresight analyze: only 16 pictures: at least 20 are needed to analyze or adapt, and 100 for a verdict. Add "
        "more pictures"
    )


def test_missing_pictures_leave_the_controls_unmeasured(run, tmp_path):
    from PIL import Image

    rng = np.random.default_rng(0)
    folder = tmp_path / "pictures"
    for label in ("a", "b"):
        (folder / label).mkdir(parents=True)
        for i in range(15):
            Image.fromarray(rng.integers(0, 255, (8, 8, 3), dtype=np.uint8)).save(folder / label / f"{i}.png")
    data = ("data=imagefolder", f"data.path={folder}")
    typed(run, "extract", "model=pixels", "pooling=flat", *data)
    typed(run, "extract", "model=histogram", *data)
    folder.rename(tmp_path / "moved")
    output = typed(run, "analyze", "source=histogram", "target=pixels", "permutations=19").output
    assert "warning: the pictures behind the latents cannot be read (no folder" in output
    results = load_results(newest(tmp_path, "results.yaml"))
    assert results.verdict.answer == "INCONCLUSIVE"
    missing = "beyond controls: the controls histogram, mean_rgb, pixels, random_network were not measured"
    assert missing in results.verdict.reasons
    assert "thumbnails" not in load_arrays(newest(tmp_path, "figures.safetensors"))


def test_waived_evidence_is_named_and_not_required(shapes, run):
    waived = ("verdict.attributes=waived", "verdict.categories=waived", "controls=[]", "verdict.controls=waived")
    typed(run, "analyze", "source=histogram", "target=pixels", "target.model.resolution=16", "permutations=19", *waived)
    verdict = load_results(newest(shapes, "results.yaml")).verdict
    assert verdict.line == "PIVOT (attributes, controls, categories waived)"
    outcomes = {c.name: c.outcome for c in verdict.criteria}
    assert outcomes["beyond categories"] == "WAIVED"
    assert outcomes["attributes survive"] == "FAIL"  # a waiver does not hide a measured failure
