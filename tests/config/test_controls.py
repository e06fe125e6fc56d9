"""Tests of the table of controls."""

from omegaconf import OmegaConf

from foresight_cli.config.controls import CONTROL_MODELS
from foresight_cli.config.tree import conf_dir


def test_every_control_with_a_model_is_measured_by_default():
    assert list(OmegaConf.load(conf_dir() / "analyze.yaml").controls) == list(CONTROL_MODELS)
