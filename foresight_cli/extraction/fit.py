"""Check, before any weight is read, that a network with the activations of one sample fits into free memory."""

from __future__ import annotations

from dataclasses import dataclass

from foresight_cli.config import ExtractConfig, LocalConfig, NetworkConfig
from foresight_cli.errors import ForesightError
from foresight_cli.machine.devices import usable_device
from foresight_cli.machine.memory import free_bytes
from foresight_cli.models import LatentModel
from foresight_cli.models.checkpoint_files import LARGE
from foresight_cli.models.network import ITEMSIZE
from foresight_cli.models.size import unhashed_bytes


@dataclass(frozen=True)
class Need:
    """The memory that a run takes on ``device``, estimated from config files and the headers of the weights.

    Attributes:
        device: device of the network.
        dtype: dtype of the network.
        weights: bytes of the network.
        forward: bytes of one sample's activations at their largest; None if unknown.
        copies: number of processes that each hold the network on the device.
    """

    device: str
    dtype: str
    weights: int
    forward: int | None
    copies: int = 1

    @property
    def bytes(self) -> int:
        """Total bytes of all copies."""
        return self.copies * (self.weights + (self.forward or 0))

    def __str__(self) -> str:
        forward = "" if self.forward is None else f" and about {_gigabytes(self.forward)} for one sample"
        copies = "" if self.copies == 1 else f", in each of {self.copies} workers"
        return f"{_gigabytes(self.weights)} for the weights in {self.dtype}{forward}{copies}"


def need_of(config: ExtractConfig, model: LatentModel) -> Need | None:
    """Return the memory that ``model`` takes on this machine; None if it is unknown, or if others place the network.

    Args:
        config: settings with a dtype that is no longer ``auto``.
        model: the model, not loaded.

    Raises:
        ForesightError: the checkpoint's files cannot be read; the device cannot be used.
    """
    network = config.model
    if not isinstance(network, NetworkConfig) or not isinstance(config.runner, LocalConfig):
        return None
    size = model.size(getattr(config.data, "frames", 1))
    if size is None or size.weights is None or getattr(network, "device_map", None) is not None:
        return None
    device = usable_device(config.device)
    copies = config.runner.workers
    if device == "cuda":
        import torch

        copies = -(-copies // torch.cuda.device_count())  # on the GPU with the most copies
    itemsize = ITEMSIZE[network.dtype]
    forward = None if size.activations is None else itemsize * size.activations
    return Need(device, network.dtype, itemsize * size.weights, forward, copies)


def check_fit(config: ExtractConfig, model: LatentModel) -> str:
    """Describe the memory that a run takes and the free memory; "" if what it takes is unknown.

    Args:
        config: settings with a dtype that is no longer ``auto``.
        model: the model, not loaded.

    Raises:
        ForesightError: the run does not fit into the free memory of its device; the message lists what takes less.
    """
    need = need_of(config, model)
    if need is None:
        return ""
    free = free_bytes(need.device)
    if need.bytes > free:
        raise _too_large(need, free, getattr(config.model, "checkpoint", config.model.name))
    return f"it takes {need}; {need.device} has {_gigabytes(free)} free"


def check_fit_before_hashing(config: ExtractConfig, model: LatentModel) -> None:
    """Check the fit before gigabytes of weights are hashed for a key; arguments as for :func:`check_fit`.

    Raises:
        ForesightError: as :func:`check_fit`.
    """
    checkpoint = getattr(model, "checkpoint", None)
    if checkpoint is not None and unhashed_bytes(checkpoint) > LARGE:
        check_fit(config, model)


def _too_large(need: Need, free: int, name: str) -> ForesightError:
    less = ["free memory"]
    if need.copies > 1:
        less.append("fewer workers (runner.workers=1)")
    if need.dtype == "float32":
        less.append(f"model.dtype=bfloat16 ({_gigabytes(need.weights // 2)} of weights)")
    if need.device.startswith("cuda"):
        less.append("model.device_map=auto to spread Qwen2.5-VL over all GPUs and memory")
    less.append("a smaller checkpoint")
    return ForesightError(
        f"{name} does not fit: it takes {need}, and {need.device} has {_gigabytes(free)} free. "
        f"What helps: {', '.join(less[:-1])}, or {less[-1]}"
    )


def _gigabytes(count: float) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e8 else f"{count / 1e6:.1f} MB"
