"""The figures of the study, and further figures that the study does not have.

One function draws one figure: ``draw(results, arrays) -> Figure``, and its title states the finding.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial

from matplotlib.figure import Figure

from foresight_cli.errors import first_line
from foresight_cli.reporting.figures import (
    attributes,
    calibrated,
    channels,
    cka,
    clusters,
    dimension,
    duplicates,
    examples,
    neighborhood,
    probe,
    similarity,
)
from foresight_cli.reporting.figures.fonts import no_font
from foresight_cli.reporting.figures.style import Arrays, Draw, NotMeasured, encode, style, title_of
from foresight_cli.results import Analysis

log = logging.getLogger(__name__)

FIGURES: dict[str, Draw] = {
    "source_layer_comparison": clusters.source_layer_comparison,
    "target_channel_analysis": channels.target_channel_analysis,
    "target_spatial_correlation": channels.target_spatial_correlation,
    "intrinsic_dim_pca": dimension.intrinsic_dim_pca,
    "intrinsic_dim_summary": dimension.intrinsic_dim_summary,
    "linear_probe_training": probe.linear_probe_training,
    "linear_probe_components": probe.linear_probe_components,
    "linear_probe_scatter": probe.linear_probe_scatter,
    "linear_probe_summary": probe.linear_probe_summary,
    "semantic_sim_scatter": similarity.semantic_sim_scatter,
    "semantic_sim_categories": similarity.semantic_sim_categories,
    "semantic_sim_heatmaps": similarity.semantic_sim_heatmaps,
    "semantic_sim_ranks": similarity.semantic_sim_ranks,
    "neighborhood_recall_curve": neighborhood.neighborhood_recall_curve,
    "neighborhood_by_category": neighborhood.neighborhood_by_category,
    "neighborhood_rank_distribution": neighborhood.neighborhood_rank_distribution,
    "neighborhood_examples": examples.neighborhood_examples,
    "cka_heatmap": cka.cka_heatmap,
    "cka_source_self_similarity": cka.cka_source_self_similarity,
    "cka_layer_curve": cka.cka_layer_curve,
    "calibrated_scores": calibrated.calibrated_scores,
    "attribute_retention": attributes.attribute_retention,
    "duplicates": duplicates.duplicates,
}
"""Figures with a fixed name; ``source_tsne_<layer>`` and ``target_tsne_<pooling>`` join them by :func:`catalogue`."""


@dataclass
class Drawn:
    """The figures drawn so far, and those that could not be drawn.

    Attributes:
        names: names of the figures drawn, in the order of the study.
        left_out: why the others were not drawn, by name.
        titles: the finding that each figure states, by name.
        failures: a line for each figure that an error kept from being drawn.
        lost: characters that no font on this machine has.
    """

    names: list[str] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)
    titles: dict[str, str] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    lost: set[str] = field(default_factory=set)

    @property
    def notes(self) -> list[str]:
        """Warnings for the reader: figures that failed, and characters that show as boxes."""
        return [*self.failures, *([no_font(self.lost)] if self.lost else [])]

    def draw(self, name: str, make: Callable[[], Figure]) -> dict[str, bytes]:
        """Return the PNG and SVG of the figure that ``make`` draws, by extension; {} if it cannot be drawn.

        A figure that fails stops neither the other figures nor the results.
        """
        try:
            with style():
                figure = make()
                files = encode(figure, self.lost)
        except NotMeasured as error:
            self.left_out[name] = str(error)
            return {}
        except Exception as error:
            line = first_line(error)
            self.left_out[name] = f"could not be drawn: {line}"
            self.failures.append(f"figure {name} could not be drawn: {line}")
            log.warning("warning: %s", self.failures[-1])
            log.debug("figure %s", name, exc_info=error)
            return {}
        self.names.append(name)
        self.titles[name] = title_of(figure)
        return files


def catalogue(results: Analysis) -> dict[str, Draw]:
    """Return every figure of an analysis: name -> the function that draws it."""
    maps: dict[str, Draw] = {n: partial(clusters.tsne, index=i) for n, i in clusters.tsne_names(results).items()}
    first = {name: draw for name, draw in maps.items() if name.startswith("source_")}
    return {**first, **{k: FIGURES[k] for k in ("source_layer_comparison",)}, **maps, **FIGURES}


def draw_figures(results: Analysis, arrays: Arrays, drawn: Drawn) -> Iterator[tuple[str, bytes]]:
    """Draw all that was measured: yield file names (``cka_heatmap.png`` ...) with their bytes, one figure at a time.

    ``drawn`` is filled while this runs.
    """
    for name, draw in catalogue(results).items():
        files = drawn.draw(name, partial(draw, results, arrays))
        yield from ((f"{name}.{kind}", data) for kind, data in files.items())
