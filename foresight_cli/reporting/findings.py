"""``FINDINGS.md``: the results in the shape of the Q1 study, rendered from ``findings.md.j2``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from foresight_cli.reporting import numbers
from foresight_cli.reporting.adapter_sizes import advice, named
from foresight_cli.reporting.captions import caption
from foresight_cli.reporting.commands import adapt_command, analyze_command, report_commands
from foresight_cli.reporting.derived import best_pair, derived, one_pooling, spaces_of
from foresight_cli.reporting.figures import Drawn
from foresight_cli.reporting.figures.clusters import tsne_names
from foresight_cli.reporting.markdown import Markdown, code_block, code_span, escape, yaml_block
from foresight_cli.reporting.wording import against, clusters_band, limiting, threshold
from foresight_cli.results import AdapterResults, Analysis, Criterion, Estimate, PermutationTest, Verdict

_STUDY_NAMES = {"r2": "R²", "spearman": f"Spearman {numbers.RHO}", "cka": "CKA, biased"}
_MEASURES = {"cka": "CKA, debiased", "spearman": f"Spearman {numbers.RHO} of distances"}
Format = Callable[..., str]


class Numbers:
    """The only way of a number into ``FINDINGS.md``. It keeps each value it wrote, for a test to trace.

    Attributes:
        written: every value with the text it became.
    """

    def __init__(self) -> None:
        self.written: list[tuple[float, str]] = []

    def filters(self) -> dict[str, Callable[..., Markdown]]:
        """The template's filters by name."""
        return {
            "number": self._one(numbers.fixed),
            "percent": self._one(numbers.percent),
            "p_value": self._one(numbers.p_value),
            "interval": self._estimate(numbers.with_interval),
            "percent_interval": self._estimate(numbers.percent_with_interval),
            "criterion": self.criterion,
        }

    def criterion(self, found: Criterion, part: str) -> Markdown:
        """The ``estimate``, ``bound`` or ``threshold`` of a criterion, counts as counts and p values as such.

        A bound is written where it is not the estimate itself, as what the true value is above, or for FAIL below.
        """
        estimate, least = found.estimate, found.threshold
        if part == "bound":
            if found.kind != "bound" or found.bound is None:
                return Markdown("")
            sign = "≤" if found.outcome == "FAIL" else "≥"
            return Markdown(f"{sign} {self._keep(found.bound, numbers.fixed(found.bound))}")
        if part == "threshold":
            if least is None:
                return Markdown("")
            value = int(least) if found.kind == "count" else least
            sign = {"p value": "≤", "count": "≥", "ceiling": "≤"}.get(found.kind, ">")
            return Markdown(f"{sign} {self._keep(least, numbers.fixed(value, 2))}")
        if estimate is not None and found.kind == "count":
            return Markdown(self._keep(estimate.value, numbers.fixed(round(estimate.value))))
        if estimate is not None and found.kind == "p value":
            return Markdown(self._keep(estimate.value, f"p = {numbers.p_value(estimate.value)}"))
        return self._estimate(numbers.with_interval)(estimate)

    def limiting(self, verdict: Verdict) -> Markdown | None:
        """What stands in the way of an answer, and how many groups would settle it; None where there is an answer."""
        said = limiting(verdict, lambda count: self._keep(count, numbers.fixed(count)))
        return None if said is None else escape(said)

    def _keep(self, value: float, text: str) -> str:
        self.written.append((value, text))
        return text

    def _one(self, written: Format) -> Callable[..., Markdown]:
        def say(value: float | None, *digits: int) -> Markdown:
            text = written(value, *digits)
            return Markdown(text if value is None else self._keep(value, text))

        return say

    def _estimate(self, written: Format) -> Callable[..., Markdown]:
        def say(estimate: Estimate | None, *digits: int) -> Markdown:
            text = written(estimate, *digits)
            shown = [estimate.value, estimate.low, estimate.high] if estimate else []
            for value in shown:
                if value is not None:
                    self._keep(value, text)
            return Markdown(text)

        return say


