"""Reopen what is behind cache entries: the dataset with the pictures, and the model."""

from __future__ import annotations

import logging

from foresight_cli.catalog.find import Found
from foresight_cli.config import GROUPS, DataConfig, ModelConfig
from foresight_cli.data import Dataset, open_dataset
from foresight_cli.errors import ForesightError
from foresight_cli.latents import Entry
from foresight_cli.latents.recipe import canonical_json
from foresight_cli.models import LatentModel, open_model

log = logging.getLogger(__name__)


def data_behind(entries: Found, data: DataConfig | None) -> tuple[Dataset, DataConfig] | None:
    """Open the dataset behind the latents, for controls and thumbnails; warn and return None if gone or changed."""
    if entries.data["name"] == "precomputed":
        log.warning("warning: data=precomputed has no pictures: controls are not measured")
        return None
    try:
        settings = entries.provenance  # of the dataset
        config = data or GROUPS["data"][settings["name"]](**settings)
        dataset = entries.dataset or open_dataset(config)
        if canonical_json(dataset.identity()) == canonical_json(entries.data):
            return dataset, config
        reason = "they have changed since"
    except (ForesightError, KeyError, TypeError) as error:
        reason = str(error)
    log.warning("warning: the pictures behind the latents cannot be read (%s): controls are not measured", reason)
    return None


def model_settings(entry: Entry) -> ModelConfig:
    """Return the settings of the model that made ``entry``, after a check that its checkpoint is still the same.

    Raises:
        ForesightError: its checkpoint is missing or has changed since.
    """
    recipe = entry.recipe.model
    try:
        settings = dict(entry.manifest()["provenance"]["model"])
        if "revision" in recipe:  # the branch may have newer commits
            settings["revision"] = recipe["revision"]
        config: ModelConfig = GROUPS["model"][recipe["name"]](**settings)
    except (KeyError, TypeError):
        raise ForesightError(
            f"{entry.path} was made with settings that this version of foresight does not know. Extract it again"
        ) from None
    if any(recipe.get(key) != value for key, value in open_model(config).identity(reach_hub=False).items()):
        raise ForesightError(
            f"{settings.get('checkpoint', recipe['name'])} has changed since {entry.path} was made. Extract it again"
        )
    return config


def loaded_model(entry: Entry, device: str) -> LatentModel:
    """Return the model that made ``entry``, loaded; raises as :func:`model_settings` does."""
    model = open_model(model_settings(entry))
    model.load(device)
    return model
