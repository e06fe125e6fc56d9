"""What a folder or file in place of a folder of pictures is taken for, in the refusal."""

from __future__ import annotations

import pytest

from foresight_cli.data.imagefolder import ImageFolder
from tests.refusal import refusal


def test_a_tar(tmp_path):
    (tmp_path / "s.tar").touch()
    assert refusal(ImageFolder, tmp_path / "s.tar") == (
        f"'{tmp_path}/s.tar' is a file; data.path= wants a folder of images. To read it: data=webdataset "
        f"data.path={tmp_path}/s.tar"
    )


@pytest.mark.parametrize("name", ["x.npz", "x.npy", "x.safetensors"])
def test_a_file_of_latents_is_read_by_the_model_that_takes_them(tmp_path, name):
    """No other model takes latents, so ``data=precomputed`` alone would be refused next."""
    (tmp_path / name).touch()
    assert refusal(ImageFolder, tmp_path / name) == (
        f"'{tmp_path / name}' is a file; data.path= wants a folder of images. To read it: model=precomputed "
        f"model.path={tmp_path / name}"
    )


@pytest.mark.parametrize(
    ("name", "content", "way"),
    [
        ("lat.npz", "", "To read it: model=precomputed model.path={}"),
        ("0.tar", "", "To read it: data=webdataset data.path={}"),
        ("a.parquet", "", "To read it: data=hf data.path={}"),
        ("config.json", '{"model_type": "vit"}', "It is a checkpoint of a network: model=vision model.checkpoint={}"),
    ],
)
def test_a_folder_of_something_else_names_what_reads_it(tmp_path, name, content, way):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text(content)
    assert refusal(ImageFolder, tmp_path).endswith(f". {way.format(tmp_path)}")
