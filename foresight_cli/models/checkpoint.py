"""Where a checkpoint lies and what fixes its numbers: a hub revision, or the hash of local files."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from foresight_cli.errors import ForesightError
from foresight_cli.hashing import sha256_of_each

TINY = Path(__file__).resolve().parent.parent / "checkpoints" / "tiny"
PATTERNS = ("*.json", "*.jinja", "*.txt")  # what loading reads besides the weights; nothing pickled, no code
WEIGHTS = "*.safetensors"
UNREAD = ("generation_config.json",)
"""Files of those patterns that change no latent: how text is sampled."""


@dataclass(frozen=True)
class Checkpoint:
    """A model's files, by name.

    Attributes:
        name: ``tiny:<model>`` (shipped with foresight), a local folder, or a hub id.
        revision: a branch, tag or commit on the hub.
        subfolder: where the model lies inside the checkpoint.
        weights: whether the weights are wanted; a network with random ones is fixed by the other files alone.
    """

    name: str
    revision: str | None = None
    subfolder: str | None = None
    weights: bool = True

    @property
    def _patterns(self) -> tuple[str, ...]:
        return (*PATTERNS, WEIGHTS) if self.weights else PATTERNS

    @property
    def local(self) -> Path | None:
        """The folder, for a checkpoint that is on this machine by name; None for a hub id.

        Raises:
            ForesightError: the name is that of a folder that is not there.
        """
        if self.name.startswith("tiny:"):
            folder = TINY / self.name.removeprefix("tiny:")
        elif self.name.startswith(("/", "./", "../", "~")) or Path(self.name).is_dir():
            folder = Path(self.name).expanduser()
        else:
            return None
        inside = folder / (self.subfolder or "")
        if not (inside / "config.json").is_file():
            raise ForesightError(
                f"no checkpoint in {inside}: it has no config.json. model.checkpoint= wants a folder written by "
                "save_pretrained, a hub id, or leave it out and add weights=tiny"
            )
        return folder

    def recipe(self) -> dict[str, Any]:
        """The part of a recipe that is known without looking: a local folder's place is not in it, only its bytes."""
        is_path = self.local is not None and not self.name.startswith("tiny:")
        return {"checkpoint": "local" if is_path else self.name}

    def identity(self, *, reach_hub: bool) -> dict[str, Any]:
        """``{"sha256": ...}`` of local files, or ``{"revision": <commit>}`` of a hub id ({} where not asked for).

        Raises:
            ForesightError: the hub cannot be reached and holds the only copy, or has no such checkpoint.
        """
        folder = self.local
        if folder is not None:
            return {"sha256": _hash_folder(folder / (self.subfolder or ""), self._patterns)}
        return {"revision": self._hub_commit} if reach_hub else {}

    def file(self, name: str) -> Path:
        """One small file of the checkpoint, fetched from the hub where it is not on this machine."""
        folder = self.local
        if folder is not None:
            return folder / (self.subfolder or "") / name
        from huggingface_hub import hf_hub_download

        try:
            return Path(hf_hub_download(self.name, name, subfolder=self.subfolder, revision=self._hub_commit))
        except Exception as error:
            raise self._no_hub(error) from None

    def fetch(self) -> Path:
        """The folder of all files that loading needs, fetched from the hub where they are not on this machine."""
        folder = self.local
        if folder is not None:
            return folder
        from huggingface_hub import snapshot_download

        patterns = [f"{self.subfolder}/{p}" if self.subfolder else p for p in self._patterns]
        try:
            return Path(snapshot_download(self.name, revision=self._hub_commit, allow_patterns=patterns))
        except Exception as error:
            raise self._no_hub(error) from None

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Have a library that cannot read this checkpoint say so in one line, and nothing besides."""
        from safetensors import SafetensorError

        loggers = [logging.getLogger(name) for name in ("transformers", "diffusers", "accelerate")]
        levels = [logger.level for logger in loggers]
        try:
            for logger in loggers:
                logger.setLevel(logging.CRITICAL)
            yield
        except (OSError, ValueError, RuntimeError, SafetensorError) as error:
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise ForesightError(f"cannot read the checkpoint {self.name}: {reason}") from error
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)

    def refuse_missing(self, weights: Iterable[str], network: str) -> None:
        """Stop where ``from_pretrained`` found no value for some ``weights``: it fills them at random, and goes on.

        Raises:
            ForesightError: how many there are, and one of them.
        """
        if missing := sorted(weights):
            raise ForesightError(
                f"the checkpoint {self.name} lacks {len(missing)} weights of {network}, for instance {missing[0]}: "
                "it is incomplete, or of another kind of model"
            )

    @cached_property
    def _hub_commit(self) -> str:
        """Asked once, so that what is fetched is the very revision that the recipe names."""
        from huggingface_hub import HfApi, snapshot_download

        try:
            return str(HfApi().model_info(self.name, revision=self.revision, timeout=20).sha)
        except Exception as error:  # any failure to ask leaves what an earlier run has fetched
            try:
                return Path(snapshot_download(self.name, revision=self.revision, local_files_only=True)).name
            except Exception:
                raise self._no_hub(error) from None

    def _no_hub(self, error: Exception) -> ForesightError:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        return ForesightError(
            f"cannot get {self.name} from the Hugging Face hub ({reason}). Give a local copy with "
            "model.checkpoint=DIR, or use the small checkpoints that ship for qwen25vl and ltxv: weights=tiny"
        )


def _hash_folder(folder: Path, patterns: Iterable[str]) -> str:
    """SHA-256 over the names and bytes of the files that loading reads."""
    total = hashlib.sha256()
    paths = sorted({path for pattern in patterns for path in folder.glob(pattern) if path.name not in UNREAD})
    for path, digest in zip(paths, sha256_of_each(paths), strict=True):
        total.update(path.name.encode() + b"\0" + digest)
    return total.hexdigest()
