import io

import numpy as np
import pytest
from PIL import Image

from foresight_cli.config import ShapesConfig
from foresight_cli.data import open_dataset
from foresight_cli.evaluation.noise_ceiling import noise_ceiling, recompressed, shifted
from foresight_cli.latents import load
from foresight_cli.latents.finding import complete_entries
from tests.commands import newest, refused, typed

SHAPES = ShapesConfig(name="shapes", variant="default", per_category=4, seed=0, size=64)
DATA = ("data.per_category=4", "data.size=64")


@pytest.fixture
def target(run, tmp_path):
    """Return the cached latents of the tiny video autoencoder, 32 pictures."""
    typed(run, "extract", "weights=tiny", "model=ltxv", "pooling=flat", "model.resolution=64", *DATA)
    (entry,) = complete_entries(tmp_path / "outputs/cache")
    return entry


def test_changes_are_those_that_are_named():
    frame = Image.fromarray(np.random.default_rng(0).integers(0, 256, (8, 6, 3), dtype=np.uint8))
    before, after = np.asarray(frame), np.asarray(shifted(frame))
    assert after.shape == before.shape
    assert (after[1:, 1:] == before[:-1, :-1]).all()
    assert (after[0, 1:] == before[0, :-1]).all()
    buffer = io.BytesIO()
    frame.save(buffer, "JPEG", quality=95)
    assert (np.asarray(recompressed(frame)) == np.asarray(Image.open(buffer))).all()


@pytest.mark.parametrize("change", ["jpeg", "shift"])
def test_the_ceiling_by_hand(run, target, tmp_path, change):
    """The ceiling equals that of the changed pictures, extracted from a folder of files as a user would."""
    dataset, latents = open_dataset(SHAPES), load(target)
    mean = latents.values.double().mean(dim=0)
    ceiling = noise_ceiling(target, latents.ids, dataset, mean, change, "cpu")
    for i, sample in enumerate(dataset.samples):
        (frame,) = dataset.clip(i).frames
        (tmp_path / "pictures" / sample.label).mkdir(parents=True, exist_ok=True)
        changed = shifted(frame) if change == "shift" else recompressed(frame)
        changed.save(tmp_path / "pictures" / sample.label / f"{sample.id.replace('/', '-')}.png")
    typed(run, "extract", "weights=tiny", "model=ltxv", "pooling=flat", "model.resolution=64", "data=imagefolder",
          "data.path=pictures", "cache_dir=again")  # fmt: skip
    (entry,) = complete_entries(tmp_path / "again")
    again = load(entry)
    row_of = {name.rpartition("/")[2].removesuffix(".png"): row for row, name in enumerate(again.ids)}
    y, other = latents.values.double(), again.values.double()[[row_of[i.replace("/", "-")] for i in latents.ids]]
    assert ceiling == pytest.approx(1 - float((other - y).square().sum() / (y - mean).square().sum()), abs=1e-6)
    assert 0.5 < ceiling < 1


def test_in_the_results_and_on_the_card(run, target, tmp_path):
    typed(run, "extract", "model=pixels", *DATA)
    target_words = ("target=ltxv", "weights=tiny", "target.pooling=flat", "target.model.resolution=64")
    words = ("adapt", "source=pixels", *target_words, "adapter=linear")
    result = typed(run, *words, "noise_ceiling=jpeg")
    assert "the target after jpeg predicts itself with R2 0.9" in result.output
    card = (newest(tmp_path) / "README.md").read_text()
    assert "After jpeg the target predicts itself with R² 0.9" in card
    assert (newest(tmp_path) / "previews.png").read_bytes().startswith(b"\x89PNG")
    assert "![previews.png](previews.png)" in card
    assert refused(run, *words, "noise_ceiling=blur", code=2) == ("noise_ceiling=blur: choose one of none, jpeg, shift")
