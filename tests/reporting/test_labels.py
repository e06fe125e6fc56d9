"""Text in figures: any name that a user gives to a category or a model."""

from __future__ import annotations

from dataclasses import replace

import pytest

from foresight_cli.reporting.figures.labels import clean, shorten, space_name
from tests.reporting import example

PERSIAN = "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("$x_1^2$", "$x_1^2$"),
        ("_hidden", " _hidden"),
        ("two\nlines\ttab\x1b[0m", "two lines tab [0m"),
        ("e\u0301le\u0300ve", "élève"),
        ("\u2764\ufe0f", "\u2764"),
        (PERSIAN, PERSIAN),
        ("\u202eabc", " abc"),
        ("", "(empty)"),
        ("l" * 300, "l" * 21 + "…"),
        ("很" * 300, "很" * 10 + "…"),
        ("很" * 11, "很" * 11),
        ("\udc80", " "),
    ],
)
def test_labels_as_they_are_shown(text, shown):
    assert shorten(text) == shown
    assert clean(text).isprintable() or "\u200c" in text


def test_a_space_keeps_its_layer_and_pooling():
    space = replace(example.full()[0].spaces[0], model="my own very long model of a name", layer="8", pooling="flat")
    assert space_name(space, 60) == "my own very long model of a name layer 8 flat"
    assert space_name(space, 30) == "my own very long… layer 8 flat"
    assert len(space_name(space, 30)) == 30
    assert space_name(replace(space, layer="final"), 8) == "my ow… final flat"
