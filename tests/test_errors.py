"""Tests of the errors that a user can fix."""

from __future__ import annotations

import pytest

from foresight_cli.errors import first_line


@pytest.mark.parametrize(
    ("message", "line"),
    [
        ("", "ValueError"),
        (" \n ", "ValueError"),
        ("one.\ntwo", "one"),
        ("\none ", "one"),
        ("wait ...", "wait ..."),
    ],
)
def test_the_first_line_of_any_error(message, line):
    assert first_line(ValueError(message)) == line
