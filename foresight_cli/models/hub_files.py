"""A checkpoint on the Hugging Face hub: its commit, its list of files, and the copy that an earlier run has fetched."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from foresight_cli.errors import ForesightError


@dataclass(frozen=True)
class HubFiles:
    """What is known of a checkpoint on the hub before any of its files is fetched.

    Attributes:
        commit: of the revision that was asked for.
        names: of all its files, with their folders; None where the hub could not be asked.
        sizes: bytes of each, where the hub tells.
        folder: the copy that an earlier run has fetched; None where the hub answered.
    """

    commit: str
    names: frozenset[str] | None
    folder: Path | None
    sizes: Mapping[str, int] = field(default_factory=dict)


def hub_files(name: str, revision: str | None, advice: str) -> HubFiles:
    """Ask the hub for ``name`` once, so that what is fetched is the very commit that the recipe names.

    Args:
        name: the hub id.
        revision: a branch, tag or commit; None for main.
        advice: what to do where it cannot be had.

    Raises:
        ForesightError: the hub cannot be asked, and no earlier run has fetched this revision.
    """
    from huggingface_hub import constants

    return _asked_once(name, revision, advice, str(constants.HF_HUB_CACHE))


@lru_cache(maxsize=64)
def _asked_once(name: str, revision: str | None, advice: str, cache: str) -> HubFiles:
    """See :func:`hub_files`; a run opens a model several times, and ``cache`` may be another one by then."""
    from huggingface_hub import HfApi, snapshot_download

    try:
        info = HfApi().model_info(name, revision=revision, timeout=20, files_metadata=True)
        sizes = {file.rfilename: file.size or 0 for file in info.siblings or ()}
        return HubFiles(str(info.sha), frozenset(sizes), None, sizes)
    except Exception as error:  # any failure to ask leaves what an earlier run has fetched
        try:
            folder = Path(snapshot_download(name, revision=revision, local_files_only=True))
        except Exception:
            raise ForesightError(_cached(name, revision) or refusal(name, error, advice)) from None
        return HubFiles(folder.name, None, folder)


def refusal(name: str, error: Exception, advice: str) -> str:
    """What is said where the hub does not give a file."""
    reason = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
    return f"cannot get {name} from the Hugging Face hub ({reason}). {advice}"


def remember(name: str, revision: str | None, commit: str) -> None:
    """Note in the hub's cache which commit a branch is at, so that it is found there once the hub cannot be asked.

    The client does so itself only where it is asked for the branch, which may have moved on since the commit was read.
    """
    if revision == commit:
        return
    ref = _cache_folder(name) / "refs" / (revision or "main")
    with suppress(OSError):
        ref.parent.mkdir(parents=True, exist_ok=True)
        ref.write_text(commit, encoding="utf-8")


def _cache_folder(name: str) -> Path:
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE) / f"models--{name.replace('/', '--')}"


def _cached(name: str, revision: str | None) -> str:
    """Why the hub's cache on this machine does not serve ``revision`` though it holds the checkpoint; empty if not."""
    folder = _cache_folder(name)
    snapshots = folder / "snapshots"
    try:
        commits = sorted(path.name for path in snapshots.iterdir() if path.is_dir())
    except OSError:
        return ""
    if not commits:
        return ""
    held = f"the hub cache {folder} holds the snapshot {commits[0]} of {name}"
    if len(commits) > 1:
        held = f"the hub cache {folder} holds {len(commits)} snapshots of {name}"
    ref = folder / "refs" / (revision or "main")
    if not ref.is_file():
        why = f"but no file refs/{revision or 'main'} that says which one is {revision or 'main'}"
    elif ref.read_text(encoding="utf-8", errors="replace") != ref.read_text(encoding="utf-8", errors="replace").strip():
        why = f"but refs/{revision or 'main'} has white space around the commit"
    else:
        why = f"but not the one that refs/{revision or 'main'} names"
    return f"{held}, {why}, and the hub cannot be asked. Add model.revision={commits[-1]}"
