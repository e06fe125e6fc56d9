import dataclasses
from pathlib import Path

import pytest

from foresight_cli.reporting.adapter_summary import print_adapter, training_advice
from foresight_cli.results import Attribute, AttributeGain, Estimate, SeedScore
from tests.reporting import example


def trained(validation, best, **adapter):
    seeds = [SeedScore(i, 0.1, validation, 0.1, 20, epoch) for i, epoch in enumerate(best)]
    results = dataclasses.replace(example.adapter("mlp"), seeds=seeds, r2_validation=Estimate.of(validation, 0.01))
    return dataclasses.replace(results, settings={**results.settings, "adapter": adapter})


@pytest.mark.parametrize(
    ("results", "advice"),
    [
        (trained(0.5, [9, 12], lr=1e-3, epochs=20), None),
        (
            trained(0.5, [20, 12], lr=1e-3, epochs=20),
            "1 of 2 seeds still improved in epoch 20, the last: try adapter.epochs=40",
        ),
        (
            trained(-143990.4, [1, 20], lr=1.0, epochs=20),
            "R2 -1.44e+05 on the validation rows is worse than their mean: what was learned does not generalise. "
            "Try adapter.lr=0.1, more rows, or adapter=linear",
        ),
        (trained(-0.5, [0]), None),  # a closed form has neither rate nor epochs
    ],
)
def test_advice_on_training(results, advice):
    assert training_advice(results) == advice


def test_each_attribute_has_the_share_kept_or_the_reason_why_it_is_not_judged(caplog):
    attributes = [
        Attribute("x", 0.4, 0.92, 0.22, Estimate(0.239, 0.19, 0.281), 0.9),
        Attribute("size", 0.9, 0.66, 0.85, Estimate(1.29, 0.97, 1.67), 0.6),
        Attribute("y", 0.4, 0.311, 0.2, None, 0.262),
        Attribute("red", 0.4, 0.28, 0.2, None),
    ]
    ridge = [dataclasses.replace(attributes[1], retention=Estimate(1.4, 1.2, 1.6))]
    gains = [AttributeGain("size", Estimate(-0.09, -0.2, 0.02), "tie")]
    results = dataclasses.replace(
        trained(0.5, [9], lr=1e-3, epochs=20), attributes=attributes, attributes_ridge=ridge, attribute_gains=gains
    )
    with caplog.at_level("INFO"):
        print_adapter(results, Path("run"))
    lines = [record.getMessage().strip() for record in caplog.records]
    assert lines[0].endswith("retrieval@k 1: 0.10  5: 0.20  10: 0.30  [0.544, 0.622]")
    assert lines[len(results.scores) : -1] == [
        "x: keeps 0.24 [0.19, 0.28]",
        "size: kept fully, 1.00 [0.97, 1.00] (R2 0.85, better than 0.66 from the target itself); ridge 1.00; R2 -0.09 "
        "[-0.20, +0.02] against ridge: tie",
        "y: not judged, hardly readable from the target itself (R2 0.31, lower bound 0.26, below 0.3)",
        "red: not judged, hardly readable from the target itself (R2 0.28)",
    ]
