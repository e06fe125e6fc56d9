"""What all streaming measures share: sums in self-describing vectors, checked batches, merging, checkpoints."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

import torch
from torchmetrics import Metric

from foresight_cli.errors import ForesightError
from foresight_cli.metrics.validation import Matrix, checked_matrix

FORMAT = 1
"""Version of the layout of all states: a checkpoint of another one is refused."""

_HEADER = 4


class Part(ABC):
    """Sums over some rows in one flat float64 vector: key, rows, d1 and d2, then the arrays that `shapes` names.

    torchmetrics gathers vectors of any length, so a worker without rows (an empty vector) takes part in its
    synchronisation; and all arrays of a part are merged together, as parts with different centres must be.

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
        """The arrays by name, in order."""

    @classmethod
    def zeros(cls, key: int, n: int, d1: int, d2: int, device: torch.device) -> Part:
        """A part whose arrays are all zero."""
        length = _HEADER + sum(math.prod(shape) for shape in cls.shapes(n, d1, d2).values())
        flat = torch.zeros(length, dtype=torch.float64, device=device)
        flat[:_HEADER] = flat.new_tensor([key, n, d1, d2])
        return cls(flat)

    @classmethod
    def split(cls, flat: torch.Tensor) -> Iterator[Part]:
        """The parts that lie one behind the other in ``flat``."""
        while len(flat):
            part = cls(flat)
            yield cls(flat[: part.length])
            flat = flat[part.length :]

    @property
    def n(self) -> int:
        """Rows whose sums it holds."""
        return int(self.flat[1])

    @property
    def seen(self) -> int:
        """Rows that went by."""
        return self.n

    def __getitem__(self, name: str) -> torch.Tensor:
        where, shape = self._place[name]
        return self.flat[where].view(shape)

    def clone(self) -> Part:
        """The same in memory of its own."""
        return type(self)(self.flat.clone())


