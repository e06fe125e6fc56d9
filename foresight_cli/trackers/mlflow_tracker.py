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
"""Characters of a parameter that every MLflow server takes."""


class MLflowTracker:
    """A run of an experiment; through the client, which leaves MLflow's global state alone."""

    def __init__(self, client: MlflowClient, run_id: str) -> None:
        self._client, self._run_id = client, run_id

    def log(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Metrics at ``step``."""
        for name, value in metrics.items():
            self._client.log_metric(self._run_id, _allowed(name), value, step=step or 0)

    def note(self, name: str, text: str) -> None:
        """A tag."""
        self._client.set_tag(self._run_id, name, text)

    def file(self, path: Path) -> None:
        """An artifact."""
        self._client.log_artifact(self._run_id, str(path))

    def close(self) -> None:
        """Mark the run as finished."""
        self._client.set_terminated(self._run_id)


def open_tracker(config: MLflowConfig, name: str, folder: Path, settings: Settings) -> MLflowTracker:
    """A new run of ``config.experiment``, which is made if there is none.

    Without a server named anywhere, runs go to ``mlflow.db`` in the outputs folder: the working directory's.
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
    """``name`` with what MLflow takes no names with replaced: an attribute may be called anything."""
    return re.sub(r"[^\w\-. :/]", "_", name, flags=re.ASCII)


def _experiment(client: MlflowClient, name: str, kept: str | None) -> str:
    if (found := client.get_experiment_by_name(name)) is not None:
        return str(found.experiment_id)
    try:
        return str(client.create_experiment(name, artifact_location=kept))
    except MlflowException:  # another job of a sweep was quicker
        if (found := client.get_experiment_by_name(name)) is None:
            raise
        return str(found.experiment_id)
