"""The Hugging Face hub: download of adapters, and its errors as one line each."""

from __future__ import annotations

from pathlib import Path

from foresight_cli.errors import ForesightError, first_line

TENSORS, SETTINGS, CARD = "adapter.safetensors", "config.json", "README.md"
"""The files of an adapter, in a folder and in a repository."""

LOG_IN = "Log in with hf auth login, or set HF_TOKEN"


def is_repo_id(text: str) -> bool:
    """Check whether ``text`` can be the name of a repository, such as ``user/name``.

    >>> is_repo_id("ada/qwen-to-ltxv"), is_repo_id("ada"), is_repo_id("outputs/adapt/1"), is_repo_id("ada/a b")
    (True, False, False, False)
    """
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]

    try:
        validate_repo_id(text)
    except HFValidationError:
        return False
    return "/" in text


def fetch_adapter(repo_id: str) -> Path:
    """Download the adapter ``repo_id``, unless the hub's cache has its newest version, and return its folder there.

    Raises:
        ForesightError: the hub has no such repository, refuses, or cannot be reached and nothing is cached.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import RepositoryNotFoundError

    nowhere = f"no adapter in {repo_id}: there is no such folder, and"
    try:
        return Path(snapshot_download(repo_id, allow_patterns=[TENSORS, SETTINGS]))
    except RepositoryNotFoundError as error:
        raise ForesightError(
            f"{nowhere} the Hugging Face hub shows no such repository. Is it private? {LOG_IN}"
        ) from error
    except Exception as error:  # from httpx, httpx2, xet or the disk: the client documents no common type
        raise ForesightError(f"{nowhere} {reason_of(error)}") from error


def reason_of(error: Exception) -> str:
    """Return the hub's answer, or the reason why it did not answer, as the end of a sentence."""
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    if isinstance(error, LocalEntryNotFoundError) and isinstance(error.__cause__, Exception):
        error = error.__cause__  # the hub's error itself; that nothing is cached is clear from the context
    if isinstance(error, HfHubHTTPError):
        answer = error.response
        detail = f": {' '.join(error.server_message.split())}" if error.server_message else ""
        return f"the Hugging Face hub answered {answer.status_code} {answer.reason_phrase}{detail}"
    if isinstance(error, (OSError, *HfHubHTTPError.__bases__)):  # these bases are the errors of the installed httpx
        return f"the Hugging Face hub cannot be reached ({first_line(error)})"
    return f"the client of the Hugging Face hub stopped ({type(error).__name__}: {first_line(error)})"
