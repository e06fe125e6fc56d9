"""The contract on each backend, and features of object stores: URLs, credentials, ranged and cached reads."""

from __future__ import annotations

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from foresight_cli.errors import ForesightError
from foresight_cli.latents import Entry, RowReader, load
from foresight_cli.latents.storage import read_cache, remote
from foresight_cli.latents.storage.remote import cache_root
from tests.latents.stores.conftest import CREDENTIALS
from tests.latents.stores.contract import PROVENANCE, RECIPE, StoreContract, filled, shard, visible


class TestLocal(StoreContract):
    @pytest.fixture
    def root(self, tmp_path):
        return cache_root(f"file://{tmp_path / 'cache'}")


class TestMemory(StoreContract):
    @pytest.fixture
    def root(self, tmp_path, monkeypatch):
        monkeypatch.setenv("FORESIGHT_READ_CACHE", str(tmp_path / "read-cache"))
        return cache_root(f"memory://{tmp_path.name}/cache")


class TestS3(StoreContract):
    @pytest.fixture
    def root(self, s3):
        return cache_root(f"{s3}/some/cache")


class TestGoogle(StoreContract):
    @pytest.fixture
    def root(self, google):
        return cache_root(f"{google}/some/cache")


def test_kinds_of_roots(tmp_path):
    assert cache_root("outputs/cache") == Path("outputs/cache")
    assert cache_root("file:///a/b") == Path("/a/b")
    assert str(cache_root(f"memory://{tmp_path.name}")) == f"memory://{tmp_path.name}"


@pytest.mark.parametrize(
    "url",
    [
        "s3://KEY:hunter2@bucket/cache",
        "ftp://user:hunter2@host/cache",
        "s3://bucket/cache?token=hunter2",
        "https://host/cache#hunter2",
        "simplecache::s3://KEY:hunter2@bucket",
    ],
)
def test_a_password_in_the_url_is_refused_and_not_repeated(url, run, tmp_path):
    with pytest.raises(ForesightError) as caught:
        cache_root(url)
    assert "hunter2" not in str(caught.value)
    result = run("extract", "weights=tiny", f"cache_dir='{url}'")
    assert result.exit_code == 1
    assert len(result.output.splitlines()) == 1
    assert "hunter2" not in result.output
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_an_account_in_a_url_is_not_a_password():
    remote.refuse_secrets("abfs://container@account.dfs.core.windows.net/cache")


def test_an_unknown_kind_of_store():
    with pytest.raises(
        ForesightError, match=r"^cache_dir=nosuch://x: Unsupported filesystem: .nosuch.*such as s3://bucket/folder$"
    ):
        cache_root("nosuch://x")


def test_a_package_that_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "gcsfs", None)
    monkeypatch.delitem(sys.modules["fsspec.registry"]._registry, "gs", raising=False)  # imported by another test
    with pytest.raises(ForesightError, match=r"pip install 'foresight-latents\[gs\]'$"):
        cache_root("gs://bucket/cache")


def test_a_server_that_does_not_answer(monkeypatch, s3):
    import s3fs

    s3fs.S3FileSystem.clear_instance_cache()
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(ForesightError, match=r"^cannot reach s3://"):
        cache_root(f"{s3}/cache")


def test_no_credentials(monkeypatch, s3, tmp_path):
    import s3fs

    s3fs.S3FileSystem.clear_instance_cache()
    for key in CREDENTIALS:
        monkeypatch.delenv(key)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(ForesightError, match=r"Credentials come only from the environment"):
        filled(cache_root(f"{s3}/cache"))


def test_of_two_that_seal_one_wins(s3):
    root = cache_root(f"{s3}/cache")
    path = root / "x.json"

    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(lambda i: remote.put_if_absent(path, str(i).encode()), range(8)))
    assert sum(won) == 1
    assert path.read_bytes() == str(won.index(True)).encode()


def test_a_manifest_that_names_lost_files_is_replaced(s3):
    entry = filled(cache_root(f"{s3}/cache"))
    before = visible(entry)
    entry.shard_files()[1].unlink()
    entry.put(1, shard(1, 2.0))
    entry.seal(PROVENANCE)
    assert entry.complete
    assert visible(entry).keys() - before.keys() == {entry.shard_files()[1].name}
    assert load(entry).values[4, 0] == 8.0


def test_each_shard_is_fetched_once_in_ranges_and_checked_each_time(s3, monkeypatch):
    entry = filled(cache_root(f"{s3}/cache"))
    fetched: list[str] = []
    plain = read_cache.download

    def counting(path):
        fetched.append(path.name)
        return plain(path)

    monkeypatch.setattr(read_cache, "download", counting)
    monkeypatch.setattr(remote, "PART", 100)
    for kept in read_cache.folder().iterdir():
        kept.unlink()
    values = load(entry).values
    assert len(fetched) == 3
    reader = RowReader(entry)
    assert torch.equal(reader[torch.arange(10)], values)
    assert len(fetched) == 3
    kept = read_cache.place(entry.shard_files()[0].name.split(".")[1])
    kept.write_bytes(kept.read_bytes()[:-1] + b"?")  # this machine's disk, not the store's
    assert torch.equal(load(entry).values, values)
    assert len(fetched) == 4
    kept.unlink()  # as a sweep would
    assert torch.equal(RowReader(entry)[torch.tensor([0])], values[:1])


