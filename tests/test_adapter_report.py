import dataclasses
from pathlib import Path
from runpy import run_path
from types import SimpleNamespace

import pytest

from foresight_cli.adapter_report import training_advice
from foresight_cli.results import Estimate, SeedScore

example = SimpleNamespace(**run_path(str(Path(__file__).parent / "reporting/example.py")))


def trained(validation, best, **adapter):
    seeds = [SeedScore(i, 0.1, validation, 0.1, 20, epoch) for i, epoch in enumerate(best)]
    found = dataclasses.replace(example.adapter("mlp"), seeds=seeds, r2_validation=Estimate.of(validation, 0.01))
    return dataclasses.replace(found, settings={**found.settings, "adapter": adapter})


@pytest.mark.parametrize(
    ("results", "said"),
    [
        (trained(0.5, [9, 12], lr=1e-3, epochs=20), None),
        (
            trained(0.5, [20, 12], lr=1e-3, epochs=20),
            "1 of 2 seeds still improved in epoch 20, the last: try adapter.epochs=40",
        ),
        (
            trained(-143990.4, [1, 20], lr=1.0, epochs=20),
            "R2 -1.44e+05 on the validation rows is worse than their mean: nothing was learned that carries over. "
            "Try adapter.lr=0.1, more rows, or adapter=linear",
        ),
        (trained(-0.5, [0]), None),  # a closed form has neither rate nor epochs
    ],
)
def test_what_to_change_in_training(results, said):
    assert training_advice(results) == said
