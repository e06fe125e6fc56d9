"""Formats of numbers in figures, in ``FINDINGS.md`` and on the terminal: one place, so that they agree."""

from __future__ import annotations

import math

from foresight_cli.results import Estimate

NOT_MEASURED = "not measured"
RHO = "\N{GREEK SMALL LETTER RHO}"


def fixed(value: float | None, digits: int = 3) -> str:
    """Format ``value`` with ``digits`` decimals; counts with thousands separators.

    >>> fixed(0.68749), fixed(-0.0001), fixed(8192), fixed(None)
    ('0.687', '0.000', '8,192', 'not measured')
    """
    if value is None or math.isnan(value):
        return NOT_MEASURED
    if isinstance(value, int):
        return f"{value:,}"
    text = f"{value:,.{digits}f}"
    return text.lstrip("-") if not text.strip("-0.,") else text


def rough(count: int) -> str:
    """Format an estimated count, rounded up to two significant digits.

    >>> rough(1588), rough(301), rough(96)
    ('1,600', '310', '96')
    """
    unit = 10 ** max(0, len(str(count)) - 2)
    return fixed(-(-count // unit) * unit)


def percent(value: float | None, digits: int = 1) -> str:
    """Format a share as per cent.

    >>> percent(0.26789), percent(1.0, 0)
    ('26.8 %', '100 %')
    """
    return NOT_MEASURED if value is None or math.isnan(value) else f"{fixed(100.0 * value, digits)} %"


def p_value(value: float | None) -> str:
    """Format a p value; never as 0, which no permutation test gives.

    >>> p_value(0.001), p_value(0.00004)
    ('0.001', '4e-05')
    """
    if value is None or math.isnan(value):
        return NOT_MEASURED
    return f"{value:.3f}" if value >= 0.0005 else f"{value:.0e}"


def with_interval(estimate: Estimate | None, digits: int = 3) -> str:
    """Format an estimate with its 95 % interval.

    >>> with_interval(Estimate(0.61, 0.58, 0.642), 2)
    '0.61 (0.58 to 0.64)'
    """
    if estimate is None:
        return NOT_MEASURED
    return _interval(estimate, fixed(estimate.value, digits), 1.0, digits)


def percent_with_interval(estimate: Estimate | None, digits: int = 1) -> str:
    """Format a share with its 95 % interval, as per cent.

    >>> percent_with_interval(Estimate(0.268, 0.25, 0.29))
    '26.8 % (25.0 to 29.0)'
    """
    if estimate is None:
        return NOT_MEASURED
    return _interval(estimate, percent(estimate.value, digits), 100.0, digits)


def _interval(estimate: Estimate, text: str, unit: float, digits: int) -> str:
    if estimate.low is None or estimate.high is None:
        return text
    return f"{text} ({fixed(unit * estimate.low, digits)} to {fixed(unit * estimate.high, digits)})"
