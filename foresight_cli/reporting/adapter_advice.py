"""The choice of an adapter: one decision for the end of a sweep, the report, its page and its figure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from omegaconf import OmegaConf

from foresight_cli.config.text_settings import shell_line
from foresight_cli.config.tree import conf_dir
from foresight_cli.reporting.adapter_names import Sized, defaults_of
from foresight_cli.results import AdapterResults, Analysis, Attribute
from foresight_cli.results.numbers import fixed, with_interval

RIDGE = "adapter=linear"
"""The setting that asks for ridge, the baseline of every adapter."""
OTHERWISE = "Try another layer or pooling, or more samples."
MOST_TIES = 3

Number = Callable[..., str]


@dataclass(frozen=True)
class Advice:
    """The decision among the adapters of one pair.

    Attributes:
        text: the decision and its reasons, in sentences.
        chosen: the trained adapter to take, if any.
        untrained: the settings of the adapter to take if it is not trained yet; ``""`` otherwise.
        parameters: number of parameters of that untrained adapter; 0 otherwise.
    """

    text: str
    chosen: Sized | None = None
    untrained: str = ""
    parameters: int = 0


def decide(adapters: Sequence[Sized], least: float, number: Number = fixed, interval: Number = with_interval) -> Advice:
    """Return the adapter to take among those of one pair.

    An adapter must beat the mean of the training rows, be no worse than ridge on the test rows, and keep
    ``least`` of every judged attribute. The choice among these is made on the validation rows, see
    :func:`recommended`. If that adapter only ties with a ridge that is no larger, ridge is taken.

    Args:
        adapters: of one source space and one target space.
        least: share of an attribute that must be kept, ``thresholds.retention`` of the analysis.
        number: formats a number.
        interval: formats an estimate.
    """
    words = _Words(least, number, interval)
    good = [adapter for adapter in adapters if not words.against(adapter)]
    linear = next((adapter for adapter in good if adapter.results.adapter == "linear"), None)
    if not good:
        return _without(adapters, words)
    chosen = recommended(good)
    if words.ridge_will_do(chosen):
        tie = f"ridge is as good on the test rows as {chosen.name} ({number(chosen.own.parameters)})"
        return _ridge(linear, chosen, f"{tie}, the choice on the validation rows.", words)
    return Advice(" ".join([_taken(adapters, good, chosen, words), *_passed_over(adapters, chosen, words)]), chosen)


def by_pair(adapters: Sequence[Sized]) -> list[list[Sized]]:
    """Return the adapters of each pair of spaces, in the order of the pairs."""
    pairs: dict[tuple[str, ...], list[Sized]] = {}
    for adapter in adapters:
        pairs.setdefault(adapter.pair, []).append(adapter)
    return list(pairs.values())


def recommended(adapters: Sequence[Sized]) -> Sized:
    """Return the smallest adapter within one standard error of the best validation R2; of equal sizes, the better.

    On validation rows, because the test R2 of an adapter that was chosen by it would be too high.

    Source: the one-standard-error rule of Breiman et al. 1984.
    """
    return min(_near_the_best(adapters), key=lambda each: (each.own.parameters, -each.results.r2_validation.value))


def best_of(adapters: Sequence[Sized]) -> Sized:
    """Return the adapter with the best R2 on the validation rows."""
    return max(adapters, key=lambda adapter: adapter.results.r2_validation.value)


def standard_error(adapter: Sized) -> float:
    """Return the standard error of the validation R2, over groups of rows and over runs with other seeds."""
    r2 = adapter.results.r2_validation
    return 0.0 if r2.low is None or r2.high is None else (r2.high - r2.low) / 3.92


def least_kept(results: Analysis | None) -> float:
    """Return the share of an attribute that must be kept: of the analysis, or the default of ``conf/analyze.yaml``."""
    if results is not None:
        value = (results.settings.get("thresholds") or {}).get("retention")
        if isinstance(value, int | float) and not isinstance(value, bool):
            return float(value)
    return float(OmegaConf.load(conf_dir() / "analyze.yaml").thresholds.retention)


def other_pair(results: Analysis, adapters: Sequence[AdapterResults]) -> str:
    """Return the pair of ``adapters`` if it is not the verdict's; ``""`` if it is."""
    chosen = [results.chosen_source.key, results.chosen_target.key]
    if not adapters or adapters[0].provenance.get("keys") == chosen:
        return ""
    return f"{adapters[0].source} to {adapters[0].target}"


