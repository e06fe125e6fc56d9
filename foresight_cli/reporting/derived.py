"""Values of the report that are not in ``results.yaml``: each is computed here, once, from values that are."""

from __future__ import annotations

from collections.abc import Sequence

from foresight_cli.results import Analysis, Pair, Space, candidates


def layer_order(layer: str) -> tuple[int, float, str]:
    """Return a sort key: numbered layers first, by depth; then named ones; ``final`` last."""
    if layer == "final":
        return (2, 0.0, layer)
    return (0, float(layer), "") if layer.isdecimal() else (1, 0.0, layer)


def layer_name(layer: str) -> str:
    """Return ``layer 8`` or ``final``."""
    return f"layer {layer}" if layer.isdecimal() else layer


def short_name(space: Space) -> str:
    """Return the name of a space without its model: ``layer 8, channel_mean``."""
    return f"{layer_name(space.layer)}, {space.pooling}"


def names_within(results: Analysis, side: str) -> dict[int, str]:
    """Return names of one side's spaces by index, without the part that all share: ``layer 8``, ``flat`` or both."""
    spaces = [(i, space) for i, space in enumerate(results.spaces) if space.side == side]
    one_layer = len({space.layer for _, space in spaces}) == 1
    one_pooling = len({space.pooling for _, space in spaces}) == 1
    if one_layer:
        return {i: space.pooling for i, space in spaces}
    return {i: layer_name(space.layer) if one_pooling else short_name(space) for i, space in spaces}


def capital(text: str) -> str:
    """Return ``text`` with a capital first letter, the rest unchanged."""
    return text[:1].upper() + text[1:]


def spaces_of(results: Analysis, side: str) -> list[tuple[int, Space]]:
    """Return the spaces of ``source``, ``target`` or ``control`` with their index, sorted by layer and pooling."""
    spaces = [(i, space) for i, space in enumerate(results.spaces) if space.side == side]
    return sorted(spaces, key=lambda item: (layer_order(item[1].layer), item[1].pooling, item[0]))


def one_pooling(spaces: Sequence[tuple[int, Space]], preferred: str = "channel_mean") -> list[tuple[int, Space]]:
    """Return one space per layer, with the pooling ``preferred`` if the layer has it."""
    chosen: dict[str, tuple[int, Space]] = {}
    for index, space in spaces:
        if space.layer not in chosen or (space.pooling == preferred != chosen[space.layer][1].pooling):
            chosen[space.layer] = (index, space)
    return list(chosen.values())


def ratio(above: float | None, below: float | None) -> float | None:
    """Return ``above / below``; None if either was not measured or ``below`` is 0."""
    return None if above is None or not below else above / below


def gap_to_training(results: Analysis) -> float | None:
    """Return training minus held-out R2 of the probe at the most rows: the part that it memorised."""
    curve = results.chosen.learning_curve
    return curve[-1].r2_train - curve[-1].r2 if curve else None


def gain_of_last_rows(results: Analysis) -> float | None:
    """Return the held-out R2 that the last step of the learning curve added."""
    curve = results.chosen.learning_curve
    return curve[-1].r2 - curve[-2].r2 if len(curve) > 1 else None


def hopeful_r2(results: Analysis) -> float | None:
    """Return the most R2 expected from unlimited rows; at most 1, even if the extrapolated curve is above."""
    limit = results.chosen.r2_limit
    return None if limit is None else min(limit, 1.0)


def row_pairs(results: Analysis) -> int:
    """Return the number of pairs of rows, the distances that RSA compares."""
    return results.rows * (results.rows - 1) // 2


def best_pair(results: Analysis, score: str) -> Pair:
    """Return the pair with the highest ``cka``, ``r2`` or ``spearman``."""
    return max(results.pairs, key=lambda pair: float(getattr(pair, score).value))


def ranked(results: Analysis) -> list[Pair]:
    """Return the verdict's pair, then the others by R2 on the rows for choosing, the best first."""
    return sorted(results.pairs, key=lambda p: (p is not results.chosen_pair, -_choosing_r2(p)))


def chosen_among(results: Analysis) -> list[Pair]:
    """Return the candidates for the verdict's pair: the pairs with a flat target, if there are any."""
    places = candidates([results.spaces[pair.target].pooling for pair in results.pairs])
    return [results.pairs[i] for i in places] if results.chosen.index in places else results.pairs


def best_outside(results: Analysis) -> Pair | None:
    """Return the best pair outside the candidates, if it beats the verdict's pair on the rows for choosing."""
    among = {id(pair) for pair in chosen_among(results)}
    others = [pair for pair in results.pairs if id(pair) not in among]
    best = max(others, key=_choosing_r2, default=None)
    return best if best is not None and _choosing_r2(best) > _choosing_r2(results.chosen_pair) else None


def _choosing_r2(pair: Pair) -> float:
    """Return held-out R2 on the rows for choosing, or on the scored rows if none were set aside."""
    return pair.r2.value if pair.selection_r2 is None else pair.selection_r2


def best_control_r2(results: Analysis) -> float | None:
    """Return held-out R2 of the best control."""
    return max((control.r2 for control in results.controls), default=None)


def derived(results: Analysis) -> dict[str, float | None]:
    """Return every derived value that ``FINDINGS.md`` may print, by name; the others are in ``results.yaml``."""
    source, target, d = results.chosen_source, results.chosen_target, results.duplicates
    values: dict[str, float | None] = {
        "mle_ratio": ratio(target.mle_dimension, source.mle_dimension),
        "twonn_ratio": ratio(target.twonn_dimension, source.twonn_dimension),
        "gap_to_training": gap_to_training(results),
        "gain_of_last_rows": gain_of_last_rows(results),
        "hopeful_r2": hopeful_r2(results),
        "row_pairs": row_pairs(results),
        "pairs": len(results.pairs),
        "candidates": len(chosen_among(results)),
        "learning_sizes": len(results.chosen.learning_curve),
        "labels": len(results.labels),
        "criteria": len(results.verdict.criteria),
        "skipped": len(d.skipped),
        "exact_share": ratio(d.exact, d.rows),
        "source_spaces": len(spaces_of(results, "source")),
        "target_spaces": len(spaces_of(results, "target")),
    }
    for pair in (results.chosen_pair,):
        values |= {f"lift_{hood.k}": ratio(hood.recall.value, hood.expected) for hood in pair.neighborhood}
    return values
