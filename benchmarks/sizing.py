"""Estimates of the time of an extraction and its analysis, and of the bottleneck, from 10^4 to 10^9 pictures.

Unit costs of the processor are measured; those of a GPU and a network, which this machine does not have, are options,
and the output marks them as given. Run by ``python -m benchmarks.sizing``; docs/scaling.md shows its output.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import time
import tracemalloc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from PIL import Image

from benchmarks.machine import described
from foresight_cli.latents.store import SEALING_THREADS

DECADES = tuple(10**k for k in range(4, 10))
LAYERS, WIDTH, TARGET = 5, 3584, 128
"""Layers and width of Qwen2.5-VL-7B with layer=all, and width of LTX-Video, both with pooling=channel_mean."""


@dataclass(frozen=True)
class Costs:
    """Unit costs.

    Attributes:
        gpu: pictures per second through the network on a GPU; given.
        core: pictures per second that a core reads and prepares; measured.
        picture: bytes of a picture's file; given.
        row: bytes per picture in the cache.
        network: bytes per second that a node reads or writes; given.
        sealing: bytes per second that the driver checks at the end, each shard once; measured.
        adding: rows per second of the pass of ``analyze`` on a machine like this one; from benchmarks/SCALE.md.
        sample: bytes that the driver keeps for a picture's id, label and group; measured.
    """

    gpu: float
    core: float
    picture: float
    row: float
    network: float
    sealing: float
    adding: float
    sample: float


@dataclass(frozen=True)
class Machines:
    """A cluster of equal nodes."""

    gpus: int
    gpus_a_node: int = 8
    cores_a_gpu: int = 8
    start: float = 180.0

    @property
    def nodes(self) -> int:
        """Number of nodes."""
        return -(-self.gpus // self.gpus_a_node)


def hours(pictures: int, costs: Costs, machines: Machines) -> dict[str, float]:
    """Return the hours of each part as if it ran alone; extraction overlaps the first four."""
    seconds = {
        "start": machines.start,
        "GPUs": pictures / (costs.gpu * machines.gpus),
        "decoding": pictures / (costs.core * machines.cores_a_gpu * machines.gpus),
        "network": pictures * (costs.picture + costs.row) / (costs.network * machines.nodes),
        "sealing": pictures * costs.row / costs.sealing,
        "analysis": pictures / costs.adding,
    }
    return {name: value / 3600 for name, value in seconds.items()}


def driver_bytes(pictures: int, costs: Costs) -> float:
    """Return the size of the driver's list of samples."""
    return pictures * costs.sample


def table(costs: Costs, machines: Machines, memory: float = 64e9) -> list[str]:
    """Return a Markdown table with a row for each decade; the slowest part is the bottleneck."""
    lines = [
        "| pictures | cache | GPUs | decoding | network | sealing | analysis | the driver's list | what holds it up |",
        "|---:|---:|---:|---:|---:|---:|---:|---:|---|",
    ]
    for pictures in DECADES:
        parts = hours(pictures, costs, machines)
        kept = driver_bytes(pictures, costs)
        slowest = max(parts, key=parts.__getitem__)
        limit = f"{slowest}; the list does not fit in {memory / 1e9:.0f} GB" if kept > memory else slowest
        cells = [_time(parts[name]) for name in ("GPUs", "decoding", "network", "sealing", "analysis")]
        lines.append(
            f"| 10^{len(str(pictures)) - 1} | {_size(pictures * costs.row)} | {' | '.join(cells)} | {_size(kept)} | "
            f"{limit} |"
        )
    return lines


def _time(hours_: float) -> str:
    seconds = hours_ * 3600
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{hours_:,.1f} h"


def _size(count: float) -> str:
    for unit in ("kB", "MB", "GB"):
        count /= 1000
        if count < 1000:
            return f"{count:.3g} {unit}"
    return f"{count / 1000:.3g} TB"


def _per_second(work: Callable[[], object], repeats: int) -> float:
    work()
    begin = time.perf_counter()
    for _ in range(repeats):
        work()
    return repeats / (time.perf_counter() - begin)


def measured_core() -> tuple[float, int]:
    """Measure pictures per second that a core decodes (JPEG, 640 x 480) and resizes to 252 x 252; and the file size."""
    rng = np.random.default_rng(0)
    coarse = Image.fromarray(rng.integers(0, 256, (30, 40, 3), dtype=np.uint8))
    smooth = coarse.resize((640, 480), Image.Resampling.BICUBIC)
    file = io.BytesIO()
    noise = rng.normal(0, 6, (480, 640, 3))
    Image.fromarray((np.asarray(smooth) + noise).clip(0, 255).astype(np.uint8)).save(file, "jpeg", quality=90)
    data = file.getvalue()

    def prepare() -> np.ndarray:
        pixels = Image.open(io.BytesIO(data)).convert("RGB").resize((252, 252), Image.Resampling.BICUBIC)
        return (np.asarray(pixels, dtype=np.float32) / 255 - 0.5) / 0.25

    return _per_second(prepare, 100), len(data)


def measured_sealing() -> float:
    """Measure bytes per second of SHA-256 with the number of threads of `Entry.seal`, on this machine."""
    data = bytes(1 << 25)
    with ThreadPoolExecutor(SEALING_THREADS) as pool:
        checked = _per_second(lambda: list(pool.map(hashlib.sha256, [data] * SEALING_THREADS)), 4)
    return SEALING_THREADS * len(data) * checked


def measured_sample() -> float:
    """Measure the bytes of a sample (of a folder of pictures) in the driver's list."""
    from foresight_cli.data import Sample

    tracemalloc.start()
    count = 50_000
    names = (f"category-{i % 40:02d}/picture-{i:09d}.jpg" for i in range(count))
    kept = [Sample(name, name.partition("/")[0], name) for name in names]
    taken = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return taken / len(kept)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sizing", description=__doc__)
    parser.add_argument("--gpu", type=float, default=100.0, help="pictures/s on a GPU: foresight extract prints it")
    parser.add_argument("--adding", type=float, default=5000.0, help="rows per second of the pass: benchmarks/SCALE.md")
    parser.add_argument("--network", type=float, default=2.5, help="GB per second of a node")
    parser.add_argument("--gpus", type=int, nargs="+", default=[8, 80])
    options = parser.parse_args()
    core, picture = measured_core()
    costs = Costs(
        gpu=options.gpu,
        core=core,
        picture=picture,
        row=4 * (LAYERS * WIDTH + TARGET),  # means are kept in float32
        network=options.network * 1e9,
        sealing=measured_sealing(),
        adding=options.adding,
        sample=measured_sample(),
    )
    print(described())
    print(
        f"\nMeasured: a core prepares {costs.core:.0f} pictures/s, sealing checks {costs.sealing / 1e6:.0f} MB/s, a "
        f"sample takes {costs.sample:.0f} bytes of the driver.\nGiven: {costs.gpu:g} pictures/s a GPU, "
        f"{costs.picture / 1e3:.0f} kB a picture, {options.network:g} GB/s a node, {costs.adding:g} rows/s of analysis."
    )
    for gpus in options.gpus:
        machines = Machines(gpus)
        print(f"\n{gpus} GPUs in {machines.nodes} {'node' if machines.nodes == 1 else 'nodes'}:\n")
        print("\n".join(table(costs, machines)))


if __name__ == "__main__":
    main()
