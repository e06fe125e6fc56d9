"""Which adapter to take: one decision for the end of a sweep, the report, its page and its figure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from omegaconf import OmegaConf

from foresight_cli.config_groups import conf_dir
from foresight_cli.reporting.adapter_names import Sized, defaults_of
from foresight_cli.reporting.numbers import fixed, with_interval
from foresight_cli.results import AdapterResults, Analysis, Attribute
from foresight_cli.text_settings import shell_line

RIDGE = "adapter=linear"
"""What to type for ridge, which every adapter is compared to."""
OTHERWISE = "Try another layer or pooling, or more samples."
MOST_TIES = 3

Number = Callable[..., str]


@dataclass(frozen=True)
class Advice:
    """The decision among the adapters of one pair.

    Attributes:
        text: the decision and its reasons, in sentences.
        chosen: the trained adapter to take, if any.
        untrained: the words of an adapter that is to be taken and was not trained yet; ``""`` otherwise.
        parameters: of that one; 0 otherwise.
    """

    text: str
    chosen: Sized | None = None
    untrained: str = ""
    parameters: int = 0


def decide(adapters: Sequence[Sized], least: float, number: Number = fixed, interval: Number = with_interval) -> Advice:
    """The adapter to take among those of one pair.

    Only such are taken as beat the mean of the training rows, are not worse than ridge on the test rows, and keep
    ``least`` of every attribute that is judged. Among these the validation rows choose, see :func:`recommended`; where
    the choice only ties with a ridge that is no larger, ridge is taken.

    Args:
        adapters: of one source space and one target space.
        least: share of an attribute that must be kept, ``thresholds.retention`` of the analysis.
        number: writes a number.
        interval: writes an estimate.
    """
    words = _Words(least, number, interval)
    good = [one for one in adapters if not words.against(one)]
    linear = next((one for one in good if one.results.adapter == "linear"), None)
    if not good:
        return _without(adapters, words)
    chosen = recommended(good)
    if words.ridge_will_do(chosen):
        tie = f"ridge is as good on the test rows as {chosen.name} ({number(chosen.own.parameters)})"
        return _ridge(linear, chosen, f"{tie}, the choice on the validation rows.", words)
    return Advice(" ".join([_taken(adapters, good, chosen, words), *_passed_over(adapters, chosen, words)]), chosen)


def by_pair(adapters: Sequence[Sized]) -> list[list[Sized]]:
    """The adapters of each pair of spaces, in the order in which the pairs come."""
    pairs: dict[tuple[str, ...], list[Sized]] = {}
    for one in adapters:
        pairs.setdefault(one.pair, []).append(one)
    return list(pairs.values())


def recommended(adapters: Sequence[Sized]) -> Sized:
    """The smallest adapter whose validation R2 is within one standard error of the best one's; the better of equals.

    Validation, because the test rows of an adapter that was chosen by them would flatter it.

    Source: the one-standard-error rule of Breiman et al. 1984.
    """
    return min(_near_the_best(adapters), key=lambda one: (one.own.parameters, -one.results.r2_validation.value))


def best_of(adapters: Sequence[Sized]) -> Sized:
    """The one with the best R2 on the validation rows."""
    return max(adapters, key=lambda one: one.results.r2_validation.value)


def standard_error(adapter: Sized) -> float:
    """Of its validation R2: of rows, by groups, and of the runs with other seeds."""
    r2 = adapter.results.r2_validation
    return 0.0 if r2.low is None or r2.high is None else (r2.high - r2.low) / 3.92


def least_kept(results: Analysis | None) -> float:
    """The share of an attribute that must be kept: of an analysis, or the default of ``conf/analyze.yaml``."""
    if results is not None:
        value = (results.settings.get("thresholds") or {}).get("retention")
        if isinstance(value, int | float) and not isinstance(value, bool):
            return float(value)
    return float(OmegaConf.load(conf_dir() / "analyze.yaml").thresholds.retention)


def other_pair(results: Analysis, adapters: Sequence[AdapterResults]) -> str:
    """The pair of ``adapters`` where that is not the verdict's; ``""`` where it is."""
    chosen = [results.chosen_source.key, results.chosen_target.key]
    if not adapters or adapters[0].provenance.get("keys") == chosen:
        return ""
    return f"{adapters[0].source} to {adapters[0].target}"


