"""A made-up analysis with names that could break a page."""

from dataclasses import replace

from tests.reporting.example import full

HOSTILE = ("<script>alert(1)</script>", "ünïcode \u202e \N{PILE OF POO}" * 3, "x" * 200, "{{ 7 * 7 }}", "a&amp;b \"'")


def hostile():
    """Return an analysis whose names are markup, templates, very long or not Latin, and its arrays."""
    results, arrays = full(labels=HOSTILE)
    results = replace(
        results,
        source=HOSTILE[0],
        duplicates=replace(
            results.duplicates, examples=[[name, name] for name in HOSTILE], skipped=[[HOSTILE[0], HOSTILE[4]]]
        ),
        warnings=list(HOSTILE),
        provenance={**results.provenance, "command": HOSTILE[0]},
    )
    return results, arrays
