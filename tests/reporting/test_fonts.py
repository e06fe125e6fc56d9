"""Labels in any script are drawn with the fonts of the machine; characters that none of them has are reported once."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib import font_manager
from PIL import Image

from foresight_cli.report import write_comparison
from foresight_cli.reporting.compared import compare
from foresight_cli.reporting.figures import Drawn, catalogue, fonts
from foresight_cli.reporting.figures.fonts import families_for, foreign, no_font
from foresight_cli.reporting.figures.style import encode, new_figure, style
from foresight_cli.reporting.findings import render_findings
from foresight_cli.reporting.page import Pictures, render_page
from tests.reporting import example

PERSIAN = "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645"
CIRCLED = "ⒶⒷ"  # STIXGeneral, which comes with matplotlib, has them, and DejaVu Sans does not


@pytest.fixture
def installed(monkeypatch):
    """Limit the fonts of the machine to some that come with matplotlib, or to none."""
    families_for.cache_clear()

    def only(*names):
        available = [font for font in font_manager.fontManager.ttflist if font.name in names]
        monkeypatch.setattr(fonts, "_installed", lambda: sorted(available, key=fonts._preference))

    yield only
    families_for.cache_clear()


def labelled(*labels):
    figure = new_figure(f"Layer 8 keeps {labels[0]} apart", 2.5)
    ax = figure.add_subplot()
    for i, label in enumerate(labels):
        ax.scatter([i], [i], label=label)
    ax.set_yticks(range(len(labels)), labels)
    ax.set_xlabel(labels[-1])
    ax.annotate(labels[0], (0, 0))
    ax.legend()
    return figure


def drawn(*labels):
    lost = set()
    with style():
        files = encode(labelled(*labels), lost)
    return files, lost


def test_scripts_that_the_figures_own_font_has(installed):
    installed()
    texts = ("Фото", "φωτογραφία", "صور جميلة", "תמונות", "élève", "→ ≤ … ²", PERSIAN, "ლ", "tiếng Việt")
    assert [foreign(text) for text in texts] == [""] * len(texts)
    assert foreign("b照片a照\n\u200d") == "照片"


def test_a_font_is_found_for_what_is_missing_and_used(installed, recwarn):
    """Find a font for text in every place of a figure, and in both of its files."""
    installed("STIXGeneral", "STIXSizeOneSym")
    assert families_for(CIRCLED) == (("STIXGeneral",), "")
    files, lost = drawn(CIRCLED, "plain", "ascii")
    assert lost == set()
    assert files["svg"].count(b"STIXGeneral") > 4
    assert b"LastResort" not in files["svg"]
    families_for.cache_clear()
    installed()
    boxes, lost = drawn(CIRCLED, "plain", "ascii")
    assert lost == set(CIRCLED)
    assert b"STIXGeneral" not in boxes["svg"]
    pictures = [np.asarray(Image.open(io.BytesIO(each["png"]))) for each in (files, boxes)]
    assert pictures[0].shape == pictures[1].shape
    assert not np.array_equal(*pictures)
    assert [str(warning.message) for warning in recwarn] == []


def test_plain_labels_need_no_other_font(installed, monkeypatch):
    installed()
    monkeypatch.setattr(fonts, "_installed", lambda: pytest.fail("fonts were looked for"))
    assert drawn("Фото", "cat")[1] == set()


def test_a_coarse_font_is_the_last_resort(installed):
    """`Unifont` is such a font; here it is replaced by a font that also has the letters."""
    installed("STIXGeneral", "STIXNonUnicode")
    coarse = [font for font in fonts._installed() if font.name == "STIXGeneral"]
    assert coarse
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(fonts, "COARSE", ("STIXGeneral",))
        families_for.cache_clear()
        assert families_for(CIRCLED) == (("STIXGeneral",), "")


@pytest.mark.parametrize(
    ("characters", "line"),
    [
        ("照片", "no font on this machine has 照片, so figures show boxes there; install fonts-noto-cjk"),
        ("사진", "no font on this machine has 사진, so figures show boxes there; install fonts-noto-cjk"),
        ("👧", "no font on this machine has 👧, so figures show boxes there; install fonts-symbola"),
        ("ภค", "no font on this machine has คภ, so figures show boxes there; install fonts-noto-core"),
        ("照ภ", "no font on this machine has ภ照, so figures show boxes there; install fonts-noto-core and "
                "fonts-noto-cjk"),
        ("".join(map(chr, range(0x4E00, 0x4E64))), "no font on this machine has "
         + "".join(map(chr, range(0x4E00, 0x4E14))) + "…, so figures show boxes there; install fonts-noto-cjk"),
    ],
)  # fmt: skip
def test_what_is_advised(characters, line):
    assert no_font(characters) == line


def test_missing_characters_are_reported_in_page_and_findings(installed):
    installed()
    results, arrays = example.full(layers=("8",), labels=tuple(sorted(("照片", "cat", "dog", "猫"))), per_label=6)
    record = Drawn()
    for name in ("source_tsne_layer_8", "semantic_sim_categories", "neighborhood_by_category"):
        assert record.draw(name, lambda name=name: catalogue(results)[name](results, arrays))
    line = "no font on this machine has 照片猫, so figures show boxes there; install fonts-noto-cjk"
    assert record.notes == [line]
    assert render_findings(results, [], record).count(line) == 1
    assert render_page(results, [], record, Pictures({}, record.titles, {})).count(line) == 1


def test_missing_characters_are_logged_once(installed, tmp_path, caplog):
    installed()
    results = example.full(layers=("8",))[0]
    named = [replace(results, data={"name": "imagefolder", "path": path}) for path in ("/照片", "/photos")]
    write_comparison(compare([(Path(analysis.data["path"][1:]), analysis) for analysis in named]), tmp_path)
    line = "no font on this machine has 照片, so figures show boxes there; install fonts-noto-cjk"
    assert caplog.messages == [f"warning: {line}"]
    assert (tmp_path / "report.html").read_text().count(line) == 1
    assert {path.name for path in (tmp_path / "figures").iterdir()} == {"comparison.png", "comparison.svg"}
