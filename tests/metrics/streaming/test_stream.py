"""Tests of all streaming measures: merging, checkpoints, and torchmetrics' ways of adding up."""

import inspect
import io
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from torchmetrics import MetricCollection

from foresight_cli.metrics import streaming
from foresight_cli.metrics.streaming import (
    RSA,
    EffectiveRank,
    LinearCKA,
    LinearProbe,
    Moments,
    ParticipationRatio,
    PCADimension,
    SpacePair,
)
from tests.refusal import refusal

MAKERS = {
    "LinearCKA": LinearCKA,
    "LinearProbe": lambda: LinearProbe(3, [0.1, 1]),
    "Moments": Moments,
    "PCADimension": PCADimension,
    "ParticipationRatio": ParticipationRatio,
    "EffectiveRank": EffectiveRank,
    "RSA": lambda: RSA(60),
    "SpacePair": lambda: SpacePair(3, [0.1, 1]),
}


@pytest.fixture(params=MAKERS)
def make(request):
    return MAKERS[request.param]


def feed(metric, x, y, rows, forward=False):
    """Update (or call) a metric with the rows, and with those of the arguments that it takes."""
    rows = np.asarray(rows)
    arguments = {"x": x[rows], "y": y[rows], "groups": rows, "index": rows}
    wanted = inspect.signature(type(metric).update).parameters
    accepted = {name: value for name, value in arguments.items() if name in wanted}
    return metric(**accepted) if forward else metric.update(**accepted)


def numbers(value):
    """Return a result as one vector."""
    if isinstance(value, tuple):
        return np.concatenate([numbers(part) for part in value])
    return np.ravel(np.asarray(value, dtype=float))


def agree(metric, other):
    np.testing.assert_allclose(numbers(metric.compute()), numbers(other.compute()), rtol=1e-12, atol=1e-12)


@pytest.fixture
def whole(make, g1):
    metric = make()
    feed(metric, *g1, range(200))
    return metric


def test_every_measure_is_tested_here():
    metrics = {name for name in streaming.__all__ if inspect.isclass(getattr(streaming, name))}
    assert metrics - {"MomentsResult", "StreamedPair", "StreamedProbe", "StreamedRSA"} == MAKERS.keys()


def test_merging_does_not_change_the_other_and_drops_old_values(make, whole, g1):
    x, y = g1
    first, second = make(), make()
    feed(first, x, y, range(90))
    feed(second, x, y, range(90, 200))
    before, earlier = torch.cat(second.parts).clone(), numbers(first.compute())
    first.merge_state(second)
    agree(first, whole)
    assert first.seen == 200
    assert len(first.parts) == len(whole.parts)
    assert not np.array_equal(numbers(first.compute()), earlier)
    feed(first, np.vstack([x, x + 1]), np.vstack([y, y]), range(200, 230))
    assert first.seen == 230
    assert torch.equal(torch.cat(second.parts), before)


def test_merging_with_one_without_rows(make, whole, g1):
    x, y = g1
    empty, other = make(), make()
    before = torch.cat(whole.parts).clone()
    empty.merge_state(whole)
    agree(empty, whole)
    whole.merge_state(other)
    agree(empty, whole)
    assert (whole.seen, empty.seen, other.seen) == (200, 200, 0)
    feed(empty, np.vstack([x, x + 1]), np.vstack([y, y]), range(200, 230))
    assert empty.seen == 230
    assert torch.equal(torch.cat(whole.parts), before)


def test_merging_a_plain_state(make, whole, g1):
    first, second = make(), make()
    feed(first, *g1, range(90))
    feed(second, *g1, range(90, 200))
    first.merge_state(second.metric_state)
    agree(first, whole)


def test_a_long_run_resumes_from_its_checkpoint(make, whole, g1):
    first = make()
    feed(first, *g1, range(90))
    file = io.BytesIO()
    torch.save(first.state_dict(), file)
    file.seek(0)
    saved = torch.load(file, weights_only=True)
    second = make()
    second.load_state_dict(saved)
    third = pickle.loads(pickle.dumps(first))
    for metric in (first, second, third):
        feed(metric, *g1, range(90, 200))
        assert torch.equal(torch.cat(metric.parts), torch.cat(first.parts))
        agree(metric, whole)


def test_a_checkpoint_in_memory_stays_as_it_is(make, g1):
    metric, resumed = make(), make()
    feed(metric, *g1, range(90))
    saved = metric.state_dict()
    flats, before = list(saved["parts"]), [flat.clone() for flat in saved["parts"]]
    resumed.load_state_dict(saved)
    for each in (metric, resumed):
        feed(each, *g1, range(90, 200))
    assert all(torch.equal(flat, old) for flat, old in zip(flats, before, strict=True))


def test_forward_gives_the_batch_and_adds_it(make, whole, g1):
    metric = make()
    for rows in (range(80), range(80, 140), range(140, 200)):
        batch = make()
        feed(batch, *g1, rows)
        value = feed(metric, *g1, rows, forward=True)
        np.testing.assert_allclose(numbers(value), numbers(batch.compute()), rtol=1e-12)
    agree(metric, whole)


