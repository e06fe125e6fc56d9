import dataclasses

from foresight_cli.reporting.figures.attributes import attribute_retention
from foresight_cli.reporting.figures.style import style
from foresight_cli.results import Estimate
from tests.reporting import example


def test_a_title_says_that_every_attribute_is_kept():
    results, _ = example.full()
    kept = [dataclasses.replace(a, retention=Estimate(1.2, 1.05, 1.4)) for a in results.chosen.attributes[:2]]
    results = dataclasses.replace(results, chosen=dataclasses.replace(results.chosen, attributes=kept))
    with style():
        figure = attribute_retention(results, {})
    assert " ".join(figure.get_suptitle().split()) == "The bridge keeps every judged attribute fully"
    assert {tuple(line.get_xdata()) for line in figure.axes[1].lines if line.get_marker() == "o"} == {(1.0,)}
