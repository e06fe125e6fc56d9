"""All stages on real photographs in a folder: the pictures in the wheels of two libraries."""

import importlib.util
import shutil
from pathlib import Path

import pytest

from foresight_cli.results import load_results


def pictures(package: str, folder: str, pattern: str) -> list[Path]:
    spec = importlib.util.find_spec(package)  # located, not imported: only its files are needed
    assert spec is not None, f"{package} is not installed: make setup"
    return sorted(Path(str(spec.origin)).parent.joinpath(folder).glob(pattern))


@pytest.fixture
def photographs(tmp_path):
    """60 photographs in three sub-folders: PNG, JPEG, GIF and TIFF, in colour, grey, palettes and 16 bits."""
    kinds = {
        "scenes": [p for p in pictures("skimage", "data", "*.*") if p.suffix in (".png", ".jpg", ".gif", ".tif")],
        "imagenet": pictures("foolbox", "data", "imagenet_*.jpg"),
        "small": pictures("foolbox", "data", "cifar10_*.png"),
    }
    for label, paths in kinds.items():
        (tmp_path / "photos" / label).mkdir(parents=True)
        for path in paths:
            shutil.copy(path, tmp_path / "photos" / label)
    assert all(len(paths) >= 20 for paths in kinds.values())
    return sum(map(len, kinds.values()))


@pytest.mark.slow
def test_photographs_from_end_to_end(run, tmp_path, photographs):
    data = ("data=imagefolder", "data.path=photos", "data.on_error=skip", "weights=tiny")
    for command in (
        ("extract", "model=qwen25vl", "layer=8,final", "pooling=all", *data, "-m"),
        ("extract", "model=ltxv", "pooling=channel_mean", "model.resolution=64", *data),
        ("analyze", "target.model.resolution=64", "permutations=19", "weights=tiny"),
        ("report",),
    ):
        result = run(*command)
        assert result.exit_code == 0, result.output
    results = load_results(next(tmp_path.glob("outputs/report/*/*/results.yaml")))
    unreadable = "scenes/multipage_rgb.tif"  # one of its pages has a layout that Pillow cannot read
    assert [sample_id for sample_id, _ in results.duplicates.skipped] == [unreadable]
    assert results.duplicates.rows == photographs - 1
    assert results.labels.keys() == {"imagenet", "scenes", "small"}
    assert results.verdict.answer == "INCONCLUSIVE"
    assert any("too few to judge" in reason for reason in results.verdict.reasons)
    assert any("has no attributes" in reason for reason in results.verdict.reasons)
    figures = {p.name for p in tmp_path.glob("outputs/report/*/*/figures/*.png")}
    assert {"source_tsne_layer_8.png", "cka_heatmap.png", "neighborhood_examples.png", "cka_layer_curve.png"} <= figures
    assert "target_channel_analysis.png" not in figures  # it needs both poolings, as FINDINGS.md reports
