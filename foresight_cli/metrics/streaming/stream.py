"""The base of all streaming measures: sums in self-describing vectors, checked batches, merging, checkpoints."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Self

import torch
from torchmetrics import Metric

from foresight_cli.errors import ForesightError
from foresight_cli.metrics.validation import Matrix, checked_matrix

FORMAT = 1
"""Version of the layout of all states: a checkpoint of another version is refused."""

_HEADER = 4


class Part(ABC):
    """Sums over some rows in one flat float64 vector: key, rows, d1 and d2, then the arrays that `shapes` names.

    torchmetrics gathers vectors of any length, so a worker without rows (an empty vector) can take part in its
    synchronisation. All arrays of a part are merged together, because parts may have different centres.

    Args:
        flat: the vector ``[h]``; the part is a view of it.
    """

    def __init__(self, flat: torch.Tensor) -> None:
        self.flat = flat
        self.key, _, self.d1, self.d2 = (int(value) for value in flat[:_HEADER].tolist())
        self._place: dict[str, tuple[slice, tuple[int, ...]]] = {}
        start = _HEADER
        for name, shape in self.shapes(self.n, self.d1, self.d2).items():
            self._place[name] = slice(start, start + math.prod(shape)), shape
            start += math.prod(shape)
        self.length = start

    @staticmethod
    @abstractmethod
    def shapes(n: int, d1: int, d2: int) -> dict[str, tuple[int, ...]]:
        """Return the shapes of the arrays by name, in order."""

    @classmethod
    def zeros(cls, key: int, n: int, d1: int, d2: int, device: torch.device) -> Self:
        """Return a part whose arrays are all zero."""
        length = _HEADER + sum(math.prod(shape) for shape in cls.shapes(n, d1, d2).values())
        flat = torch.zeros(length, dtype=torch.float64, device=device)
        flat[:_HEADER] = flat.new_tensor([key, n, d1, d2])
        return cls(flat)

    @classmethod
    def split(cls, flat: torch.Tensor) -> Iterator[Self]:
        """Yield the parts that are stored one after the other in ``flat``."""
        while len(flat):
            part = cls(flat)
            yield cls(flat[: part.length])
            flat = flat[part.length :]

    @property
    def n(self) -> int:
        """Number of rows in the sums."""
        return int(self.flat[1])

    @property
    def seen(self) -> int:
        """Number of rows seen, including rows that are not kept."""
        return self.n

    def __getitem__(self, name: str) -> torch.Tensor:
        place, shape = self._place[name]
        return self.flat[place].view(shape)

    def clone(self) -> Self:
        """Return a copy in new memory."""
        return type(self)(self.flat.clone())


class StreamingMetric(Metric, ABC):  # type: ignore[misc]
    """A measure of rows that come in batches, on one worker or many, in any order.

    The state is a list of flat vectors, at most one `Part` per key, so its size does not grow with the rows. It is on
    the metric's device (``metric.to("cuda")``), to which batches are moved, and always in float64. ``forward``,
    synchronisation, ``MetricCollection`` and pickling are those of torchmetrics; ``state_dict`` holds the whole state.

    Args:
        settings: settings that two parts must share to be merged, by name; whole numbers.
        **kwargs: arguments of ``torchmetrics.Metric``.
    """

    # With this, `forward` updates the whole state before that of the batch alone; rows are numbered over the stream.
    full_state_update: bool = True
    is_differentiable: bool = False
    part: ClassVar[type[Part]]
    parts: list[torch.Tensor] | torch.Tensor
    settings: torch.Tensor

    def __init__(self, settings: Mapping[str, int] | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._settings = {"format": FORMAT, **(settings or {})}
        self.add_state("parts", [], dist_reduce_fx="cat", persistent=True)
        # A state too, so that a MetricCollection does not merge metrics with different settings.
        self.add_state("settings", torch.tensor([*self._settings.values()]), dist_reduce_fx="max", persistent=True)

    @property
    def dtype(self) -> torch.dtype:
        """Type of the state, and of the empty vector that a worker without rows contributes when synchronised."""
        return torch.float64

    @property
    def update_called(self) -> bool:
        """Always True: rows may have come by merging or loading, and `compute` itself refuses too few of them."""
        return True

    @property
    def seen(self) -> int:
        """Number of rows so far, including merged ones."""
        return sum(part.seen for flat in _listed(self.parts) for part in self.part.split(flat))

    def set_dtype(self, dst_type: str | torch.dtype) -> StreamingMetric:
        """Return the metric itself; the type is always float64.

        Raises:
            ForesightError: the type is not float64.
        """
        if dst_type not in (torch.float64, "torch.DoubleTensor"):
            raise ForesightError(f"dtype {dst_type}: {type(self).__name__} keeps its sums in torch.float64")
        return self

    def _apply(self, fn: Callable[[torch.Tensor], torch.Tensor], exclude_state: Sequence[str] = "") -> torch.nn.Module:
        # A model's .to(torch.bfloat16) also reaches the metrics in it: they follow the move to a device, not the dtype.
        def move(tensor: torch.Tensor) -> torch.Tensor:
            sample = fn(tensor[:0])
            return fn(tensor) if sample.dtype == tensor.dtype else tensor.to(sample.device)

        moved: torch.nn.Module = super()._apply(move, exclude_state)
        return moved

    def merge_state(self, incoming_state: dict[str, Any] | Metric) -> None:
        """Add the rows of another worker's metric, or of its ``metric_state``; the other is not changed.

        Raises:
            ForesightError: it is another measure, has other settings, or comes from spaces of other widths.
        """
        name = type(self).__name__
        if isinstance(incoming_state, Metric):
            if type(incoming_state) is not type(self):
                raise ForesightError(f"{type(incoming_state).__name__} cannot be merged into {name}: wanted {name}")
            incoming_state = incoming_state.metric_state
        self._check_settings(incoming_state["settings"], "the other part")
        with torch.inference_mode(False), torch.no_grad():
            others = [flat.to(self._state_device()) for flat in _listed(incoming_state["parts"])]
            self.parts = [part.flat for part in self._merged(others)]
        self._computed = None  # otherwise torchmetrics returns the value from before

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        if prefix + "settings" in state_dict:
            self._check_settings(state_dict[prefix + "settings"], "the checkpoint")
        super()._load_from_state_dict(state_dict, prefix, *args)
        # Sums are added in place: copy them, so that the caller's checkpoint does not change.
        self.parts = [flat.to(self.device).clone() for flat in _listed(self.parts)]
        self._computed = None

    def _check_settings(self, settings: torch.Tensor, owner: str) -> None:
        values = settings.tolist()
        if values != [*self._settings.values()]:
            wanted = ", ".join(f"{name}={value}" for name, value in self._settings.items())
            raise ForesightError(
                f"{owner} has the settings {values}: this {type(self).__name__} wants {wanted}, in this order"
            )

    @abstractmethod
    def _merge(self, part: Part, other: Part) -> Part:
        """Return a part with the rows of both; may change ``part``, not ``other``."""

    def _part_for(self, key: int, d1: int, d2: int) -> Part:
        """Return the part of that key, whose arrays may be changed in place; make a part of zeros if it is missing."""
        parts = self._merged()
        self.parts = [part.flat for part in parts]
        for part in parts:
            if part.key == key:
                return part
        part = self.part.zeros(key, 0, d1, d2, self._state_device())
        self.parts.append(part.flat)
        return part

    def _merged(self, more: list[torch.Tensor] | None = None) -> list[Part]:
        """Merge all parts, synchronised ones and ``more`` included, into one part per key, in order of the keys."""
        # Synchronised parts come as one tensor, which `compute` may read twice: merge in a copy.
        flats = [self.parts.clone()] if isinstance(self.parts, torch.Tensor) else self.parts
        merged: dict[int, Part] = {}
        for flat, writable in [*((flat, True) for flat in flats), *((flat, False) for flat in more or [])]:
            for part in self.part.split(flat):
                for first in [*merged.values()][:1]:
                    self._check_widths((first.d1, first.d2), (part.d1, part.d2), "in the other part")
                if part.key in merged:
                    merged[part.key] = self._merge(merged[part.key], part)
                else:
                    merged[part.key] = part if writable else part.clone()
        return [merged[key] for key in sorted(merged)]

    def _state_device(self) -> torch.device:
        # `compute_on_cpu` moves the state away from the metric's own device.
        device: torch.device = self.parts[0].device if len(self.parts) else self.device
        return device

    def _batch(self, x: Matrix, y: Matrix) -> tuple[torch.Tensor, torch.Tensor]:
        """Return both batches ``[b, d1]`` and ``[b, d2]``, checked, on the device of the state; b may be 0.

        Raises:
            ForesightError: a batch is invalid, the sides differ in their number of rows, or have other widths than the
                rows before.
        """
        name, seen = type(self).__name__, self.seen
        first, second = (
            checked_matrix(values, side, measure=name, min_rows=0, first_row=seen)
            for values, side in ((x, "x"), (y, "y"))
        )
        if len(first) != len(second):
            raise ForesightError(
                f"x has {len(first)} rows and y has {len(second)} in the batch from row {seen} on: {name} wants the "
                "same samples in the same order"
            )
        self._check_batch_widths(first.shape[1], second.shape[1])
        return first.to(self._state_device()), second.to(self._state_device())

    def _batch_of_one(self, x: Matrix) -> torch.Tensor:
        """Return one batch ``[b, d]``, checked as in `_batch`."""
        batch = checked_matrix(x, "x", measure=type(self).__name__, min_rows=0, first_row=self.seen)
        self._check_batch_widths(batch.shape[1], 0)
        return batch.to(self._state_device())

    def _check_batch_widths(self, d1: int, d2: int) -> None:
        for part in self._merged()[:1]:
            self._check_widths((part.d1, part.d2), (d1, d2), f"in the batch from row {self.seen} on")

    def _check_widths(self, before: tuple[int, int], widths: tuple[int, int], where: str) -> None:
        for side, old, new in zip("xy", before, widths, strict=True):
            if old != new:
                raise ForesightError(
                    f"{side} has {new} columns {where}: {type(self).__name__} wants {old}, as in the rows before"
                )

    def _check_rows(self, least: int) -> None:
        if self.seen < least:
            raise ForesightError(
                f"{type(self).__name__} has {self.seen} rows so far: wanted at least {least} before compute()"
            )


def _listed(parts: list[torch.Tensor] | torch.Tensor) -> list[torch.Tensor]:
    return [parts] if isinstance(parts, torch.Tensor) else parts
