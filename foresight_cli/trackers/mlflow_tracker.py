"""MLflow, on a server or in a local database."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Param
from mlflow.exceptions import MlflowException

from foresight_cli.config.trackers import MLflowConfig
from foresight_cli.trackers.tracker import Settings, flat

LONGEST = 500
"""Length of a parameter that every MLflow server accepts, in characters."""


class MLflowTracker:
    """A run of an experiment, written through the client, which does not change MLflow's global state."""

    def __init__(self, client: MlflowClient, run_id: str) -> None:
        self._client, self._run_id = client, run_id

    def log(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Log metrics at ``step``."""
        for name, value in metrics.items():
            self._client.log_metric(self._run_id, _allowed(name), value, step=step or 0)

    def note(self, name: str, text: str) -> None:
        """Set a tag."""
        self._client.set_tag(self._run_id, name, text)

    def file(self, path: Path) -> None:
        """Log the file as an artifact."""
        self._client.log_artifact(self._run_id, str(path))

    def close(self) -> None:
        """Mark the run as finished."""
        self._client.set_terminated(self._run_id)


def open_tracker(config: MLflowConfig, name: str, folder: Path, settings: Settings) -> MLflowTracker:
    """Return a new run of ``config.experiment``, which is made if it does not exist.

    If no server is configured, runs go to ``outputs/mlflow.db`` in the working directory.
    """
    uri, kept = config.tracking_uri or os.environ.get("MLFLOW_TRACKING_URI"), None
    if uri is None:
        outputs = Path("outputs").absolute()
        outputs.mkdir(exist_ok=True)
        uri, kept = f"sqlite:///{outputs / 'mlflow.db'}", (outputs / "mlflow").as_uri()
    client = MlflowClient(tracking_uri=uri)
    run = client.create_run(_experiment(client, config.experiment, kept), run_name=name)
    params = [Param(key, str(value)[:LONGEST]) for key, value in flat(settings).items()]
    client.log_batch(run.info.run_id, params=params)
    return MLflowTracker(client, run.info.run_id)


def _allowed(name: str) -> str:
    """Replace the characters of ``name`` that MLflow does not allow: an attribute may have any name."""
    return re.sub(r"[^\w\-. :/]", "_", name, flags=re.ASCII)


def _experiment(client: MlflowClient, name: str, kept: str | None) -> str:
    if (experiment := client.get_experiment_by_name(name)) is not None:
        return str(experiment.experiment_id)
    try:
        return str(client.create_experiment(name, artifact_location=kept))
    except MlflowException:  # another job of a sweep made it first
        if (experiment := client.get_experiment_by_name(name)) is None:
            raise
        return str(experiment.experiment_id)
