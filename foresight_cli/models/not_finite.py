"""Latents that are NaN or infinite: find the reason, damaged weights or a dtype that is too narrow."""

from __future__ import annotations

from typing import NamedTuple

from foresight_cli.errors import ForesightError
from foresight_cli.models.checkpoint import Checkpoint

WIDER = {
    "float16": "float16 overflows in large models: use model.dtype=bfloat16, or model.dtype=float32",
    "bfloat16": "Use model.dtype=float32",
    "float32": "float32 is the widest dtype there is: the network itself gives no finite numbers for these samples",
}
"""Advice, by the dtype that the latents were computed in."""


class Spoiled(NamedTuple):
    """A weight that is not finite.

    Attributes:
        name: in the file.
        file: the file that holds it.
        value: ``NaN`` or ``inf``.
    """

    name: str
    file: str
    value: str


def spoiled_weight(checkpoint: Checkpoint) -> Spoiled | None:
    """Find the first weight in the files of ``checkpoint`` that holds NaN or infinity. Reads all of them."""
    from safetensors import safe_open

    if checkpoint.layout is None:
        return None
    folder = checkpoint.fetch() / (checkpoint.subfolder or "")
    for file in checkpoint.layout.weights:
        with safe_open(folder / file, framework="pt") as weights:
            for name in weights.keys():  # noqa: SIM118 (it is no mapping)
                tensor = weights.get_tensor(name)
                if tensor.is_floating_point() and tensor.element_size() > 1 and not tensor.isfinite().all():
                    return Spoiled(name, file, "NaN" if tensor.isnan().any() else "inf")
    return None


def refuse_spoiled(checkpoint: Checkpoint) -> None:
    """Refuse ``checkpoint`` if a weight in its files is NaN or infinite.

    Raises:
        ForesightError: there is one.
    """
    if weight := spoiled_weight(checkpoint):
        raise ForesightError(
            f"the checkpoint {checkpoint.name} is damaged: {weight.name} in {weight.file} holds {weight.value}. Copy "
            "or download it again, or take one that was saved before its training failed"
        )


def not_finite_advice(model: object) -> str:
    """Return what to do about latents of ``model`` that are not finite.

    Raises:
        ForesightError: its weights themselves are not finite.
    """
    checkpoint = getattr(model, "checkpoint", None)
    if isinstance(checkpoint, Checkpoint):
        refuse_spoiled(checkpoint)
    dtype = getattr(getattr(model, "config", None), "dtype", "")
    return WIDER.get(dtype, "The samples themselves are not finite")
