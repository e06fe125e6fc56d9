import dataclasses
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from markupsafe import escape
from PIL import Image

import foresight_cli.reporting.page
from foresight_cli.reporting.captions import caption
from foresight_cli.reporting.context import gates
from foresight_cli.reporting.derived import derived
from foresight_cli.reporting.figures import Drawn
from foresight_cli.reporting.page import Pictures, as_webp, render_page
from foresight_cli.reporting.page.inline_svg import Figures
from foresight_cli.reporting.traced import Numbers
from foresight_cli.results import load_results, save_results
from tests.reporting import example
from tests.reporting.example_verdict import open_verdict
from tests.reporting.hostile import HOSTILE
from tests.reporting.page_text import PageText


def leaves(value):
    if dataclasses.is_dataclass(value):
        value = dataclasses.asdict(value)
    if isinstance(value, dict):
        value = [*value, *value.values()]
    if isinstance(value, list | tuple):
        return [leaf for item in value for leaf in leaves(item)]
    return [value]


def numbers(text):
    return set(re.findall(r"\d+(?:,\d{3})*(?:\.\d+)?(?:e-\d+)?", text))


@pytest.fixture(params=["full", "bare"])
def page(request, tmp_path, drawn, svg):
    results, _ = getattr(example, request.param)()
    save_results(results, tmp_path / "results.yaml")
    results = load_results(tmp_path / "results.yaml")
    full = request.param == "full"
    adapters = [example.adapter(), example.adapter("linear", r2=0.551)] if full else []
    kept = Numbers(escape)
    record, _ = drawn
    pictures = Pictures(svg, record.titles) if full else Pictures()
    html = render_page(results, adapters, record if full else Drawn(), pictures, kept)
    return SimpleNamespace(results=results, adapters=adapters, html=html, kept=kept, text=PageText(html))


def test_every_number_is_a_leaf_of_the_results_or_derived(page):
    objects = [page.results, page.adapters]
    values = [v for v in (*leaves(objects), *derived(page.results).values()) if isinstance(v, int | float)]
    assert len(page.kept.written) > 40
    for value, written in page.kept.written:
        assert value in values, (value, written)


def test_no_number_comes_from_elsewhere(page):
    folder = Path(foresight_cli.reporting.page.__file__).parent.parent
    literal = "".join(path.read_text(encoding="utf-8") for path in folder.rglob("*.j2"))
    names = ["cka_heatmap", "comparison", *re.findall(r'id="fig-(\w+)"', page.html)]
    captions = " ".join(caption(name) for name in names)
    words = " ".join(str(v) for v in leaves([page.results, page.adapters]) if isinstance(v, str))
    allowed = numbers(" ".join([literal, captions, words, *names, *(written for _, written in page.kept.written)]))
    assert len(numbers(page.text.text)) > 30
    assert numbers(page.text.text) - allowed == set()


def test_order_of_the_sections(page):
    places = [page.html.index(f'<section id="{name}"') for name in (
        "verdict", "gates", "change", "best", "controls", "experiments", "bridge", "adapters", "data", "provenance",
    )]  # fmt: skip
    assert places == sorted(places)
    links = re.findall(r'<a href="#(\w+)"', page.html)
    assert len(links) == 10
    assert all(f'id="{link}"' in page.html for link in links)


