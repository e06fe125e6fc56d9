"""Tests of further evidence through the whole analysis: the companion set, and the commands that make it."""

import numpy as np
import pytest
from PIL import Image

from foresight_cli.results import load_results

ASKED = ("analyze", "source=histogram", "target=pixels", "pooling=flat", "permutations=19")


@pytest.fixture
def photographs(run, tmp_path):
    """Extract pictures without attributes by both models."""
    folder, rng = tmp_path / "photos", np.random.default_rng(0)
    folder.mkdir()
    for i in range(60):
        Image.fromarray(rng.integers(0, 255, (8, 8, 3), dtype=np.uint8)).save(folder / f"{i}.png")
    extracted(run, "data=imagefolder", f"data.path={folder}")
    return tmp_path


def extracted(run, *data):
    for model in ("histogram", "pixels"):
        result = run("extract", f"model={model}", "pooling=flat", *data)
        assert result.exit_code == 0, result.output


def results_of(run, folder):
    result = run(*ASKED)
    assert result.exit_code == 0, result.output
    newest = max(folder.glob("outputs/analyze/*/*/results.yaml"), key=lambda path: path.stat().st_mtime)
    return load_results(newest), result.output


def test_without_a_companion_set_the_commands_that_make_it_are_printed(run, photographs):
    results, _ = results_of(run, photographs)
    assert results.chosen.companion is None
    assert results.chosen.attributes == []
    assert (
        "no attributes: to measure whether position survives, extract drawn shapes with the same models: "
        "foresight extract model=histogram layer=final pooling=flat data=shapes && "
        "foresight extract model=pixels layer=final pooling=flat data=shapes"
    ) in results.warnings


def test_drawn_shapes_of_the_same_models_are_used(run, photographs):
    extracted(run, "data=shapes", "data.per_category=12", "data.size=32")
    results, output = results_of(run, photographs)
    assert "data=imagefolder; the drawn shapes are its companion set (data=shapes asks about them)" in output
    assert results.data["name"] == "imagefolder"
    assert results.chosen.companion.startswith("shapes (")
    by_name = {attribute.name: attribute for attribute in results.chosen.attributes}
    assert set(by_name) == {"x", "y", "size", "hue"}
    assert by_name["x"].through_bridge < 0.2  # a histogram holds no position
    assert not any(warning.startswith("no attributes") for warning in results.warnings)
    gate = next(c for c in results.verdict.criteria if c.name == "attributes survive")
    assert "measured on the companion data shapes (" in gate.reason
