"""Several models as one model, so that each clip is decoded once for all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from foresight_cli.models import LatentModel, Prepared, Tap

if TYPE_CHECKING:
    from foresight_cli.data.clip import Clip
    from foresight_cli.models.model import Vectors


@dataclass(frozen=True)
class PreparedForAll(Prepared):
    """One sample, prepared for each of several models, by the model's name."""

    parts: Mapping[str, Prepared] = field(default_factory=dict)


class Together:
    """Several models that do not pad, presented as one model; each tap belongs to one of them, see :meth:`tap`.

    The latents are those of each model alone, as long as samples of one shape for one model have one shape for all.
    """

    pads = False

    def __init__(self, models: Mapping[str, LatentModel]) -> None:
        assert not any(model.pads for model in models.values())
        self._models = models

    @staticmethod
    def tap(name: str, tap: Tap) -> Tap:
        """Return the name here of the tap ``tap`` of the model ``name``."""
        return Tap(f"{name} {tap.layer}", tap.pooling)

    def load(self, device: str) -> None:
        """Load every model, see :class:`LatentModel`."""
        for model in self._models.values():
            model.load(device)

    def prepare(self, clip: Clip, sample_id: str) -> PreparedForAll:
        """Prepare a clip for every model, see :class:`LatentModel`."""
        parts = {name: model.prepare(clip, sample_id) for name, model in self._models.items()}
        tensors = {f"{name} {key}": tensor for name, part in parts.items() for key, tensor in part.tensors.items()}
        shape = tuple(size for part in parts.values() for size in (len(part.shape), *part.shape))
        return PreparedForAll(sample_id, tensors, shape, max(part.length for part in parts.values()), parts)

    def features(self, batch: Sequence[Prepared], taps: Sequence[Tap]) -> dict[Tap, Vectors]:
        """Return the latents of ``taps``, see :class:`LatentModel`; only models of ``taps`` run."""
        read: dict[Tap, Vectors] = {}
        for name, model in self._models.items():
            own = {tap: Tap(tap.layer.removeprefix(f"{name} "), tap.pooling) for tap in taps if _of(tap, name)}
            if own:
                parts = [sample.parts[name] for sample in batch if isinstance(sample, PreparedForAll)]
                made = model.features(parts, list(own.values()))
                read |= {tap: made[its] for tap, its in own.items()}
        return read


def _of(tap: Tap, name: str) -> bool:
    return tap.layer.startswith(f"{name} ")