class StreamingMetric(Metric, ABC):  # type: ignore[misc]
    """A measure of rows that come in batches, on one worker or many, in any order.

    The state is a list of flat vectors, at most one `Part` a key, so what it takes does not grow with the rows. It lies
    on the metric's device (``metric.to("cuda")``), where batches are moved, in float64 whatever they come in.
    ``forward``, synchronisation, ``MetricCollection`` and pickling are torchmetrics' own; ``state_dict`` holds the
    whole state.

    Args:
        settings: what two parts must agree on to be merged, by name; whole numbers.
        **kwargs: torchmetrics' own.
    """

    # `forward` then updates the whole before the batch alone: rows are numbered over the stream in both.
    full_state_update: bool = True
    is_differentiable: bool = False
    part: ClassVar[type[Part]]
    parts: list[torch.Tensor] | torch.Tensor
    settings: torch.Tensor

    def __init__(self, settings: Mapping[str, int] | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._settings = {"format": FORMAT, **(settings or {})}
        self.add_state("parts", [], dist_reduce_fx="cat", persistent=True)
        # A state too, so that no MetricCollection takes metrics with other settings for the same.
        self.add_state("settings", torch.tensor([*self._settings.values()]), dist_reduce_fx="max", persistent=True)

    @property
    def dtype(self) -> torch.dtype:
        """That of the state, and of the empty vector by which a worker without rows is synchronised."""
        return torch.float64

    @property
    def update_called(self) -> bool:
        """Always: rows may have come by merging or loading, and too few of them are refused by `compute` itself."""
        return True

    @property
    def seen(self) -> int:
        """Rows so far, those that were merged included."""
        return sum(part.seen for flat in _listed(self.parts) for part in self.part.split(flat))

    def set_dtype(self, dst_type: str | torch.dtype) -> StreamingMetric:
        """Itself.

        Raises:
            ForesightError: the type is not float64.
        """
        if dst_type not in (torch.float64, "torch.DoubleTensor"):
            raise ForesightError(f"dtype {dst_type}: {type(self).__name__} keeps its sums in torch.float64")
        return self

    def _apply(self, fn: Callable[[torch.Tensor], torch.Tensor], exclude_state: Sequence[str] = "") -> torch.nn.Module:
        # A model's .to(torch.bfloat16) reaches the metrics within it too: theirs is the move, not the rounding.
        def move(tensor: torch.Tensor) -> torch.Tensor:
            sample = fn(tensor[:0])
            return fn(tensor) if sample.dtype == tensor.dtype else tensor.to(sample.device)

        moved: torch.nn.Module = super()._apply(move, exclude_state)
        return moved

    def merge_state(self, incoming_state: dict[str, Any] | Metric) -> None:
        """Add the rows of another worker's metric, or of its ``metric_state``; the other is left as it is.

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
            theirs = [flat.to(self._where()) for flat in _listed(incoming_state["parts"])]
            self.parts = [part.flat for part in self._merged(theirs)]
        self._computed = None  # torchmetrics keeps the value from before

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        if prefix + "settings" in state_dict:
            self._check_settings(state_dict[prefix + "settings"], "the checkpoint")
        super()._load_from_state_dict(state_dict, prefix, *args)
        # Sums are added in place: not in the caller's checkpoint.
        self.parts = [flat.to(self.device).clone() for flat in _listed(self.parts)]
        self._computed = None

    def _check_settings(self, theirs: torch.Tensor, whose: str) -> None:
        if theirs.tolist() != [*self._settings.values()]:
            ours = ", ".join(f"{name}={value}" for name, value in self._settings.items())
            raise ForesightError(
                f"{whose} has the settings {theirs.tolist()}: this {type(self).__name__} wants {ours}, in this order"
            )

    @abstractmethod
    def _merge(self, part: Part, other: Part) -> Part:
        """The rows of both; may change ``part``, not ``other``."""

    def _part_for(self, key: int, d1: int, d2: int) -> Part:
        """The part of that key, whose arrays may be changed in place; one of zeros if there is none."""
        parts = self._merged()
        self.parts = [part.flat for part in parts]
        for part in parts:
            if part.key == key:
                return part
        part = self.part.zeros(key, 0, d1, d2, self._where())
        self.parts.append(part.flat)
        return part

    def _merged(self, more: list[torch.Tensor] | None = None) -> list[Part]:
        """One part a key, in order of their keys. What is synchronised or comes as ``more`` is merged."""
        # Synchronised parts come as one tensor, which `compute` may read twice: merged in a copy.
        flats = [self.parts.clone()] if isinstance(self.parts, torch.Tensor) else self.parts
        found: dict[int, Part] = {}
        for flat, own in [*((flat, True) for flat in flats), *((flat, False) for flat in more or [])]:
            for part in self.part.split(flat):
                for known in [*found.values()][:1]:
                    self._check_widths((known.d1, known.d2), (part.d1, part.d2), "in the other part")
                if part.key in found:
                    found[part.key] = self._merge(found[part.key], part)
                else:
                    found[part.key] = part if own else part.clone()
        return [found[key] for key in sorted(found)]

    def _where(self) -> torch.device:
        # `compute_on_cpu` moves the state away from the metric's own device.
        device: torch.device = self.parts[0].device if len(self.parts) else self.device
        return device

    def _batch(self, x: Matrix, y: Matrix) -> tuple[torch.Tensor, torch.Tensor]:
        """Two batches ``[b, d1]`` and ``[b, d2]`` as they came, of floats, where the state is; b may be 0.

        Raises:
            ForesightError: a batch is invalid, they differ in rows, or are as wide as no earlier one.
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
        self._check_known(first.shape[1], second.shape[1])
        return first.to(self._where()), second.to(self._where())

    def _batch_of_one(self, x: Matrix) -> torch.Tensor:
        """One batch ``[b, d]``, as `_batch` gives two."""
        batch = checked_matrix(x, "x", measure=type(self).__name__, min_rows=0, first_row=self.seen)
        self._check_known(batch.shape[1], 0)
        return batch.to(self._where())

    def _check_known(self, d1: int, d2: int) -> None:
        for part in self._merged()[:1]:
            self._check_widths((part.d1, part.d2), (d1, d2), f"in the batch from row {self.seen} on")

    def _check_widths(self, known: tuple[int, int], given: tuple[int, int], where: str) -> None:
        for side, old, new in zip("xy", known, given, strict=True):
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