class _Words:
    """Reasons against an adapter, in words; ``""`` if there is no reason."""

    def __init__(self, least: float, number: Number, interval: Number) -> None:
        self.least, self.number, self.interval = least, number, interval

    def against(self, adapter: Sized) -> str:
        """Return the first reason of: no better than the mean, loses an attribute, worse than ridge."""
        mean, ridge = adapter.control("mean"), adapter.control("ridge")
        if mean is not None and mean.outcome != "better":
            verb = "ties with" if mean.outcome == "tie" else "is worse than"
            return f"{verb} the mean of the training rows: {self.interval(adapter.own.r2)} of test R²"
        if lost := self.lost(adapter.results.attributes):
            return lost
        if ridge is not None and ridge.outcome == "worse" and adapter.results.adapter != "linear":
            size = f"ridge ({self.number(ridge.parameters)} parameters)"
            return f"is worse than {size} on the test rows: it adds {self.interval(ridge.gain)} of R²"
        return ""

    def against_ridge(self, adapter: Sized) -> str:
        """Return the reason against the ridge that ``adapter`` was compared to."""
        ridge = adapter.control("ridge")
        if ridge is None:
            return "was not made"
        if (ridge.r2.value if ridge.r2.low is None else ridge.r2.low) <= 0:
            return f"is no better than the mean of the training rows: {self.interval(ridge.r2)} of test R²"
        return self.lost(adapter.results.attributes_ridge)

    def ridge_will_do(self, adapter: Sized) -> bool:
        """Check whether ``adapter`` only ties with a ridge that is no larger and has no reason against it."""
        ridge = adapter.control("ridge")
        if adapter.results.adapter == "linear" or ridge is None or ridge.outcome != "tie":
            return False
        return ridge.parameters <= adapter.own.parameters and not self.against_ridge(adapter)

    def lost(self, attributes: Sequence[Attribute]) -> str:
        """Return a phrase about the least kept attribute if it is kept below the threshold; ``""`` otherwise."""
        worst = weakest(attributes)
        if worst is None or worst.retention is None or worst.retention.value >= self.least:
            return ""
        digits = 2 if fixed(worst.retention.value, 2) != fixed(self.least, 2) else 4
        kept, wanted = self.number(worst.retention.value, digits), self.number(self.least, 2)
        return f"keeps {kept} of {worst.name}, wanted {wanted}"


def weakest(attributes: Sequence[Attribute]) -> Attribute | None:
    """Return the judged attribute that is kept least."""
    judged = [attribute for attribute in attributes if attribute.retention is not None]
    return min(judged, key=lambda a: (a.retention.value if a.retention else 0.0, a.name), default=None)


def _near_the_best(adapters: Sequence[Sized]) -> list[Sized]:
    best = best_of(adapters)
    least = best.results.r2_validation.value - standard_error(best)
    return [adapter for adapter in adapters if adapter.results.r2_validation.value >= least]


def _taken(adapters: Sequence[Sized], good: Sequence[Sized], chosen: Sized, words: _Words) -> str:
    """Return ``Take ...``, with the rule that chose it and its gain over ridge."""
    number, best = words.number, best_of(good)
    text = f"Take {chosen.name} ({number(chosen.own.parameters)} parameters): "
    if chosen is best:
        text += "the best validation R²" + (" of those that pass" if best_of(adapters) is not best else "")
    else:
        text += f"the smallest within one standard error of the best, {best.name} ({number(best.own.parameters)})"
    near = [adapter for adapter in _near_the_best(good) if adapter is not chosen]
    equals = [adapter for adapter in near if adapter.own.parameters == chosen.own.parameters]
    if equals:
        shown = ", ".join(adapter.name for adapter in equals[:MOST_TIES]) + (", ..." if len(equals) > MOST_TIES else "")
        text += f". Equally small, and also within one standard error: {shown}"
    if chosen.results.adapter == "linear":
        more = len(adapters) > 1 and best_of(adapters) is best
        return f"{text}. It is ridge{', and no other gains more than a standard error over it' if more else ''}."
    ridge = chosen.control("ridge")
    if ridge is None or ridge.gain is None:
        return f"{text}."
    size = f"ridge ({number(ridge.parameters)} parameters)"
    if ridge.outcome == "better":
        return f"{text}. It gains {words.interval(ridge.gain)} of test R² over {size}."
    reason = words.against_ridge(chosen)
    return f"{text}. It ties with {size}{f', which {reason}' if reason else ''}."


def _passed_over(adapters: Sequence[Sized], chosen: Sized, words: _Words) -> list[str]:
    """Return the reason against the adapter that the validation rows alone would choose, if another is taken."""
    first = recommended(adapters)
    reason = words.against(first)
    return [f"{first.name} ({words.number(first.own.parameters)}) {reason}."] if reason and first is not chosen else []


def _without(adapters: Sequence[Sized], words: _Words) -> Advice:
    """Advise where no adapter passes: ridge if it passes, else the reason against each of the two."""
    first, number = recommended(adapters), words.number
    why = f"{first.name} ({number(first.own.parameters)}), the choice on the validation rows, {words.against(first)}."
    compared = next((adapter for adapter in (first, *adapters) if adapter.control("ridge") is not None), None)
    has_linear = any(adapter.results.adapter == "linear" for adapter in adapters)
    if compared is not None and not has_linear and not words.against_ridge(compared):
        return _ridge(None, compared, why, words)
    ridge = compared.control("ridge") if compared else None
    if compared and ridge and first.results.adapter != "linear" and (reason := words.against_ridge(compared)):
        why += f" Ridge ({number(ridge.parameters)}) {reason}."
    return Advice(f"None is worth taking: {why} {OTHERWISE}")


def _ridge(linear: Sized | None, compared: Sized, why: str, words: _Words) -> Advice:
    """Advise ridge: the trained adapter if there is one, else the settings to train it."""
    if linear is not None:
        return Advice(f"Take {linear.name} ({words.number(linear.own.parameters)} parameters): {why}", linear)
    ridge = compared.control("ridge")
    assert ridge is not None
    name = shell_line([RIDGE, *_budget(ridge.parameters)])
    return Advice(
        f"Take {name} (ridge, {words.number(ridge.parameters)} parameters): {why}", None, name, ridge.parameters
    )


def _budget(parameters: int) -> list[str]:
    """Return the setting that allows a ridge above the default budget of parameters, if it is needed."""
    most = defaults_of("linear").get("adapter.max_parameters")
    return [f"adapter.max_parameters={parameters}"] if most is not None and parameters > most else []