class _Words:
    """What speaks against an adapter, in words; ``""`` where nothing does."""

    def __init__(self, least: float, number: Number, interval: Number) -> None:
        self.least, self.number, self.interval = least, number, interval

    def against(self, one: Sized) -> str:
        """The first of: no better than the mean, loses an attribute, worse than ridge."""
        mean, ridge = one.control("mean"), one.control("ridge")
        if mean is not None and mean.outcome != "better":
            verb = "ties with" if mean.outcome == "tie" else "is worse than"
            return f"{verb} the mean of the training rows: {self.interval(one.own.r2)} of test R²"
        if lost := self.lost(one.results.attributes):
            return lost
        if ridge is not None and ridge.outcome == "worse" and one.results.adapter != "linear":
            size = f"ridge ({self.number(ridge.parameters)} parameters)"
            return f"is worse than {size} on the test rows: it adds {self.interval(ridge.gain)} of R²"
        return ""

    def against_ridge(self, one: Sized) -> str:
        """The same of the ridge that ``one`` was compared to."""
        ridge = one.control("ridge")
        if ridge is None:
            return "was not made"
        if (ridge.r2.value if ridge.r2.low is None else ridge.r2.low) <= 0:
            return f"is no better than the mean of the training rows: {self.interval(ridge.r2)} of test R²"
        return self.lost(one.results.attributes_ridge)

    def ridge_will_do(self, one: Sized) -> bool:
        """Whether ``one`` only ties with a ridge that is no larger and that nothing speaks against."""
        ridge = one.control("ridge")
        if one.results.adapter == "linear" or ridge is None or ridge.outcome != "tie":
            return False
        return ridge.parameters <= one.own.parameters and not self.against_ridge(one)

    def lost(self, attributes: Sequence[Attribute]) -> str:
        """The attribute that is kept least, where that is below what is wanted."""
        worst = weakest(attributes)
        if worst is None or worst.retention is None or worst.retention.value >= self.least:
            return ""
        digits = 2 if fixed(worst.retention.value, 2) != fixed(self.least, 2) else 4
        kept, wanted = self.number(worst.retention.value, digits), self.number(self.least, 2)
        return f"keeps {kept} of {worst.name}, wanted {wanted}"


def weakest(attributes: Sequence[Attribute]) -> Attribute | None:
    """The judged attribute that is kept least."""
    judged = [one for one in attributes if one.retention is not None]
    return min(judged, key=lambda one: (one.retention.value if one.retention else 0.0, one.name), default=None)


def _near_the_best(adapters: Sequence[Sized]) -> list[Sized]:
    best = best_of(adapters)
    least = best.results.r2_validation.value - standard_error(best)
    return [one for one in adapters if one.results.r2_validation.value >= least]


def _taken(adapters: Sequence[Sized], good: Sequence[Sized], chosen: Sized, words: _Words) -> str:
    """``Take ...``, by which rule, and what it gains over ridge."""
    number, best = words.number, best_of(good)
    text = f"Take {chosen.name} ({number(chosen.own.parameters)} parameters): "
    if chosen is best:
        text += "the best validation R²" + (" of those that pass" if best_of(adapters) is not best else "")
    else:
        text += f"the smallest within one standard error of the best, {best.name} ({number(best.own.parameters)})"
    equals = [one for one in _near_the_best(good) if one.own.parameters == chosen.own.parameters and one is not chosen]
    if equals:
        shown = ", ".join(one.name for one in equals[:MOST_TIES]) + (", ..." if len(equals) > MOST_TIES else "")
        text += f". As small, and within one standard error too: {shown}"
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
    """Why the adapter that the validation rows alone would choose is not the one to take."""
    first = recommended(adapters)
    reason = words.against(first)
    return [f"{first.name} ({words.number(first.own.parameters)}) {reason}."] if reason and first is not chosen else []


def _without(adapters: Sequence[Sized], words: _Words) -> Advice:
    """No adapter passes: ridge where that does, else what each of the two fails in."""
    first, number = recommended(adapters), words.number
    why = f"{first.name} ({number(first.own.parameters)}), the choice on the validation rows, {words.against(first)}."
    compared = next((one for one in (first, *adapters) if one.control("ridge") is not None), None)
    has_linear = any(one.results.adapter == "linear" for one in adapters)
    if compared is not None and not has_linear and not words.against_ridge(compared):
        return _ridge(None, compared, why, words)
    ridge = compared.control("ridge") if compared else None
    if compared and ridge and first.results.adapter != "linear" and (reason := words.against_ridge(compared)):
        why += f" Ridge ({number(ridge.parameters)}) {reason}."
    return Advice(f"None is worth taking: {why} {OTHERWISE}")


def _ridge(linear: Sized | None, compared: Sized, why: str, words: _Words) -> Advice:
    """Take ridge: the adapter where it was trained, else what to type for it."""
    if linear is not None:
        return Advice(f"Take {linear.name} ({words.number(linear.own.parameters)} parameters): {why}", linear)
    ridge = compared.control("ridge")
    assert ridge is not None
    name = shell_line([RIDGE, *_budget(ridge.parameters)])
    return Advice(
        f"Take {name} (ridge, {words.number(ridge.parameters)} parameters): {why}", None, name, ridge.parameters
    )


def _budget(parameters: int) -> list[str]:
    """The word that lets ridge be made where it is over the default budget."""
    most = defaults_of("linear").get("adapter.max_parameters")
    return [f"adapter.max_parameters={parameters}"] if most is not None and parameters > most else []
