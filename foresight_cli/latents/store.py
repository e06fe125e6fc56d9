"""The latent cache: one folder for each recipe, one file for each shard, and one manifest, written last.

The whole protocol is three rules. A name without a leading dot is a whole file. A shard's name carries the hash
of its bytes. ``manifest.json`` is written last. Any number of writers, killed anywhere, end in the same files.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from foresight_cli.errors import ForesightError
from foresight_cli.latents.recipe import Recipe
from foresight_cli.latents.storage import read_cache, remote
from foresight_cli.latents.storage.atomic import make_folder, write_atomic
from foresight_cli.latents.storage.json_file import SHARD_NAME, read_json, shard_rows
from foresight_cli.latents.storage.listing import folders_below

if TYPE_CHECKING:
    from foresight_cli.latents.shard import Shard  # imports torch, which is not needed to look at an entry

ASIDE_MANIFEST = ".corrupt-manifest.json"
"""Name of the manifest of an entry with a shard set aside: it still records the provenance of the latents."""


SEALING_THREADS = 4
"""Number of shards that are checked at once before the manifest is written."""


class CorruptShard(ForesightError):
    """A shard whose bytes do not match the hash in its name."""


@dataclass(frozen=True)
class Entry:
    """One recipe's folder in the cache, complete or not."""

    path: Path
    recipe: Recipe

    @classmethod
    def at(cls, root: Path, recipe: Recipe) -> Entry:
        """Return the entry of ``recipe`` under ``root``, whether or not it exists."""
        return cls(root.joinpath(*recipe.folder.parts), recipe)

    @classmethod
    def create(cls, root: Path, recipe: Recipe) -> Entry:
        """Return the entry of ``recipe`` under ``root``, created if it does not exist.

        Raises:
            ForesightError: the folder cannot be written, or holds another recipe.
        """
        entry = cls.at(root, recipe)
        path = entry.path / "recipe.json"
        if not path.exists():
            make_folder(entry.path)
            write_atomic(path, recipe.canonical())
        elif path.read_bytes() != recipe.canonical():
            raise ForesightError(
                f"{path} does not match the key in the name of its folder: it was edited. Delete {entry.path}"
            )
        return entry

    @classmethod
    def open(cls, path: Path) -> Entry:
        """Return the entry in the folder ``path``.

        Raises:
            ForesightError: the folder is not an entry, or its recipe cannot be read.
        """
        recipe_file = path / "recipe.json"
        try:
            recipe = Recipe.from_dict(read_json(recipe_file))
        except FileNotFoundError:
            raise ForesightError(f"{path} is not a cache entry: it has no recipe.json") from None
        except (OSError, ValueError, TypeError, AttributeError) as error:
            raise ForesightError(f"cannot read {recipe_file}: {error}") from None
        if recipe.key[:16] != path.name:
            raise ForesightError(
                f"{recipe_file} does not match the key in the name of its folder: it was edited. Delete {path}"
            )
        return cls(path, recipe)

    def shard_files(self) -> dict[int, Path]:
        """Return the committed shards by number; of two for a number, the one in the manifest or of smaller hash."""
        by_number: dict[int, list[Path]] = {}
        if self.path.is_dir():
            for file in sorted(self.path.iterdir()):
                match = SHARD_NAME.fullmatch(file.name)
                if match and int(match[2]) == self.recipe.shards:
                    by_number.setdefault(int(match[1]), []).append(file)
        sealed: Collection[str] = self._sealed() if any(len(files) > 1 for files in by_number.values()) else ()
        return {
            number: next((file for file in files if file.name in sealed), files[0])
            for number, files in by_number.items()
        }

    def _sealed(self) -> set[str]:
        """Return the files that the manifest names; none if there is no valid manifest."""
        try:
            return {str(row["file"]) for row in self.manifest()["shards"]}
        except ForesightError:
            return set()

    def missing(self) -> list[int]:
        """Return the numbers of the shards that are still missing."""
        have = self.shard_files()
        return [i for i in range(self.recipe.shards) if i not in have]

    def put(self, number: int, shard: Shard) -> Path:
        """Commit ``shard`` as number ``number``, and return its file."""
        data = shard.to_bytes()
        digest = hashlib.sha256(data).hexdigest()[:16]
        path = self.path / f"shard-{number:05d}-of-{self.recipe.shards:05d}.{digest}.safetensors"
        write_atomic(path, data)
        return path

    def get(self, number: int, path: Path | None = None) -> Shard:
        """Return shard ``number``, its bytes checked against the hash in its name.

        ``path`` is its file, from :meth:`shard_files`; pass it to read many: listing thousands of files is slow.

        Raises:
            CorruptShard: they differ. The file is moved aside, so that the next extract redoes only this shard.
            ForesightError: the shard is missing.
        """
        path = path or self.shard_files().get(number)
        if path is None:
            raise ForesightError(f"shard {number} of {self.path} is missing: run the same extract again")
        return parsed(self._bytes(number, path))

    def shards(self) -> Iterator[Shard]:
        """Yield every shard in order, read one at a time; raises as :meth:`get` does."""
        files = self.shard_files()  # listed once: listing thousands of files is slow
        for number in range(self.recipe.shards):
            yield parsed(self._bytes(number, files[number])) if number in files else self.get(number)

    def located(self) -> Iterator[tuple[Path, Shard]]:
        """Yield every shard of a complete entry with its file, in order, read one at a time.

        Raises:
            ForesightError: the entry is not complete, its provenance is missing, or a shard is damaged.
        """
        if not self.complete:
            raise ForesightError(f"{self.path} is not complete: run the same extract again")
        manifest = self.manifest()  # refuses latents whose provenance is missing
        full = {str(row["file"]): str(row["sha256"]) for row in manifest["shards"]}
        for number, path in sorted(self.shard_files().items()):
            yield path, parsed(self._bytes(number, path, full.get(path.name)))

    def _bytes(self, number: int, path: Path, sha256: str | None = None) -> bytes:
        return self._checked(number, path, sha256)[0]

    def _checked(self, number: int, path: Path, sha256: str | None = None) -> tuple[bytes, str]:
        """Return the bytes of a shard and their SHA-256, checked against the hash in its name."""
        digest = sha256 or SHARD_NAME.fullmatch(path.name)[3]  # type: ignore[index]  # one of `shard_files`
        try:
            data = read_cache.fetch(path, digest) if remote.is_remote(path) else path.read_bytes()
        except OSError as error:
            raise ForesightError(f"cannot read {path}: {error.strerror or error}") from None
        actual = hashlib.sha256(data).hexdigest()
        if not actual.startswith(digest):
            self.set_aside(path)
            raise CorruptShard(
                f"{path} does not match its hash: its bytes changed on the disk. It was moved aside; "
                f"run the same extract again to redo only shard {number}"
            )
        return data, actual

    def set_aside(self, path: Path) -> None:
        """Move a damaged shard out of the way, and the manifest with it.

        Raises:
            CorruptShard: the disk or the store refuses.
        """
        try:
            with suppress(FileNotFoundError):  # first: an entry with a hole is not complete
                _rename(self.path / "manifest.json", self.path / ASIDE_MANIFEST)
            _rename(path, path.with_name(f".corrupt-{path.name}"))
        except OSError as error:
            raise CorruptShard(
                f"{path} does not match its hash, and cannot be moved aside: {error.strerror}. "
                "Delete it by hand and run the same extract again"
            ) from None

    def seal(self, provenance: dict[str, Any]) -> None:
        """Write the manifest, which makes the entry complete. Each shard is first read once more and checked.

        Several are read in parallel: for a large entry on a store, reading one by one would take hours.

        Args:
            provenance: facts of the run that do not change the numbers (device, versions, path of the data).

        Raises:
            CorruptShard: the disk returned different bytes from those written.
            ForesightError: shards are missing, or hold latents of different sizes.
        """
        from foresight_cli.latents.shard import refuse_other_width

        if missing := self.missing():
            raise ForesightError(f"cannot seal {self.path}: shards {missing} are missing")
        files = self.shard_files()
        rows: list[dict[str, Any]] = []
        skipped: list[list[str]] = []
        width: tuple[str, int] | None = None
        with ThreadPoolExecutor(SEALING_THREADS, thread_name_prefix="seal") as pool:
            try:
                for row, left_out, first in pool.map(self._row, sorted(files.items())):
                    rows.append(row)
                    skipped += left_out
                    if first:  # several workers may each have seen only one size
                        width = width or first
                        refuse_other_width(width, first)
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
        manifest = {"key": self.recipe.key, "shards": rows, "skipped": skipped, "provenance": provenance}
        text = json.dumps(manifest, indent=1, sort_keys=True).encode()
        path = self.path / "manifest.json"
        if not remote.is_remote(path):
            write_atomic(path, text)
        elif not remote.put_if_absent(path, text) and not self._sealed() <= {file.name for file in files.values()}:
            write_atomic(path, text)  # the existing manifest names files that are gone

    def _row(self, numbered: tuple[int, Path]) -> tuple[dict[str, Any], list[list[str]], tuple[str, int] | None]:
        """Return a shard's row of the manifest, its skipped samples, and its first sample with that sample's size."""
        number, path = numbered
        data, digest = self._checked(number, path)
        shard = parsed(data)
        first = (shard.ids[0], shard.latents.shape[1]) if shard.ids else None
        row = {"file": path.name, "bytes": len(data), "sha256": digest}
        return row, [list(pair) for pair in shard.skipped], first

    @property
    def complete(self) -> bool:
        """True if every shard is committed and the manifest lists it."""
        return (self.path / "manifest.json").exists() and not self.missing()

    def manifest(self) -> dict[str, Any]:
        """Return the manifest of a complete entry.

        Raises:
            ForesightError: the entry is not complete, or its manifest cannot be read or lacks a part.
        """
        path = self.path / "manifest.json"
        try:
            manifest = read_json(path)
        except FileNotFoundError:
            raise ForesightError(f"{self.path} is not complete: run the same extract again") from None
        except (OSError, ValueError) as error:
            raise ForesightError(f"cannot read {path}: {error}") from None
        if not isinstance(manifest, dict) or manifest.get("key") != self.recipe.key:
            raise ForesightError(f"{path} belongs to another recipe. Delete it and run the same extract again")
        provenance = manifest.get("provenance")
        if not (
            isinstance(provenance, dict) and all(isinstance(provenance.get(k), dict) for k in ("data", "versions"))
        ):
            raise ForesightError(
                f"{self.path}: the provenance is missing from its manifest; delete the folder and extract the latents "
                "again, or bring your own latents with model=precomputed model.path=FILE"
            )
        if not isinstance(manifest.get("skipped"), list) or not shard_rows(manifest.get("shards"), self.recipe.shards):
            raise ForesightError(f"{path} does not list the shards. Delete it and run the same extract again")
        return manifest


def parsed(data: bytes) -> Shard:
    """Return the shard in these bytes; raises as :meth:`Shard.from_bytes` does."""
    from foresight_cli.latents.shard import Shard

    return Shard.from_bytes(data)


def _rename(path: Path, to: Path) -> None:
    if remote.is_remote(path):
        remote.move(path, to)
    else:
        path.replace(to)


def entries(root: Path) -> Iterator[Entry]:
    """Yield every entry under ``root``, complete or not, in the order of their paths."""
    for folder in folders(root):
        yield Entry.open(folder)


def folders(root: Path) -> list[Path]:
    """Return the folder of every entry under ``root``, sorted, whether or not its recipe can be read."""
    if remote.is_remote(root):
        return [folder for folder in folders_below(root, 4) if (folder / "recipe.json").exists()]
    return sorted(recipe.parent for recipe in root.glob("*/layer-*/*/*/recipe.json"))
