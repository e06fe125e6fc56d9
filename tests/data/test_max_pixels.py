"""``data.max_pixels=`` applies to pictures from every source, and is in no key."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from foresight_cli.config import GROUPS
from foresight_cli.data import UndecodableImage, open_dataset
from tests.data.tars import pack


@pytest.fixture
def sources(tmp_path):
    """The settings for one picture of 30 x 10 in a folder, a tar and a table."""
    datasets = pytest.importorskip("datasets")
    file = io.BytesIO()
    Image.new("RGB", (30, 10), "red").save(file, "PNG")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/a.png").write_bytes(file.getvalue())
    pack(tmp_path / "a.tar", [("a.png", file.getvalue())])
    rows = {"image": [{"bytes": file.getvalue(), "path": None}]}
    features = datasets.Features({"image": datasets.Image()})
    datasets.Dataset.from_dict(rows, features=features).save_to_disk(tmp_path / "table")
    return {"imagefolder": tmp_path / "folder", "webdataset": tmp_path / "a.tar", "hf": tmp_path / "table"}


@pytest.mark.parametrize("name", ["imagefolder", "webdataset", "hf"])
def test_the_limit_of_each_source(sources, name):
    def opened(limit):
        return open_dataset(
            GROUPS["data"][name](name=name, path=str(sources[name]), on_error="raise", max_pixels=limit)
        )

    assert opened(300).clip(0).frames[0].size == (30, 10)
    with pytest.raises(UndecodableImage) as caught:
        opened(299).clip(0)
    assert caught.value.reason == (
        "30 x 10 pixels are more than data.max_pixels=299. To read it, add data.max_pixels=300"
    )
    assert opened(299).identity() == opened(300).identity()