def test_the_state_does_not_grow(make, g1):
    metric = make()
    feed(metric, *g1, range(100))
    length = sum(map(len, metric.parts))
    for start in (100, 130, 160):
        feed(metric, *g1, range(start, start + 30))
        assert sum(map(len, metric.parts)) == length
    assert all(flat.dtype == torch.float64 for flat in metric.parts)


def test_rows_may_come_in_inference_mode(make, whole, g1):
    metric, other = make(), make()
    with torch.inference_mode():
        feed(metric, *(torch.tensor(values) for values in g1), range(80))
    feed(metric, *g1, range(80, 120))
    with torch.inference_mode():
        feed(other, *g1, range(120, 200))
    metric.merge_state(other)
    agree(metric, whole)


def test_reset_and_clone(make, whole, g1):
    metric = whole.clone()
    metric.reset()
    assert (metric.seen, whole.seen) == (0, 200)
    feed(metric, *g1, range(120))
    feed(metric, *g1, range(120, 200))
    agree(metric, whole)


def test_a_collection_keeps_different_settings_apart(g1):
    x, y = g1
    collection = MetricCollection(
        {
            "small": RSA(20),
            "large": RSA(100),
            "seeded": RSA(100, seed=1),
            "linear": LinearCKA(),
            "biased": LinearCKA(debiased=False),
            "three": LinearProbe(3, [1]),
            "four": LinearProbe(4, [1]),
        }
    )
    for rows in (range(5), range(5, 120), range(120, 200)):
        rows = np.asarray(rows)
        collection.update(x=x[rows], y=y[rows], index=rows, groups=rows)
    assert sorted(collection.compute_groups.values()) == [
        ["biased", "linear"],
        ["four"],
        ["large"],
        ["seeded"],
        ["small"],
        ["three"],
    ]
    results = collection.compute()
    for name, metric in (("small", RSA(20)), ("large", RSA(100)), ("seeded", RSA(100, seed=1))):
        feed(metric, x, y, range(200))
        assert results[name] == metric.compute()
    biased = LinearCKA(debiased=False)
    biased.update(x, y)
    assert float(results["biased"]) == pytest.approx(float(biased.compute()), rel=1e-12)


def test_refusals(g1):
    x, y = g1
    cka, narrow, wider = LinearCKA(), LinearCKA(), LinearCKA()
    cka.update(x, y)
    assert refusal(cka.merge_state, Moments()) == "Moments cannot be merged into LinearCKA: wanted LinearCKA"
    narrow.update(x[:, :3], y)
    wider.update(x, y[:, :4])
    assert refusal(cka.merge_state, narrow) == (
        "x has 3 columns in the other part: LinearCKA wants 20, as in the rows before"
    )
    assert refusal(cka.merge_state, wider) == (
        "y has 4 columns in the other part: LinearCKA wants 30, as in the rows before"
    )
    assert cka.seen == 200
    assert refusal(RSA(10).merge_state, RSA(20, seed=4)) == (
        "the other part has the settings [1, 20, 4]: this RSA wants format=1, rows=10, seed=0, in this order"
    )
    assert refusal(LinearProbe(3).load_state_dict, LinearProbe().state_dict()) == (
        "the checkpoint has the settings [1, 5, 0]: this LinearProbe wants format=1, folds=3, seed=0, in this order"
    )
    assert refusal(cka.set_dtype, torch.float32) == "dtype torch.float32: LinearCKA keeps its sums in torch.float64"
    assert cka.set_dtype(torch.float64) is cka


def test_a_model_in_half_precision_leaves_its_metrics_exact(make, whole, g1):
    metric, model = make(), torch.nn.ModuleList()
    model.append(metric)
    feed(metric, *g1, range(90))
    model.to(torch.bfloat16).half()
    feed(metric, *g1, range(90, 200))
    assert metric.dtype == torch.float64
    assert torch.equal(torch.stack([flat.sum() for flat in metric.parts]), metric_sums(make, g1))
    agree(metric, whole)


def metric_sums(make, g1):
    """Return the sums over the same batches, by a metric that was not converted."""
    metric = make()
    feed(metric, *g1, range(90))
    feed(metric, *g1, range(90, 200))
    return torch.stack([flat.sum() for flat in metric.parts])


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_the_device_changes_nothing(make, whole, g1):
    metric, other = make().to("cuda"), make()
    feed(metric, *(torch.tensor(values, device="cuda") for values in g1), range(70))
    feed(metric, *g1, range(70, 120))
    feed(other, *g1, range(120, 200))
    metric.merge_state(other)
    assert all(flat.is_cuda for flat in metric.parts)
    np.testing.assert_allclose(
        numbers(torch.utils._pytree.tree_map(lambda v: v.cpu() if torch.is_tensor(v) else v, metric.compute())),
        numbers(whole.compute()),
        rtol=1e-9,
        atol=1e-12,
    )
    back = make()
    back.load_state_dict(metric.state_dict())
    assert not any(flat.is_cuda for flat in back.parts)
    agree(back, whole)


def test_the_plain_measures_do_not_import_torchmetrics():
    """Importing it takes seconds, which measures in memory do not need."""
    folder = Path(streaming.__file__).parent.parent
    for file in folder.glob("*.py"):
        assert "torchmetrics" not in file.read_text(encoding="utf-8"), file
        assert "metrics.streaming" not in file.read_text(encoding="utf-8"), file
