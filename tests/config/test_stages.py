"""Tests of the schemas of the stages."""

import pytest
from hydra import compose, initialize_config_dir

from foresight_cli.cli.overrides import for_hydra
from foresight_cli.config.reader import adapt_config
from foresight_cli.config.stages import ROWS_PER_SHARD
from foresight_cli.config.tree import conf_dir
from foresight_cli.errors import UsageError


@pytest.mark.parametrize(
    ("words", "example"),
    [
        (["source.pooling=all"], "source.pooling=channel_mean,flat"),
        (["source.pooling=all", "source.layer=8"], "source.pooling=channel_mean,flat"),
        (["source.layer=all"], "source.layer=4,8,final"),
        (["source.layer.index=[12,final]"], "source.layer=12,final"),
        (["source.layer.index=[2,4,8]", "source.pooling=all"], "source.layer=2,4,final"),
    ],
)
def test_adapt_names_the_axis_that_has_several(words, example):
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        settings = compose("adapt", for_hydra("adapt", ["weights=tiny", *words]))
    with pytest.raises(UsageError) as caught:
        adapt_config(settings)
    assert str(caught.value) == (
        "adapt takes one layer and one pooling of the source: source.layer=final source.pooling=flat. "
        f"To try several, add -m and separate them with commas: {example}"
    )


def test_rows_per_shard_has_the_default_of_the_command():
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        assert compose("extract").rows_per_shard == ROWS_PER_SHARD == 256
