"""Connection to Ray: for one run, quiet, and on loopback if foresight starts the cluster."""

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
from foresight_cli.errors import ForesightError, first_line
from foresight_cli.machine.devices import has_gpu

log = logging.getLogger(__name__)

TRIES = 3
PATIENCE = 60.0
"""Seconds in which an actor of foresight must answer."""


@contextmanager
def connected(config: RayConfig) -> Iterator[Any]:
    """Yield the module ``ray``, connected to the cluster of ``runner.address``; disconnect at the end.

    Raises:
        ForesightError: Ray is not installed, or no cluster answers.
    """
    address = _address(config)
    if address == "local":
        # Ray's switch for clusters of one node: every port is then bound to loopback.
        os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        if os.environ.setdefault("RAY_AUTH_MODE", "token") == "token":  # keeps other users of this machine out
            os.environ.setdefault("RAY_AUTH_TOKEN", token_hex(32))
    else:
        refuse_silence(config)
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    os.environ.setdefault("RAY_ENABLE_AUTO_CONNECT", "0")  # a thread that outlives the run must not start a cluster
    try:
        import ray
    except ImportError:
        raise ForesightError(
            "runner=ray needs Ray: pip install 'foresight-latents[ray]', here and on every node of the cluster"
        ) from None
    if ray.is_initialized():  # by the caller
        yield ray
        return
    quiet = {"log_to_driver": False, "logging_level": logging.ERROR}
    local = {"include_dashboard": False} if address == "local" else {}
    try:
        with _silent_stderr():
            _init(ray, address=address, **quiet, **local)
    except Exception as error:  # ConnectionError, and errors of gRPC
        raise _no_answer(config.address, f"{type(error).__name__}: {first_line(error)}") from None
    if address == "local":
        log.info("Ray: a cluster on only this machine, started for this run")
    _hush()
    try:
        yield ray
    finally:
        ray.shutdown()


def _init(ray: Any, **how: Any) -> None:
    """Connect; retry when a Ray Client server that is slow to start answers "aborted"."""
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
    """Silence the C++ part of Ray, which writes to the terminal as it starts; its errors are raised too."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _hush() -> None:
    """Silence Ray's own log: foresight reports a lost worker in one line, Ray in ten."""
    logging.getLogger("ray").setLevel(logging.CRITICAL)
    with suppress(ImportError, AttributeError, KeyError):  # there is no public way
        from ray._private.ray_logging import global_worker_stdstream_dispatcher

        global_worker_stdstream_dispatcher.remove_handler("ray_print_logs")


def _running() -> str:
    """Return the address of a running cluster without importing Ray: from its variable, or the file it leaves."""
    file = Path(os.environ.get("RAY_TMPDIR") or tempfile.gettempdir(), "ray", "ray_current_cluster")
    with suppress(OSError):
        return os.environ.get("RAY_ADDRESS") or file.read_text().strip()
    return ""


def _address(config: RayConfig) -> str:
    return (_running() or "local") if config.address == "auto" else config.address


def refuse_silence(config: RayConfig) -> None:
    """Fail at once if no server listens at the address: Ray tries for minutes.

    Raises:
        ForesightError: no server listens.
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
    """Check whether a node of the cluster has a GPU; a cluster that is not started yet has those of this machine.

    Raises:
        ForesightError: no cluster answers.
    """
    if _address(config) == "local":
        return has_gpu()
    with connected(config) as ray:
        return any(node["Resources"].get("GPU", 0) for node in ray.nodes() if node["Alive"])


@dataclass(frozen=True)
class Pool:
    """The number of workers and their resources.

    Attributes:
        workers: number of workers asked for.
        fit: number of them for which the cluster has room now.
        cpus: CPUs of each worker.
        gpus: GPUs of each worker.
        most_on_one_node: largest number of workers on one node.
        about: the nodes, in words.
    """

    workers: int
    fit: int
    cpus: float
    gpus: float
    most_on_one_node: int
    about: str


def pool(ray: Any, config: RayConfig, *, most: int, device: str = "auto") -> Pool:
    """Decide how many workers to use on the cluster.

    Args:
        ray: the connected module.
        config: settings of the runner.
        most: largest useful number of workers.
        device: ``cpu`` for no GPUs.

    Raises:
        ForesightError: a GPU is asked for, but no worker can have one.
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
    """Return the one-line error for a cluster on which no worker found a place in time."""
    free = {name: ray.available_resources().get(name, 0) for name in ("CPU", "GPU")}
    gpus = f" and {asked.gpus:g} GPUs" if asked.gpus else ""
    return ForesightError(
        f"no worker found a place within {config.wait:g} s: each needs {asked.cpus:g} CPUs{gpus}, the nodes have "
        f"{asked.about}, of which {free['CPU']:g} CPUs and {free['GPU']:g} GPUs are free. Lower runner.cpus_per_worker "
        "or runner.gpus_per_worker, or wait longer with runner.wait=SECONDS"
    )


def on_this_node(ray: Any) -> Any:
    """Return the strategy that places an actor on this node, which lives as long as the run.

    It is not soft: with a soft strategy Ray places actors that take no CPU on any node.
    """
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    return NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