def render_findings(
    results: Analysis, adapters: Sequence[AdapterResults], drawn: Drawn, numbers_kept: Numbers | None = None
) -> str:
    """The text of ``FINDINGS.md``; ``drawn`` says which figures lie beside it in ``figures/``."""
    kept = numbers_kept or Numbers()
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=_only_text,
        autoescape=False,  # HTML's; _only_text escapes for Markdown
    )
    environment.filters |= kept.filters() | {"yaml": yaml_block, "fence": code_block, "code": code_span}
    environment.globals |= {
        "clusters_band": clusters_band,
        "against": against,
        "figures": lambda names: _embed(names, drawn),
        "others": lambda names: _links(names, drawn),
        "threshold": lambda name: threshold(results, name),
    }
    return environment.get_template("findings.md.j2").render(_context(results, adapters, drawn, kept))


def _context(results: Analysis, adapters: Sequence[AdapterResults], drawn: Drawn, kept: Numbers) -> dict[str, Any]:
    maps, written = tsne_names(results), kept.filters()
    sources, targets = spaces_of(results, "source"), spaces_of(results, "target")
    chosen = next((n for n, i in maps.items() if results.spaces[i].layer == results.chosen_source.layer), "")
    return {
        "a": results,
        "verdict": results.verdict,
        "chosen": results.chosen,
        "pair": results.chosen_pair,
        "source": results.chosen_source,
        "target": results.chosen_target,
        "sources": [space for _, space in sources],
        "targets": [space for _, space in targets],
        "layers": [space for _, space in one_pooling(sources)],
        "derived": derived(results),
        "clearest": _clearest([space for _, space in sources]),
        "clearest_target": _clearest([space for _, space in targets]),
        "best_cka": best_pair(results, "cka"),
        "adapters": adapters,
        "advice": advice(named(adapters), written["number"], written["interval"]) if adapters else "",
        "study_names": _STUDY_NAMES,
        "measure": lambda test: _measure(test, results),
        "limiting": kept.limiting(results.verdict),
        "adapt_command": adapt_command(results),
        "analyze_command": analyze_command(results),
        "commands": "\n".join(report_commands(results)),
        "vlm_map": chosen,
        "vlm_maps": [name for name in maps if name.startswith("vlm_") and name != chosen],
        "ltx_maps": [name for name in maps if name.startswith("ltx_")],
        "left_out": drawn.left_out,
        "provenance": {"data": results.data, **results.provenance},
    }


def _measure(test: PermutationTest, results: Analysis) -> str:
    """What a permutation test is of, in a reader's words."""
    near = results.chosen_pair.neighborhood
    neighbors = f"Recall@{near[0].k}" if near else "Recall"
    return neighbors if test.measure == "recall" else _MEASURES.get(test.measure, test.measure)


def _clearest(spaces: Sequence[Any]) -> Any:
    """The space with the highest silhouette; None where none was measured."""
    return max((s for s in spaces if s.silhouette is not None), key=lambda s: s.silhouette, default=None)


def _only_text(value: Any) -> str:
    """Text of the results is escaped; a number must come through a filter, so that all are written alike."""
    if value is None:
        return numbers.NOT_MEASURED
    if isinstance(value, str):
        return escape(value)
    raise TypeError(f"{value!r} is not text: a number goes through a filter of Numbers")


def _embed(names: Sequence[str], drawn: Drawn) -> Markdown:
    there = [name for name in names if name in drawn.names]
    return Markdown("".join(f"![{caption(n)}](figures/{n}.png)\n\n*{caption(n)}.*\n\n" for n in there))


def _links(names: Sequence[str], drawn: Drawn) -> Markdown:
    return Markdown(", ".join(f"[{name}](figures/{name}.png)" for name in names if name in drawn.names))
