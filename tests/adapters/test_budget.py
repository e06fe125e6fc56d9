import dataclasses

import pytest

from foresight_cli.adapters.budget import OverBudget, check_budget, largest_rank, parameters_of
from foresight_cli.errors import UsageError
from tests.adapters.made_adapters import SHAPES, drawn


def config(kind, **changes):
    return dataclasses.replace(drawn(kind).config, **changes)


@pytest.mark.parametrize("kind", ["linear", "lowrank", "mlp", "query"])
def test_counted_without_memory_is_what_it_has(kind):
    adapter = drawn(kind)
    assert parameters_of(adapter.config, 6, 4, **SHAPES.get(kind, {})) == adapter.parameter_count
    assert check_budget(adapter.config, 6, 4, **SHAPES.get(kind, {})) == adapter.parameter_count


def test_the_largest_rank_within_the_budget():
    limited = config("lowrank", max_parameters=100)
    rank = largest_rank(limited, 6, 4)
    assert rank == 9
    assert parameters_of(limited, 6, 4, rank=rank) <= 100 < parameters_of(limited, 6, 4, rank=rank + 1)


@pytest.mark.parametrize(
    ("kind", "budget", "shape", "advice", "words"),
    [
        ("linear", 7_000, {}, "has 10,100 parameters, over adapter.max_parameters=7,000. "
         "Take adapter=lowrank adapter.rank=34 or less, or raise adapter.max_parameters=",
         ["adapter=lowrank", "adapter.rank=34"]),
        ("linear", 200, {}, "has 10,100 parameters, over adapter.max_parameters=200. "
         "The smallest, adapter=lowrank adapter.rank=1, has 300: raise adapter.max_parameters=",
         ["adapter=lowrank", "adapter.rank=1", "adapter.max_parameters=300"]),
        ("lowrank", 7_000, {"rank": 50}, "has 10,100 parameters, over adapter.max_parameters=7,000. "
         "Take adapter=lowrank adapter.rank=34 or less, or raise adapter.max_parameters=",
         ["adapter=lowrank", "adapter.rank=34"]),
        ("mlp", 30_000, {}, "has 117,348 parameters, over adapter.max_parameters=30,000. "
         "Take adapter.hidden=64, or raise adapter.max_parameters=", ["adapter.hidden=64"]),
        ("query", 30_000, {"source_width": 10, "target_channels": 10}, "has 52,964 parameters, over "
         "adapter.max_parameters=30,000. Raise it to adapter.max_parameters=52964",
         ["adapter.max_parameters=52964"]),
        ("query", 200, {"source_width": 10, "target_channels": 10}, "has 52,964 parameters, over "
         "adapter.max_parameters=200. Raise it to adapter.max_parameters=52964", ["adapter.max_parameters=52964"]),
        ("linear", 300, {}, "has 10,100 parameters, over adapter.max_parameters=300. "
         "Take adapter=lowrank adapter.rank=1, or raise adapter.max_parameters=",
         ["adapter=lowrank", "adapter.rank=1"]),
        ("mlp", 300, {}, "has 117,348 parameters, over adapter.max_parameters=300. "
         "Take adapter=lowrank, or raise adapter.max_parameters=", ["adapter=lowrank"]),
    ],
)  # fmt: skip
def test_over_the_budget_says_what_would_fit(kind, budget, shape, advice, words):
    with pytest.raises(OverBudget) as caught:
        check_budget(config(kind, max_parameters=budget), 100, 100, **shape)
    assert str(caught.value) == f"adapter={kind} from 100 to 100 values {advice}"
    assert caught.value.words == words


def test_no_rank_is_within_the_budget():
    with pytest.raises(UsageError) as caught:
        largest_rank(config("lowrank", max_parameters=10), 6, 4)
    assert str(caught.value) == (
        "adapter=lowrank from 6 to 4 values has 14 parameters, over adapter.max_parameters=10. "
        "The smallest, adapter=lowrank adapter.rank=1, has 14: raise adapter.max_parameters="
    )
