import dataclasses
import re
import shlex
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser
from markupsafe import escape

from foresight_cli.reporting.compared import compare, comparison_figure
from foresight_cli.reporting.figures.style import encode, style, title_of
from foresight_cli.reporting.page import Pictures, render_comparison
from foresight_cli.reporting.traced import Numbers
from foresight_cli.results import Estimate
from tests.reporting import example
from tests.reporting.page_text import PageText


def with_r2(results, value, answer=None):
    pairs = list(results.pairs)
    pairs[results.chosen.index] = dataclasses.replace(results.chosen_pair, r2=Estimate.of(value, 0.02))
    verdict = results.verdict if answer is None else dataclasses.replace(results.verdict, answer=answer)
    return dataclasses.replace(results, pairs=pairs, verdict=verdict)


def several():
    full = example.full()[0]
    other = dataclasses.replace(with_r2(full, 0.3, "INCONCLUSIVE"), data={"name": "imagefolder", "path": "<b>/photos"})
    better = dataclasses.replace(with_r2(full, 0.9), data={"name": "shapes", "variant": "q1"})
    return [(Path("one"), full), (Path("two"), other), (Path("three"), better)]


def test_the_best_verdict_comes_first_then_the_lower_bound():
    compared = compare(several())
    assert [analysis.folder.name for analysis in compared] == ["two", "three", "one"]
    assert [analysis.name for analysis in compared] == ["on <b>/photos", "on shapes q1", "on shapes"]


def test_names_take_the_folder_where_nothing_else_differs():
    full = example.full()[0]
    compared = compare([(Path("a/x"), full), (Path("b/y"), full), (Path("c/y"), full)])
    assert sorted(analysis.name for analysis in compared) == ["x", "y (b/y)", "y (c/y)"]


def test_names_say_what_differs():
    single, both = example.full(layers=("8",))[0], example.full()[0]
    assert {c.name for c in compare([(Path("a"), single), (Path("b"), both)])} == {"layer 8", "2 layers"}


def test_page():
    compared, kept = compare(several()), Numbers(escape)
    with style():
        figure = comparison_figure(compared)
        svg = encode(figure)["svg"]
    html = render_comparison(compared, Pictures({"comparison": svg}, {"comparison": title_of(figure)}), kept)
    page = PageText(html)
    assert page.faults == []
    assert "<b>/photos" in page.text
    assert "<b>" not in html
    assert page.text.index("on <b>/photos") < page.text.index("on shapes q1")
    assert "the choice among these analyses is not" in page.text
    rows = re.findall(r"<tr.*?</tr>", html[html.index('aria-label="Gates"') :], flags=re.DOTALL)
    assert len(rows) == 1 + len(compared[0].results.verdict.criteria)
    measured = [v for c in compared for v in (c.results.chosen_pair.r2.value, c.results.rows, c.passed)]
    assert set(measured) <= {value for value, _ in kept.written}


def test_a_folder_with_a_space_can_be_typed():
    (analysis,) = compare([(Path("my runs/a"), example.bare()[0])])
    *words, run = shlex.split(analysis.command)
    assert words == ["foresight", "report"]
    assert OverridesParser.create().parse_override(run).value() == "my runs/a"
