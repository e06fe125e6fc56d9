"""Whether a network and one sample on its way through it fit into free memory, before any weight is read."""

from __future__ import annotations

from dataclasses import dataclass

from foresight_cli.config import ExtractConfig, LocalConfig, NetworkConfig
from foresight_cli.devices import usable_device
from foresight_cli.errors import ForesightError
from foresight_cli.extraction.memory import free_bytes
from foresight_cli.models import LatentModel
from foresight_cli.models.checkpoint_files import LARGE
from foresight_cli.models.network import ITEMSIZE
from foresight_cli.models.size import unhashed_bytes


@dataclass(frozen=True)
class Need:
    """What a run takes from the memory of ``device``, estimated from config files and the headers of the weights.

    Attributes:
        device: where the network runs.
        dtype: the numbers that it computes in.
        weights: bytes of the network.
        forward: bytes of one sample's activations at their widest; None where the config does not say.
        copies: processes that each hold the network there.
    """

    device: str
    dtype: str
    weights: int
    forward: int | None
    copies: int = 1

    @property
    def bytes(self) -> int:
        """All of it."""
        return self.copies * (self.weights + (self.forward or 0))

    def __str__(self) -> str:
        forward = "" if self.forward is None else f" and about {_gigabytes(self.forward)} for one sample"
        copies = "" if self.copies == 1 else f", in each of {self.copies} workers"
        return f"{_gigabytes(self.weights)} for the weights in {self.dtype}{forward}{copies}"


def need_of(config: ExtractConfig, model: LatentModel) -> Need | None:
    """What ``model`` takes on this machine; None where that is unknown, or where others decide what goes where.

    Args:
        config: with a dtype that is no longer ``auto``.
        model: not loaded.

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

        copies = -(-copies // torch.cuda.device_count())  # the GPU that has the most of them
    itemsize = ITEMSIZE[network.dtype]
    forward = None if size.activations is None else itemsize * size.activations
    return Need(device, network.dtype, itemsize * size.weights, forward, copies)


def check_fit(config: ExtractConfig, model: LatentModel) -> str:
    """What a run takes and what is free, in words; empty where that is unknown.

    Args:
        config: with a dtype that is no longer ``auto``.
        model: not loaded.

    Raises:
        ForesightError: it does not fit into the free memory of its device: what takes less.
    """
    need = need_of(config, model)
    free = None if need is None else free_bytes(need.device)
    if need is None or free is None:
        return ""
    if need.bytes > free:
        raise _too_large(need, free, getattr(config.model, "checkpoint", config.model.name))
    return f"it takes {need}; {need.device} has {_gigabytes(free)} free"


def check_fit_before_hashing(config: ExtractConfig, model: LatentModel) -> None:
    """Stop where gigabytes of weights would be hashed for the key of a network that does not fit; arguments as above.

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
