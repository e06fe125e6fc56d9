"""The page in a real browser: headless Chromium opens it from disk, with the network cut."""

import os
import shutil
from pathlib import Path

import pytest

from foresight_cli.reporting.compared import compare, comparison_figure
from foresight_cli.reporting.figures import Drawn
from foresight_cli.reporting.figures.style import encode, style
from foresight_cli.reporting.page import Pictures, render_comparison, render_page
from tests.reporting import example

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        CHROMIUM is None and not os.environ.get("CI"), reason="no Chromium here: apt-get install chromium"
    ),
]


@pytest.fixture(scope="module")
def files(tmp_path_factory, drawn, svg, hostile):
    """Write the pages: of a full example, of hostile names, of a nearly empty example, and of several analyses."""
    folder = tmp_path_factory.mktemp("pages")
    made = {
        "full": (example.full()[0], drawn[0], svg),
        "hostile": hostile,
        "bare": (example.bare()[0], Drawn(), {}),
    }
    for name, (results, record, figures) in made.items():
        adapters = [example.adapter()] if name == "full" else []
        page = render_page(results, adapters, record, Pictures(figures, record.titles))
        (folder / f"{name}.html").write_text(page, encoding="utf-8")
    compared = compare([(Path(name), results) for name, (results, *_) in made.items()])
    with style():
        figures = {"comparison": encode(comparison_figure(compared))["svg"]}
    (folder / "several.html").write_text(render_comparison(compared, Pictures(figures)), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def browser():
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def opened(browser, files):
    """Return ``opened(name, width, scheme)``, which returns the page with its console messages and requests."""
    contexts = []

    def open_page(name, width=1280, scheme="light"):
        context = browser.new_context(
            viewport={"width": width, "height": 900},
            color_scheme=scheme,
            reduced_motion="reduce",
            offline=True,
            bypass_csp=True,
        )
        contexts.append(context)
        page = context.new_page()
        page.messages, page.requested = [], []
        page.on("console", lambda message: page.messages.append(message.text))
        page.on("pageerror", lambda error: page.messages.append(str(error)))
        page.on("dialog", lambda dialog: page.messages.append(dialog.message))
        page.on("request", lambda request: page.requested.append(request.url))
        page.goto((files / f"{name}.html").as_uri())
        return page

    yield open_page
    for context in contexts:
        context.close()


@pytest.mark.parametrize("name", ["full", "hostile", "bare", "several"])
@pytest.mark.parametrize("width", [390, 1280])
def test_opens_without_a_fault_or_a_request_and_fits_its_width(opened, name, width):
    page = opened(name, width)
    assert page.messages == []
    assert [url for url in page.requested if not url.startswith("data:")] == [page.url]
    page.evaluate("document.querySelectorAll('details').forEach(element => element.open = true)")
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize(
    ("name", "scheme"),
    [("full", "light"), ("full", "dark"), ("hostile", "light"), ("bare", "light"), ("several", "dark")],
)
def test_axe_finds_nothing(opened, name, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    page = opened(name, scheme=scheme)
    page.evaluate("document.querySelectorAll('details').forEach(element => element.open = true)")
    violations = axe.Axe().run(page).response["violations"]
    assert [(violation["id"], violation["nodes"][0]["html"][:200]) for violation in violations] == []


def test_links_lead_to_their_sections_and_folds_open(opened):
    page = opened("full")
    links = page.locator("nav a")
    assert links.count() == 10
    for link in links.all():
        link.click()
        name = page.url.partition("#")[2]
        top = page.evaluate("name => document.getElementById(name).getBoundingClientRect().top", name)
        assert top < 900, name
    fold = page.locator("details.how").first
    inside = fold.locator("p").first
    assert not inside.is_visible()
    fold.locator("summary").click()
    assert inside.is_visible()


def test_theme_follows_the_reader(opened):
    def paper(page):
        return page.evaluate("getComputedStyle(document.body).backgroundColor")

    def axes(page):
        shape = "document.querySelector('figure svg path')"
        return page.evaluate(f"getComputedStyle({shape}).fill")

    light, dark = opened("full", scheme="light"), opened("full", scheme="dark")
    white, black = paper(light), paper(dark)
    assert (white, black) == ("rgb(255, 255, 255)", "rgb(21, 25, 30)")
    assert (axes(light), axes(dark)) == (white, black)
    dark.get_by_label("Light").check()
    light.get_by_label("Dark").check()
    assert (paper(light), axes(light), paper(dark), axes(dark)) == (black, black, white, white)
    light.emulate_media(media="print")
    assert paper(light) == white
    assert light.locator("details.how p").first.is_visible()


def test_hostile_names_stay_text(opened):
    page = opened("hostile")
    assert page.messages == []
    assert page.locator("script").count() == 0
    page.evaluate("document.querySelectorAll('details').forEach(element => element.open = true)")
    assert page.evaluate("document.querySelectorAll('b, i, marquee').length") == 0
