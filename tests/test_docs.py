"""Every code block in ``docs/`` runs, in order, in one folder for each page; `test_additions` has ``add-a-*.md``."""

from __future__ import annotations

import doctest
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from tests.conftest import commands_in

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
PAGES = ("tutorial", "metrics", "statistics", "faq", "python")


def blocks(page: str) -> list[tuple[str, str]]:
    """Return language and text of each fenced block of a page."""
    text = (DOCS / f"{page}.md").read_text(encoding="utf-8")
    return re.findall(r"^```(\w+)\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)


def photos(folder: Path) -> None:
    """Draw pictures of two categories: a disc or a square with random position, size and colour."""
    rng = np.random.default_rng(0)
    for label in ("disc", "square"):
        (folder / label).mkdir(parents=True)
        for number in range(60):
            image = Image.new("RGB", (96, 96), tuple(int(c) for c in rng.integers(0, 256, 3)))
            x, y, size = (int(v) for v in (*rng.integers(20, 76, 2), rng.integers(8, 20)))
            draw = ImageDraw.Draw(image)
            shape = draw.ellipse if label == "disc" else draw.rectangle
            shape((x - size, y - size, x + size, y + size), fill=tuple(int(c) for c in rng.integers(0, 256, 3)))
            image.save(folder / label / f"{number:03d}.png")


def words_of(command: str) -> list[str]:
    """Return the words of a line of a page, after ``foresight``."""
    name, *words = shlex.split(command)
    assert name == "foresight"
    return words


@pytest.fixture(scope="module")
def studied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run the whole tutorial in one folder and return it; later pages start from there."""
    folder = tmp_path_factory.mktemp("docs")
    photos(folder / "photos")
    with commands_in(folder) as run, pytest.MonkeyPatch.context() as patched:
        patched.setattr("foresight_cli.report.draw_figures", lambda *_: iter(()))  # 7 s for each of three reports
        for language, text in blocks("tutorial"):
            assert language == "bash"
            for command in text.splitlines():
                done = run(*words_of(command))
                expected = (0, 3) if "fail_on" in command else (0,)
                assert done.exit_code in expected, f"{command}\n{done.output}"
    return folder


@pytest.mark.slow
def test_the_tutorial(studied: Path) -> None:
    assert len(blocks("tutorial")) == 8
    pages = sorted((studied / "outputs/report").rglob("report.html"))
    assert len(pages) == 4
    assert "Trained adapters" in pages[2].read_text(encoding="utf-8")
    assert "2 analyses side by side" in pages[3].read_text(encoding="utf-8")


@pytest.mark.slow
def test_python_examples_in_the_tutorials_folder(studied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(studied)
    text = "\n".join(text for _, text in blocks("python"))
    test = doctest.DocTestParser().get_doctest(text, {}, "python.md", None, 0)
    assert len(test.examples) > 20
    result = doctest.DocTestRunner().run(test)
    assert result.failed == 0


@pytest.mark.slow
def test_the_answers_of_the_faq(studied: Path) -> None:
    with commands_in(studied) as run:
        for language, text in blocks("faq"):
            if language == "bash":
                done = run(*words_of(text.strip()))
                assert done.exit_code == 0, done.output
                assert "(attributes waived)" in done.output
            else:
                exec(compile(text, "faq.md", "exec"), {})


@pytest.mark.parametrize("page", ["metrics", "statistics"])
def test_python_blocks(page: str) -> None:
    names: dict[str, object] = {}
    code = blocks(page)
    assert {language for language, _ in code} == {"python"}
    for _, text in code:
        exec(compile(text, f"{page}.md", "exec"), names)


def test_every_page_is_linked_and_every_link_works() -> None:
    pages = {path.name for path in DOCS.glob("*.md")}
    assert {f"{page}.md" for page in PAGES} <= pages
    linked = (ROOT / "README.md").read_text(encoding="utf-8")
    for page in sorted(pages):
        if f"(docs/{page})" in linked:
            linked += (DOCS / page).read_text(encoding="utf-8").replace("](", "](docs/")
    assert {page for page in pages if f"(docs/{page})" not in linked} == set()
    for file in (ROOT / "README.md", *DOCS.glob("*.md")):
        for link in re.findall(r"\]\(([^)#]+)(?:#[\w-]*)?\)", file.read_text(encoding="utf-8")):
            if not link.startswith(("http://", "https://")):
                assert (file.parent / link).exists(), f"{file.name}: {link}"
