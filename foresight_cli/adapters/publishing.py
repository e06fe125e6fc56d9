"""Publishing of saved adapters as model repositories on the Hugging Face hub."""

from __future__ import annotations

from pathlib import Path

from foresight_cli import __version__
from foresight_cli.adapters.hub import CARD, LOG_IN, SETTINGS, TENSORS, is_repo_id, reason_of
from foresight_cli.adapters.saving import load_adapter
from foresight_cli.errors import ForesightError, UsageError

PREVIEWS = ("previews.png", "previews.gif")
"""Pictures of decoded latents; those that are in the folder are published with the adapter."""


def check_push(repo_id: str) -> None:
    """Check, before anything is trained, that an adapter can be pushed; the hub is not contacted.

    Raises:
        UsageError: ``repo_id`` is not a valid name of a repository.
        ForesightError: this machine has no token.
    """
    from huggingface_hub import get_token

    if not is_repo_id(repo_id):
        raise UsageError(
            f"push={repo_id} is not a name of a Hugging Face repository: wanted user/name, of letters, digits, - _ and "
            "., without -- or .., such as push=ada/qwen25vl-to-ltxv"
        )
    if get_token() is None:
        raise ForesightError(f"cannot push to {repo_id}: there is no token of the Hugging Face hub. {LOG_IN}")


def push_adapter(folder: str | Path, repo_id: str) -> str:
    """Publish the adapter in ``folder`` as ``repo_id``, in one commit, and return the repository's address.

    The repository is made if it does not exist, with the default visibility of its owner's repositories (public, unless
    an organisation has another default). The tensors, ``config.json``, ``README.md`` and the previews are sent, and
    nothing else from the folder. The previews show samples of the data.

    Args:
        folder: a folder that :func:`~foresight_cli.adapters.save_adapter` wrote, with a card.
        repo_id: ``user/name``.

    Raises:
        UsageError: ``repo_id`` is not a valid name of a repository.
        ForesightError: the folder holds no complete adapter with a card, there is no token, the token does not allow
            writing there, or the hub cannot be reached.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    check_push(repo_id)
    folder = Path(folder)
    load_adapter(folder)  # an adapter that cannot be loaded is not published
    if not (folder / CARD).is_file():
        raise ForesightError(f"cannot push {folder}: it has no {CARD}. foresight adapt writes one beside the adapter")
    api = HfApi(library_name="foresight", library_version=__version__)
    try:
        url = api.create_repo(repo_id, exist_ok=True)
        api.upload_folder(
            repo_id=repo_id,
            folder_path=folder,
            allow_patterns=[TENSORS, SETTINGS, CARD, *PREVIEWS],
            commit_message=f"Adapter of foresight {__version__}",
        )
    except Exception as error:  # from httpx, httpx2, xet or the disk: the client documents no common type
        status = error.response.status_code if isinstance(error, HfHubHTTPError) else None
        reason = {
            401: f"the Hugging Face hub does not accept this token. {LOG_IN}",
            403: "this token may not write there. Make one that may at https://huggingface.co/settings/tokens",
        }.get(status or 0, reason_of(error))
        raise ForesightError(
            f"cannot push to {repo_id}: {reason}. The adapter stays in {folder}; later, in Python: "
            f"foresight_cli.adapters.push_adapter({str(folder)!r}, {repo_id!r})"
        ) from error
    return str(url)
