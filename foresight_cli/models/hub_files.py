"""A checkpoint on the Hugging Face hub: its commit, its list of files, and the copy that an earlier run has fetched."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from foresight_cli.errors import ForesightError, first_line


@dataclass(frozen=True)
class HubFiles:
    """Facts about a checkpoint on the hub that are known before any of its files is fetched.

    Attributes:
        commit: of the revision that was asked for.
        names: of all its files, with their folders; None if the hub could not be asked.
        sizes: bytes of each file, where the hub reports them.
        folder: the copy that an earlier run has fetched; None if the hub answered.
    """

    commit: str
    names: frozenset[str] | None
    folder: Path | None
    sizes: Mapping[str, int] = field(default_factory=dict)


def hub_files(name: str, revision: str | None, advice: str) -> HubFiles:
    """Ask the hub for ``name`` once, so that the files fetched later are of the commit that the recipe names.

    Args:
        name: the hub id.
        revision: a branch, tag or commit; None for main.
        advice: what to do if it cannot be fetched, for the message.

    Raises:
        ForesightError: the hub cannot be asked, and no earlier run has fetched this revision.
    """
    from huggingface_hub import constants

    return _asked_once(name, revision, advice, str(constants.HF_HUB_CACHE))


@lru_cache(maxsize=64)
def _asked_once(name: str, revision: str | None, advice: str, cache: str) -> HubFiles:
    """See :func:`hub_files`; a run opens a model several times, and ``cache`` may have changed between them."""
    from huggingface_hub import HfApi, snapshot_download

    try:
        info = HfApi().model_info(name, revision=revision, timeout=20, files_metadata=True)
        sizes = {file.rfilename: file.size or 0 for file in info.siblings or ()}
        return HubFiles(str(info.sha), frozenset(sizes), None, sizes)
    except Exception as error:  # if the hub cannot be asked, use what an earlier run has fetched
        try:
            folder = Path(snapshot_download(name, revision=revision, local_files_only=True))
        except Exception:
            raise ForesightError(_cached(name, revision) or refusal(name, error, advice)) from None
        return HubFiles(folder.name, None, folder)


def refusal(name: str, error: Exception, advice: str) -> str:
    """Return the message for a file that the hub does not give."""
    return f"cannot get {name} from the Hugging Face hub ({first_line(error)}). {advice}"


def remember(name: str, revision: str | None, commit: str) -> None:
    """Note in the hub's cache which commit a branch is at, so that it is found there when the hub cannot be asked.

    The client does so itself only if it is asked for the branch, which may have moved since the commit was read.
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
    """Return why the hub's cache holds the checkpoint but cannot give ``revision``; empty if it does not hold it."""
    folder = _cache_folder(name)
    snapshots = folder / "snapshots"
    try:
        commits = sorted(path.name for path in snapshots.iterdir() if path.is_dir())
    except OSError:
        return ""
    if not commits:
        return ""
    content = f"the hub cache {folder} holds the snapshot {commits[0]} of {name}"
    if len(commits) > 1:
        content = f"the hub cache {folder} holds {len(commits)} snapshots of {name}"
    ref = folder / "refs" / (revision or "main")
    if not ref.is_file():
        why = f"but no file refs/{revision or 'main'} that says which one is {revision or 'main'}"
    elif ref.read_text(encoding="utf-8", errors="replace") != ref.read_text(encoding="utf-8", errors="replace").strip():
        why = f"but refs/{revision or 'main'} has white space around the commit"
    else:
        why = f"but not the one that refs/{revision or 'main'} names"
    return f"{content}, {why}, and the hub cannot be asked. Add model.revision={commits[-1]}"
