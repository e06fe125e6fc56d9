"""Arrays that only figures need. They are made after the results, and one that fails does not stop the others."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np

from foresight_cli.data import Dataset
from foresight_cli.errors import first_line
from foresight_cli.experiments.assessment import Assessment
from foresight_cli.experiments.chosen_arrays import arrays_of
from foresight_cli.experiments.clusters import tsne
from foresight_cli.experiments.spaces import mapped
from foresight_cli.inputs.representation import Representation
from foresight_cli.inputs.thumbnails import NAMES, duplicate_thumbnails, with_thumbnails

log = logging.getLogger(__name__)

Arrays = dict[str, np.ndarray]


def figure_arrays(
    assessment: Assessment, dataset: Dataset | None, alike: Sequence[Sequence[str]], seed: int
) -> tuple[Arrays, list[str]]:
    """Return the arrays for the figures, and a line for each figure whose arrays could not be made.

    Args:
        assessment: measures and verdict.
        dataset: the pictures; None if they are not available.
        alike: sets of ids of samples that are alike.
        seed: of the random examples.
    """
    arrays: Arrays = {}
    failures = []
    for name, make in _parts(assessment, dataset, alike, seed):
        try:
            arrays |= make()
        except Exception as error:  # of any kind: the results are valid without the figure
            failures.append(f"figure {name} could not be drawn: {first_line(error)}")
            log.warning("warning: %s", failures[-1])
    try:
        arrays = with_thumbnails(arrays, assessment.scored.independent.ids, dataset)
    except Exception as error:
        failures.append(f"figure neighborhood_examples could not be drawn: {first_line(error)}")
        log.warning("warning: %s", failures[-1])
        arrays = {name: array for name, array in arrays.items() if name not in NAMES}
    return arrays, failures


def _parts(
    assessment: Assessment, dataset: Dataset | None, alike: Sequence[Sequence[str]], seed: int
) -> Iterator[tuple[str, Callable[[], Arrays]]]:
    source, target = assessment.chosen
    labels, predicted = assessment.scored.independent.labels, assessment.probe.carried.numpy()
    pair = f"of {source.name} -> {target.name}"
    yield "duplicates", partial(duplicate_thumbnails, alike, dataset)
    yield f"semantic_sim {pair}", partial(arrays_of, source, target, labels, predicted, seed)
    spaces = [*assessment.sources, *assessment.targets]
    for i in mapped(spaces):
        yield f"tsne of {spaces[i].name}", partial(_map, i, spaces[i], seed)


def _map(index: int, space: Representation, seed: int) -> Arrays:
    return {f"tsne/{index}": tsne(space, seed)}
