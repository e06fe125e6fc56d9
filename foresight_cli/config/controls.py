"""Controls: representations without a trained network, which the source of a bridge must beat."""

from __future__ import annotations

from dataclasses import dataclass

from foresight_cli.config.models import HistogramConfig, ModelConfig, PixelsConfig, RandomNetworkConfig

RANDOM_INIT, LABEL, TOGETHER = "random_init", "label", "all_controls"
"""Controls that no setting names: the source untrained, the categories, and all controls column by column."""


@dataclass(frozen=True)
class ControlKind:
    """A row of the table of controls.

    Attributes:
        meaning: what it is, in tables.
        model: settings of the model that makes it, with the pooling ``flat``; None if analyze has it without one.
        required: whether a verdict needs it, unless the user waives controls.
    """

    meaning: str
    model: ModelConfig | None = None
    required: bool = False


CONTROLS = {
    "pixels": ControlKind("thumbnails", PixelsConfig("pixels", resolution=8), required=True),
    "histogram": ControlKind("colour histograms", HistogramConfig("histogram", bins=4), required=True),
    "mean_rgb": ControlKind("mean colours", PixelsConfig("pixels", resolution=1), required=True),
    "random_network": ControlKind(
        "a small convolutional network with random weights",
        RandomNetworkConfig("random_network", resolution=64, seed=0),
        required=True,
    ),
    RANDOM_INIT: ControlKind("the source's own network, untrained"),
    LABEL: ControlKind("the categories alone"),
    TOGETHER: ControlKind("all of them fitted together, which may score below the best of them"),
}
"""Every control by its name in the results; those with a model may be named in ``controls=``."""

CONTROL_MODELS = {name: control.model for name, control in CONTROLS.items() if control.model is not None}
"""The model of each control of ``controls=``."""
