"""Ray, as foresight uses it: connected for one run, quiet, and on loopback where foresight itself starts it."""

from __future__ import annotations

import logging
import os
import socket
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from typing import Any

from foresight_cli.config import RayConfig
from foresight_cli.devices import has_gpu
from foresight_cli.errors import ForesightError

log = logging.getLogger(__name__)

TRIES = 3
PATIENCE = 60.0
"""Seconds in which an actor of ours must answer."""


@contextmanager
def connected(config: RayConfig) -> Iterator[Any]:
    """The module ``ray``, connected to the cluster of ``runner.address``; it lets go at the end.

    Raises:
        ForesightError: Ray is not installed, or no cluster answers.
    """
    address = _address(config)
    if address == "local":
        # Ray's own switch for machines whose clusters have one node: every port is then bound to loopback.
        os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        if os.environ.setdefault("RAY_AUTH_MODE", "token") == "token":  # another user of this machine has none
            os.environ.setdefault("RAY_AUTH_TOKEN", token_hex(32))
    else:
        refuse_silence(config)
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    os.environ.setdefault("RAY_ENABLE_AUTO_CONNECT", "0")  # a thread that outlives the run is to start no cluster
    try:
        import ray
    except ImportError:
        raise ForesightError(
            "runner=ray needs Ray: pip install 'foresight-latents[ray]', here and on every node of the cluster"
        ) from None
    if ray.is_initialized():  # the caller's own
        yield ray
        return
    quiet = {"log_to_driver": False, "logging_level": logging.ERROR}
    mine = {"include_dashboard": False} if address == "local" else {}
    try:
        with _silent_stderr():
            _init(ray, address=address, **quiet, **mine)
    except Exception as error:  # ConnectionError, and gRPC's own
        said = (str(error).splitlines() or [""])[0]
        raise _no_answer(config.address, f"{type(error).__name__}: {said}") from None
    if address == "local":
        log.info("Ray: a cluster of this machine alone, started for this run")
    _hush()
    try:
        yield ray
    finally:
        ray.shutdown()


def _init(ray: Any, **how: Any) -> None:
    """Connect; a client's server that is slow to start is asked again, as it says "aborted"."""
    for attempt in range(TRIES):
        try:
            ray.init(**how)
            return
        except ConnectionAbortedError:
            if attempt == TRIES - 1:
                raise
            time.sleep(2.0)


@contextmanager
def _silent_stderr() -> Iterator[None]:
    """Ray's C++ side writes to the terminal as it starts; what goes wrong there is raised too."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _hush() -> None:
    """Leave it to foresight to say what matters: a worker that is lost is told of in one line, not in Ray's ten."""
    for name in ("ray", "ray.data"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    with suppress(ImportError, AttributeError, KeyError):  # no public door
        from ray._private.ray_logging import global_worker_stdstream_dispatcher

        global_worker_stdstream_dispatcher.remove_handler("ray_print_logs")


def _running() -> str:
    """The address of a cluster that Ray knows of, without importing it: its own variable, or the file it leaves."""
    file = Path(os.environ.get("RAY_TMPDIR") or tempfile.gettempdir(), "ray", "ray_current_cluster")
    with suppress(OSError):
        return os.environ.get("RAY_ADDRESS") or file.read_text().strip()
    return ""


def _address(config: RayConfig) -> str:
    return (_running() or "local") if config.address == "auto" else config.address


def refuse_silence(config: RayConfig) -> None:
    """Look whether anybody listens, at once: Ray tries for minutes.

    Raises:
        ForesightError: nobody does.
    """
    address = _address(config)
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host and port.isdigit():
        try:
            socket.create_connection((host, int(port)), timeout=10).close()
        except OSError as error:
            raise _no_answer(config.address, f"{address}: {error.strerror or error}") from None


def _no_answer(asked: str, why: str) -> ForesightError:
    token = "" if "RAY_AUTH_MODE" in os.environ else "; if its head asks for a token, set RAY_AUTH_MODE=token"
    return ForesightError(
        f"runner.address={asked}: no Ray cluster answers ({why}). Start one with ray start --head, or use "
        f"runner.address=local{token}"
    )


def cluster_has_gpus(config: RayConfig) -> bool:
    """Whether a node of the cluster has a GPU; a cluster that is yet to be started has what this machine has.

    Raises:
        ForesightError: no cluster answers.
    """
    if _address(config) == "local":
        return has_gpu()
    with connected(config) as ray:
        return any(node["Resources"].get("GPU", 0) for node in ray.nodes() if node["Alive"])


@dataclass(frozen=True)
class Pool:
    """Workers and what each takes.

    Attributes:
        workers: asked for.
        fit: of them, how many the cluster has room for as it stands.
        cpus: of each worker.
        gpus: of each worker.
        most_on_one_node: of the workers.
        about: the nodes, in words.
    """

    workers: int
    fit: int
    cpus: float
    gpus: float
    most_on_one_node: int
    about: str


def pool(ray: Any, config: RayConfig, *, most: int, device: str = "auto") -> Pool:
    """How many workers there will be on the cluster.

    Args:
        ray: connected.
        config: what the user asks for.
        most: more workers than this would have nothing to do.
        device: ``cpu`` for no GPUs.

    Raises:
        ForesightError: a GPU is asked for that no worker has.
    """
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    has_gpus = any(node.get("GPU", 0) for node in nodes)
    gpus = config.gpus_per_worker if config.gpus_per_worker is not None else float(has_gpus and device != "cpu")
    if gpus and device == "cpu":
        raise ForesightError(f"device=cpu and runner.gpus_per_worker={gpus:g}: leave one of them out")
    if device.startswith("cuda") and not gpus:
        raise ForesightError(f"device={device}, and no GPU in the Ray cluster for a worker: use device=cpu")
    fits = [_room(node, config.cpus_per_worker, gpus) for node in nodes]
    workers = min(config.workers or max(sum(fits), 1), most)
    about = ", ".join(f"{node.get('CPU', 0):g} CPUs and {node.get('GPU', 0):g} GPUs" for node in nodes[:8])
    more = f" and {len(nodes) - 8} nodes more" if len(nodes) > 8 else ""
    return Pool(
        workers=workers,
        fit=min(sum(fits), workers),
        cpus=config.cpus_per_worker,
        gpus=gpus,
        most_on_one_node=max(1, min(max(fits, default=1), workers)),
        about=about + more,
    )


def _room(node: Mapping[str, float], cpus: float, gpus: float) -> int:
    by_cpu = int(node.get("CPU", 0) / cpus + 1e-9)
    return min(by_cpu, int(node.get("GPU", 0) / gpus + 1e-9)) if gpus else by_cpu


def no_room(ray: Any, asked: Pool, config: RayConfig) -> ForesightError:
    """The one line for a cluster on which no worker found a place in time."""
    free = {name: ray.available_resources().get(name, 0) for name in ("CPU", "GPU")}
    gpus = f" and {asked.gpus:g} GPUs" if asked.gpus else ""
    return ForesightError(
        f"no worker found a place within {config.wait:g} s: each wants {asked.cpus:g} CPUs{gpus}, the nodes have "
        f"{asked.about}, of which {free['CPU']:g} CPUs and {free['GPU']:g} GPUs are free. Lower runner.cpus_per_worker "
        "or runner.gpus_per_worker, or wait longer with runner.wait=SECONDS"
    )


def on_this_node(ray: Any) -> Any:
    """On this node: it lives as long as the run. Not soft: Ray puts actors that take no CPU anywhere then."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    return NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