def test_tags_are_closed_and_ids_are_unique(page):
    assert page.text.faults == []
    assert page.text.open == []
    ids = [attrs["id"] for _, attrs in page.text.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    used = re.findall(r'(?:href="#|url\(#)([\w.-]+)', page.html)
    assert set(used) <= set(ids)


def test_nothing_comes_from_outside_and_nothing_runs(page):
    tags = [tag for tag, _ in page.text.tags]
    assert not {"script", "iframe", "object", "embed", "form"}.intersection(tags)
    for tag, attrs in page.text.tags:
        assert not any(name.startswith("on") for name in attrs), tag
        for name in ("src", "href"):
            if name in attrs:
                assert attrs[name].startswith(("#", "data:")), (tag, attrs[name])
    assert "default-src 'none'" in page.html


def test_a_page_can_be_mailed(page):
    assert len(page.html.encode()) < 3_000_000


def test_gates_of_the_full_example():
    rows = {gate.criterion.name: gate for gate in gates(example.full()[0])}
    probe, beyond, dependence = rows["linear probe"], rows["beyond controls"], rows["dependence"]
    assert (probe.control, probe.control_value) == ("pixels", 0.482)
    assert (beyond.control, beyond.control_value) == ("pixels", 0.482)
    assert (dependence.of, dependence.null, dependence.control_value) == ("CKA", 0.001, 0.702)
    assert rows["sample size"].null is None


@pytest.mark.parametrize("waived", [False, True])
def test_the_verdict_comes_first_with_what_was_waived(waived):
    results, _ = example.full()
    if waived:
        results = dataclasses.replace(results, verdict=open_verdict())
    text = PageText(render_page(results, [], Drawn(), Pictures())).text
    assert ("INCONCLUSIVE (attributes waived)" if waived else "PIVOT") in text[:400]
    assert (
        "Held up by: beyond controls. About 500 independent samples would decide it; you have 267." in text
    ) == waived
    assert "Tiny weights." in text[: text.index("The gates")]


def test_hostile_text_stays_text(hostile):
    results, record, svg = hostile
    html = render_page(results, [], record, Pictures(svg, record.titles))
    assert "<script" not in html.lower()
    page = PageText(html)
    assert page.faults == []
    for name in HOSTILE:
        assert " ".join(name.split()) in page.text
    assert "49" not in re.findall(r"\{\{ 7 \* 7 \}\}|\b49\b", page.text)


def test_a_number_without_a_filter_is_refused():
    results, _ = example.bare()
    numbered = [dataclasses.replace(space, label=3) for space in results.spaces]
    with pytest.raises(TypeError, match="a number goes through a filter"):
        render_page(dataclasses.replace(results, spaces=numbered), [], Drawn(), Pictures())


def test_previews_are_shown_small(tmp_path):
    Image.effect_noise((300, 200), 80).save(tmp_path / "previews.png")
    small = as_webp(tmp_path / "previews.png")
    results, _ = example.full()
    html = render_page(results, [example.adapter()], Drawn(), Pictures(decoded={"mlp": small}))
    assert html.count('<img src="data:image/webp;base64,') == 1
    assert small == as_webp(tmp_path / "previews.png")


def test_colours_follow_the_theme_and_letters_are_kept_once(drawn, svg):
    record, _ = drawn
    figures = Figures()
    pages = [figures.inline(name, data, record.titles[name]) for name, data in svg.items()]
    body = "".join(pages)
    assert len(pages) == len(svg) > 20
    assert set(re.findall(r"#[0-9a-f]{6}\b", body)) <= {"#fefefe", "#121212"}
    light, dark = figures.palette()
    for colour in set(re.findall(r"var\((--c[0-9a-f]{6})\)", body)):
        assert f"{colour}:#{colour[3:]};" in light
        assert re.search(f"{colour}:#[0-9a-f]{{6}};", dark)
    letters = [f'id="{name}"' for name in figures.glyphs]
    assert len(letters) > 60
    assert not any(letter in body for letter in letters)
    assert all(str(figures.sprite()).count(letter) == 1 for letter in letters)


def contrast(first, second):
    def luminance(colour):
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((luminance(first), luminance(second)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_dark_colours_have_enough_contrast(svg):
    figures = Figures()
    for name, data in svg.items():
        figures.inline(name, data, name)
    dark = dict(re.findall(r"--c([0-9a-f]{6}):(#[0-9a-f]{6});", figures.palette()[1]))
    for strong in ("111111", "333333", "555555", "0072b2", "d55e00", "009e73", "332288"):
        assert contrast(dark[strong], dark["ffffff"]) >= 4.4, strong


def test_the_choice_among_pairs_is_open():
    """The pair of the verdict is in the open table, even if many other pairs are better."""
    results = example.decodable()
    better = [p for p in results.pairs if results.spaces[p.target].pooling != "flat"] * 4
    results = dataclasses.replace(results, pairs=[*results.pairs, *better])
    html = render_page(results, [], Drawn(), Pictures())
    assert (
        "chosen among 4 of 24 pairs by its held-out R² (0.434) on rows set aside for choosing: only those with a flat "
        "target, because a pooled latent cannot be decoded. Among the other pairs, qwen25vl layer 8 flat → ltxv final "
        "channel_mean is the best, with a higher R² (0.563) on the same rows."
    ) in PageText(html).text
    rows = html.partition("R² for choosing</th>")[2].partition("<tbody>")[2].partition("</tbody>")[0].split("<tr")[1:]
    assert len(rows) == 12
    assert rows[0].startswith(
        ' class="chosen"><th scope="row">qwen25vl final channel_mean</th><td>ltxv final flat</td>'
    )
    assert not any('class="chosen"' in row for row in rows[1:])