def test_the_least_recently_used_make_room(s3, monkeypatch):
    entry = filled(cache_root(f"{s3}/cache"))
    for kept in read_cache.folder().iterdir():
        kept.unlink()
    size = max(len(path.read_bytes()) for path in entry.shard_files().values())
    monkeypatch.setenv("FORESIGHT_READ_CACHE_GIB", str(2.5 * size / (1 << 30)))
    for number in (0, 1):
        entry.get(number)
        os.utime(read_cache.place(entry.shard_files()[number].name.split(".")[1]), (number, number))
    entry.get(0)  # used again
    entry.get(2)
    names = {number: path.name.split(".")[1] for number, path in entry.shard_files().items()}
    assert {path.stem for path in read_cache.folder().iterdir()} == {names[0], names[2]}


@pytest.mark.parametrize("value", ["many", "-1", "nan"])
def test_a_limit_that_is_not_a_number(monkeypatch, value):
    monkeypatch.setenv("FORESIGHT_READ_CACHE_GIB", value)
    with pytest.raises(ForesightError, match=r"wanted a number of GiB, for example 50$"):
        read_cache.limit()


def test_no_space_for_local_copies(s3, monkeypatch, tmp_path):
    entry = filled(cache_root(f"{s3}/cache"))
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("FORESIGHT_READ_CACHE", str(tmp_path / "file"))
    with pytest.raises(ForesightError, match=r"FORESIGHT_READ_CACHE=DIR$"):
        load(entry)


def test_a_fault_on_the_way_costs_no_shard(s3, monkeypatch):
    entry = filled(cache_root(f"{s3}/cache"))
    for kept in read_cache.folder().iterdir():
        kept.unlink()
    plain, calls = read_cache.download, []

    def torn_once(path):
        calls.append(path)
        return plain(path)[:-1] if len(calls) == 1 else plain(path)

    monkeypatch.setattr(read_cache, "download", torn_once)
    assert list(entry.get(0).ids) == ["s0", "s1", "s2", "s3"]
    assert entry.complete


def test_extract_to_report_on_s3_by_one_word(s3, run, no_figures, tmp_path):
    def foresight(*words: str) -> str:
        result = run(*words)
        assert result.exit_code == 0, result.output
        return result.output

    where = f"cache_dir={s3}/cache"
    small = ["weights=tiny", "data=shapes", "data.per_category=20", "layer=final", where]
    foresight("extract", "model=qwen25vl", "runner.workers=2", "rows_per_shard=40", *small)
    again = foresight("extract", "model=qwen25vl", "rows_per_shard=40", *small)
    assert "1 of 1 layers x poolings already in the cache" in again
    assert where in foresight("extract", "model=ltxv", "rows_per_shard=40", *small)  # the advised command repeats it
    foresight("analyze", "permutations=19", *small[:1], where)
    foresight("report")
    assert "complete" in foresight("cache", "ls", where)
    assert foresight("cache", "verify", where).count(": whole") == 6  # the controls' entries too
    assert not (tmp_path / "outputs" / "cache").exists()
    texts = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    root = cache_root(f"{s3}/cache")
    texts += [path.read_bytes() for entry in map(Entry.open, _folders(root)) for path in entry.path.iterdir()]
    for secret in CREDENTIALS.values():
        assert not any(secret.encode() in text for text in texts)


def _folders(root: Path) -> list[Path]:
    from foresight_cli.latents.store import folders

    return folders(root)


def test_the_same_command_writes_the_same_bytes_to_s3_and_to_a_folder(s3, run, tmp_path):
    made = []
    for where in (f"{s3}/cache", str(tmp_path / "cache")):
        words = ["weights=tiny", "model=ltxv", "data.per_category=6", "rows_per_shard=20", f"cache_dir={where}"]
        assert run("extract", *words).exit_code == 0
        (folder,) = _folders(cache_root(where))
        made.append(visible(Entry.open(folder)))
    assert made[0] == made[1]


def test_commands_on_google(google, run):
    small = ["weights=tiny", "data.per_category=6", f"cache_dir={google}/cache"]
    for words in (
        ["extract", "model=pixels", "pooling=flat", *small],
        ["extract", "model=histogram", "pooling=flat", *small],
        ["cache", "verify", small[-1]],
        ["cache", "gc", small[-1]],
    ):
        done = run(*words)
        assert done.exit_code == 0, done.output
    assert len(_folders(cache_root(f"{google}/cache"))) == 2


def test_the_key_does_not_depend_on_the_root(s3, tmp_path):
    assert Entry.create(cache_root(s3), RECIPE).path.name == Entry.create(tmp_path, RECIPE).path.name
