"""Checks of ranges and choices; each error is one line with the key, its value and what is allowed."""

from __future__ import annotations

from foresight_cli.errors import UsageError


def one_of(key: str, value: str, allowed: tuple[str, ...]) -> None:
    """Refuse a value that is not among ``allowed``."""
    if value not in allowed:
        raise UsageError(f"{key}={value}: choose one of {', '.join(allowed)}")


def at_least(key: str, value: float, least: float) -> None:
    """Refuse a value below ``least``."""
    if not value >= least:
        raise UsageError(f"{key}={value}: it must be at least {least:g}")


def between(key: str, value: float, low: float, high: float) -> None:
    """Refuse a value outside [low, high]."""
    if not low <= value <= high:
        raise UsageError(f"{key}={value}: it must be between {low:.10g} and {high:.10g}")


def multiple(key: str, value: int | None, unit: int) -> None:
    """Refuse a number that is not a multiple of ``unit``; None passes."""
    if value is not None and (value < unit or value % unit):
        near = max(unit, round(value / unit) * unit)
        raise UsageError(f"{key}={value}: it must be a multiple of {unit}, for instance {near}")
