import pytest


@pytest.fixture
def folder(tmp_path):
    """A folder of three files with the names of pictures."""
    (tmp_path / "a").mkdir()
    for name in ("a/1.png", "a/2.png", "b.png"):
        (tmp_path / name).write_bytes(b"not decoded")
    return tmp_path
