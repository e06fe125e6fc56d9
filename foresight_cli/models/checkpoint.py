"""A checkpoint: where its files are, and what identifies its weights (a hub revision, or the hash of local files)."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from foresight_cli.errors import ForesightError
from foresight_cli.models import quantised, weight_files
from foresight_cli.models.checkpoint_files import SMALL_FILES, hash_files, small_files
from foresight_cli.models.checkpoint_folder import ADAPTERS, MERGE, SHIPPED_FOR, broken_link, near, why_no_checkpoint
from foresight_cli.models.config_file import in_one_line, parsed
from foresight_cli.models.hub_files import HubFiles, hub_files, refusal, remember
from foresight_cli.models.weight_files import Layout, Tensor, Unreadable, unread

TINY = Path(__file__).resolve().parent.parent / "checkpoints" / "tiny"

_HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?")


@dataclass(frozen=True)
class Checkpoint:
    """A model's files, by name.

    Attributes:
        name: ``tiny:<model>`` (shipped with foresight), a local folder, or a hub id.
        revision: a branch, tag or commit on the hub.
        subfolder: where the model is inside the checkpoint.
        weights: whether the weights are wanted; a network with random weights needs only the other files.
        variant: which of several sets of weights, for example ``fp16`` in ``model.fp16.safetensors``.
        library: ``transformers`` or ``diffusers``, which reads it.
        model: the name of ``model=``, for messages.
        beside: further folders of the checkpoint whose small files are read, such as ``tokenizer``.
    """

    name: str
    revision: str | None = None
    subfolder: str | None = None
    weights: bool = True
    variant: str | None = None
    library: str = "transformers"
    model: str = ""
    beside: tuple[str, ...] = ()

    @cached_property
    def local(self) -> Path | None:
        """The folder of a checkpoint on this machine; None for a hub id.

        Raises:
            ForesightError: the name is that of a folder that does not exist, or that holds no checkpoint.
        """
        if self.name.startswith("tiny:"):
            folder = TINY / self.name.removeprefix("tiny:")
        elif self.name.startswith(("/", ".", "~")) or not _HUB_ID.fullmatch(self.name) or Path(self.name).exists():
            folder = Path(self.name).expanduser()
        else:
            return None
        if not (folder / (self.subfolder or "") / "config.json").is_file():
            raise ForesightError(why_no_checkpoint(folder, self.subfolder, self.model))
        return folder

    def recipe(self) -> dict[str, Any]:
        """Return the part of a recipe that the name gives; a local folder counts by its bytes, not by its path."""
        is_path = self.local is not None and not self.name.startswith("tiny:")
        return {"checkpoint": "local" if is_path else self.name, **({"variant": self.variant} if self.variant else {})}

    def identity(self, *, reach_hub: bool) -> dict[str, Any]:
        """Return ``{"sha256": ...}`` of local files; for a hub id ``{"revision": COMMIT}``, {} without ``reach_hub``.

        Raises:
            ForesightError: the hub cannot be reached and holds the only copy, or has no such checkpoint; the files
                cannot be read as :meth:`check` says.
        """
        folder = self.local
        if folder is not None:
            self.check()
            place = folder / (self.subfolder or "")
            weights = [place / name for name in self.layout.weights] if self.layout else []
            return {"sha256": hash_files([*small_files(folder, self._folders), *weights])}
        return {"revision": self._hub_commit} if reach_hub else {}

    def file(self, name: str) -> Path:
        """Return the path of one small file, fetched from the hub if it is not on this machine."""
        folder = self._on_disk
        if folder is not None:
            return folder / (self.subfolder or "") / name
        from huggingface_hub import hf_hub_download

        commit = self._hub_commit
        try:
            return Path(hf_hub_download(self.name, name, subfolder=self.subfolder, revision=commit))
        except Exception as error:
            raise ForesightError(refusal(self.name, error, self._hub_advice)) from None

    def small_files(self) -> Path:
        """Return the folder of the checkpoint with all files but the weights: config, tokenizer, image processor."""
        return self._fetched([]) if self._on_disk is None else self._on_disk

    def fetch(self) -> Path:
        """Return the folder with all files that loading needs, fetched from the hub if they are not on this machine.

        The network is in its ``subfolder``.

        Raises:
            ForesightError: they cannot be fetched, or :meth:`check` refuses them.
        """
        self.check()
        folder = self._on_disk
        if folder is not None:
            return folder
        inside = f"{self.subfolder}/" if self.subfolder else ""
        fetched = self._fetched([inside + name for name in self.layout.weights] if self.layout else [])
        self._refuse_unreadable(self._headers_in(fetched))
        return fetched

    def _fetched(self, weights: Sequence[str]) -> Path:
        """Fetch the small files and these weight files from the hub, and return their folder."""
        from huggingface_hub import snapshot_download

        small = [name for name in self._hub.names or () if self._is_small(name)]
        try:
            folder = Path(snapshot_download(self.name, revision=self._hub_commit, allow_patterns=[*small, *weights]))
        except Exception as error:
            raise ForesightError(refusal(self.name, error, self._hub_advice)) from None
        remember(self.name, self.revision, self._hub_commit)
        return folder

    @cached_property
    def names(self) -> frozenset[str]:
        """Names of the files in the folder, or in its subfolder; broken links are not among them."""
        folder = self._on_disk
        if folder is not None:
            return frozenset(path.name for path in (folder / (self.subfolder or "")).iterdir() if path.is_file())
        inside = f"{self.subfolder}/" if self.subfolder else ""
        names = (name.removeprefix(inside) for name in self._hub.names or () if name.startswith(inside))
        return frozenset(name for name in names if "/" not in name)

    @cached_property
    def config(self) -> dict[str, Any]:
        """The content of ``config.json``.

        Raises:
            ForesightError: it is no JSON object.
        """
        try:
            return parsed(self._text("config.json"), self.name)
        except OSError as error:
            raise ForesightError(f"cannot read config.json of {self.name}: {error.strerror}") from None

    @cached_property
    def layout(self) -> Layout | None:
        """The weight files that loading reads; None if the weights are not wanted.

        Raises:
            ForesightError: there are none, or some are missing.
        """
        if not self.weights:
            return None
        explicit = self.config.get("transformers_weights") if self.library == "transformers" else None
        try:
            layout = weight_files.layout(self.names, self.library, self.variant, self._text, explicit)
        except Unreadable as fault:
            raise self._unreadable(self._broken_link or str(fault)) from None
        if layout is None:
            reason = unread(self.names, self.library, self.variant, self._convert, self._on_disk != self.local)
            raise self._unreadable(self._broken_link or reason)
        return layout

    @cached_property
    def tensors(self) -> dict[str, Tensor]:
        """Every weight in the files, from their headers; empty if none are wanted or none are on this machine yet."""
        return {} if self._on_disk is None else self._headers_in(self._on_disk)

    @property
    def weight_file_bytes(self) -> int | None:
        """Size of the weight files as the hub reports it; None if it was not asked, or does not report it."""
        if self.layout is None or self._on_disk is not None:
            return None
        inside = f"{self.subfolder}/" if self.subfolder else ""
        return sum(self._hub.sizes.get(inside + name, 0) for name in self.layout.weights) or None

    def check(self) -> None:
        """Refuse files that loading would refuse, or would read wrongly, as far as their headers show it.

        Raises:
            ForesightError: the config is no JSON object; a LoRA is beside the model; the weights are quantised in a
                way that is not read here, missing, cut off, or of another format.
        """
        config = self.config
        if not self.weights:
            return
        if adapters := [name for name in ADAPTERS if name in self.names]:
            raise ForesightError(
                f"{self.name} has a LoRA beside the model ({adapters[0]}), which would be left out: {MERGE}, or move "
                "its files to another folder to measure the model without it"
            )
        how = quantised.quantisation(config, self.names, self.model)
        if how and (reason := quantised.refusal(how, self.library)):
            raise ForesightError(f"the checkpoint {self.name} {reason}")
        if self.layout is not None:
            self._refuse_unreadable(self.tensors)

    def _refuse_unreadable(self, tensors: Mapping[str, Tensor]) -> None:
        if not self.is_quantised and (reason := quantised.narrow_refusal(tensors)):
            raise ForesightError(f"the checkpoint {self.name} {reason}")

    @property
    def is_quantised(self) -> bool:
        """True if its config says that its weights are quantised."""
        return quantised.quantisation(self.config, self.names, self.model) is not None

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Turn whatever a library raises on this checkpoint into a message of one line."""
        loggers = [logging.getLogger(name) for name in ("transformers", "diffusers", "accelerate")]
        levels = [logger.level for logger in loggers]
        try:
            for logger in loggers:
                logger.setLevel(logging.CRITICAL)
            yield
        except ForesightError:
            raise
        except Exception as error:
            raise ForesightError(f"cannot read the checkpoint {self.name}: {in_one_line(error)}") from error
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)

    @property
    def _folders(self) -> tuple[str, ...]:
        return (self.subfolder or "", *self.beside)

    def _is_small(self, name: str) -> bool:
        folder, _, file = name.rpartition("/")
        folder = folder.removesuffix("additional_chat_templates").rstrip("/")
        return folder in self._folders and file.endswith(SMALL_FILES)

    @cached_property
    def _hub(self) -> HubFiles:
        return hub_files(self.name, self.revision, self._hub_advice)

    @cached_property
    def _hub_commit(self) -> str:
        return self._hub.commit

    @property
    def _on_disk(self) -> Path | None:
        """The folder that holds all files: a local one, or an earlier run's copy if the hub cannot be reached."""
        if self.local is not None:
            return self.local
        folder = self._hub.folder
        if folder is not None and not (folder / (self.subfolder or "") / "config.json").is_file():
            raise ForesightError(why_no_checkpoint(folder, self.subfolder, self.model))
        return folder

    @property
    def _hub_advice(self) -> str:
        tiny = (
            ", or use the small checkpoints that ship for qwen25vl and ltxv: weights=tiny"
            if self.model in SHIPPED_FOR
            else ""
        )
        return f"Give a local copy with model.checkpoint=DIR{tiny}.{near(Path(self.name))}".removesuffix(".")

    @property
    def _convert(self) -> str:
        folder = self.local
        if folder is None:
            return weight_files.conversion(self.library, self.config, self.name, self.subfolder, "converted")
        place = str(folder / (self.subfolder or ""))
        return weight_files.conversion(self.library, self.config, place, None, place)

    @property
    def _broken_link(self) -> str:
        folder = self._on_disk
        return broken_link(folder / (self.subfolder or "")) if folder else ""

    def _text(self, name: str) -> str:
        return self.file(name).read_text(encoding="utf-8", errors="replace")

    def _headers_in(self, folder: Path) -> dict[str, Tensor]:
        if self.layout is None:
            return {}
        try:
            return weight_files.headers(folder / (self.subfolder or ""), self.layout, self.library)
        except Unreadable as fault:
            raise self._unreadable(str(fault)) from None
        except OSError as error:
            raise self._unreadable(f"{error.filename}: {error.strerror}") from None

    def _unreadable(self, reason: str) -> ForesightError:
        inside = f" ({self.subfolder})" if self.subfolder else ""
        return ForesightError(f"cannot read the checkpoint {self.name}{inside}: {reason}")
