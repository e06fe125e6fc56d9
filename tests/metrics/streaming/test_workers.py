"""Tests in separate processes: torchmetrics' synchronisation of workers, and memory independent of the rows."""

import json
import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import torch

from foresight_cli.metrics import linear_cka, participation_ratio, rsa
from foresight_cli.metrics.streaming import LinearProbe
from foresight_cli.metrics.streaming.rsa import row_hash

# One process for both: importing takes longer than either.
SCRIPT = """
    import json, os, resource, sys
    import foresight_cli.metrics
    slow = "torchmetrics" in sys.modules
    import torch, torch.distributed as dist
    from foresight_cli.metrics.streaming import RSA, LinearCKA, LinearProbe, Moments, ParticipationRatio

    def peak(rows, size=1000):
        generator = torch.Generator().manual_seed(0)
        metrics = LinearCKA(), LinearProbe(penalties=[1]), Moments(), RSA(500)
        for start in range(0, rows, size):
            x, y = (torch.randn(size, 64, generator=generator) for _ in range(2))
            metrics[0].update(x, y)
            metrics[1].update(x, y, fold=start // size % 5)
            metrics[2].update(x)
            metrics[3].update(x, y)
        assert [metric.seen for metric in metrics] == [rows] * 4
        for metric in metrics:
            metric.compute()
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

    folder, world = sys.argv[1], 3
    peak(5_000)
    print(json.dumps([slow, peak(50_000), peak(200_000)]), flush=True)

    rank = next((rank for rank in (1, 2) if os.fork() == 0), 0)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=world)
    x, y = torch.load(f"{folder}/rows.pt")
    metrics = LinearCKA(), ParticipationRatio(), LinearProbe(3, [0.1]), RSA(40, None)
    # Rank 1 sees no rows at all; rank 2 sees a third of them.
    rows = {0: torch.arange(130), 1: torch.arange(0), 2: torch.arange(130, 200)}[rank]
    for part in rows.split(50):
        if len(part):
            metrics[0].update(x[part], y[part])
            metrics[1].update(x[part])
            metrics[2].update(x[part], y[part], groups=part)
            metrics[3].update(x[part], y[part], index=part)
    values = [metric.compute() for metric in metrics]
    local = [metric.seen for metric in metrics]
    results = [float(values[0]), float(values[1]), values[2].r2, values[3].rsa, local]
    with open(f"{folder}/{rank}.json", "w") as file:
        json.dump(results, file)
    dist.barrier()
    dist.destroy_process_group()
    if rank:
        os._exit(0)
    for _ in range(2):
        os.wait()
"""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forks; the unit of ru_maxrss")


@pytest.fixture(scope="module")
def ran(g1, tmp_path_factory):
    """Return the output of the script, and the folder that it wrote to."""
    folder = tmp_path_factory.mktemp("workers")
    torch.save(tuple(torch.tensor(values) for values in g1), folder / "rows.pt")
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(SCRIPT), str(folder)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, folder


def test_memory_does_not_grow_with_the_rows(ran):
    slow, few, many = json.loads(ran[0])
    # 150,000 more rows of 64 + 64 numbers are 73 MB in float32 and 146 MB in float64.
    assert many - few < 8
    assert not slow, "foresight_cli.metrics imports torchmetrics"


def test_torchmetrics_synchronises_workers_one_of_them_without_rows(ran, g1):
    x, y = g1
    whole = LinearProbe(3, [0.1])
    whole.update(x, y, groups=range(200))
    kept = np.sort(np.argsort(row_hash(np.arange(200), 0))[:40])
    expected = [linear_cka(x, y), participation_ratio(x), whole.compute().r2, rsa(x[kept], y[kept])]
    for rank, local in enumerate((130, 0, 70)):
        *results, seen = json.loads((ran[1] / f"{rank}.json").read_text())
        assert results == pytest.approx(expected, rel=1e-10)
        assert seen == [local] * 4, "after compute() each worker has only the rows it added"
