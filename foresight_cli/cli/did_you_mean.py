"""Suggestions for an unknown option, setting or word on the command line."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import fields
from difflib import get_close_matches
from typing import Any

from foresight_cli.config.text_settings import shell_line
from foresight_cli.config.tree import conf_dir, config_groups, group_aliases, primary_defaults
from foresight_cli.data.path_kinds import data_of_path, folder_of_checkpoint, instead_of, model_of_checkpoint

SYNONYMS = {
    "pooling": {
        **dict.fromkeys(("mean", "avg", "average", "token_mean", "gap"), "channel_mean"),
        **dict.fromkeys(("none", "full", "tokens", "flatten"), "flat"),
    },
    "layer": {**dict.fromkeys(("last", "output", "out", "top"), "final"), "every": "all"},
    "adapter": {
        **dict.fromkeys(("ridge", "affine", "ols"), "linear"),
        **dict.fromkeys(("lora", "rank", "reduced_rank"), "lowrank"),
        **dict.fromkeys(("attention", "cross_attention", "transformer"), "query"),
    },
    "data": {
        **dict.fromkeys(("folder", "images", "image", "pictures", "photos"), "imagefolder"),
        **dict.fromkeys(("huggingface", "datasets", "dataset", "parquet"), "hf"),
        **dict.fromkeys(("wds", "tar", "tars", "shards"), "webdataset"),
        **dict.fromkeys(("clips", "mp4", "movies"), "video"),
        **dict.fromkeys(("npz", "npy", "latents"), "precomputed"),
    },
    "model": {
        **dict.fromkeys(("ltx", "ltxvideo"), "ltxv"),
        **dict.fromkeys(("vae", "sd", "sdxl", "flux", "wan"), "autoencoder"),
        **dict.fromkeys(("vit", "dino", "dinov2", "dinov3", "clip", "siglip", "convnext", "encoder"), "vision"),
        **dict.fromkeys(("npz", "npy", "latents", "embeddings", "features"), "precomputed"),
        **dict.fromkeys(("random", "randomnetwork"), "random_network"),
        **dict.fromkeys(("rgb", "thumbnail"), "pixels"),
    },
    "tracker": {"tb": "tensorboard", "wb": "wandb", "off": "none"},
    "weights": {**dict.fromkeys(("real", "full", "pretrained", "huggingface"), "hub"), "small": "tiny"},
}
"""Other words for an option, by group, in lower case and without punctuation except ``_``."""


KEYS = {
    **dict.fromkeys(("count", "n", "samples", "num_samples", "n_samples", "per_class"), "per_category"),
    **dict.fromkeys(("n_perm", "n_perms", "perm", "perms", "n_permutations", "num_permutations"), "permutations"),
    **dict.fromkeys(("bs", "batch", "batchsize"), "batch_size"),
    **dict.fromkeys(("res", "resize", "image_size"), "resolution"),
    **dict.fromkeys(("cache", "cachedir", "cache_path"), "cache_dir"),
    **dict.fromkeys(("k", "n_neighbors", "knn"), "neighbors"),
    **dict.fromkeys(("n_folds", "cv", "kfold"), "folds"),
}
"""Other words for the last part of a setting's key, used if the same group has the setting on the right."""


def no_option(stage: str, key: str, wrong: str, options: Sequence[str] | None = None) -> str:
    """Return one line about an option that a group does not have, with a suggestion, and a second with the options.

    Args:
        stage: name of the command.
        key: the group as it was typed, for instance ``source``.
        wrong: the unknown option.
        options: options of the group, if they are not those in ``conf/``.
    """
    group = _group(stage, key)
    names = list(options or config_groups().get(group, []))
    hint = _instead_of_option(stage, key, group, wrong) or _suggestion(nearest(wrong, names, group))
    if not hint and group == "layer":
        hint = " A layer is a whole number from 0 on, final or all"
    return f"no option {wrong!r} in group {group!r}.{hint}\n  {group}: {', '.join(names)}"


def _instead_of_option(stage: str, key: str, group: str, wrong: str) -> str:
    """Return what to type for a path or a hub id in place of an option; "" for anything else."""
    setting = {"data": "data", "model": key if key.endswith("model") else f"{key}.model"}.get(group)
    if setting is None or not wrong:
        return ""
    if group == "data":
        if stage == "extract" and folder_of_checkpoint(wrong):
            return instead_of(wrong, "").removeprefix(".")
        data = data_of_path(wrong)
        if data is not None:
            return f" {data.what}: {shell_line([f'data={data.option}', f'data.path={data.path}'])}"
        hub = re.fullmatch(r"[\w.-]+/[\w.-]+", wrong)
        return f" For a dataset of the hub: {shell_line(['data=hf', f'data.path={wrong}'])}" if hub else ""
    model = model_of_checkpoint(wrong)
    if model is None:
        return ""
    return f" {model.what}: {shell_line([f'{key}={model.option}', f'{setting}.{model.setting}={wrong}'])}"


def nearest(wrong: str, options: Sequence[str], group: str = "") -> str | None:
    """Return the option that ``wrong`` most likely means; None if none is similar."""
    bare = _bare(wrong)
    synonym = SYNONYMS.get(group, {}).get(bare) or SYNONYMS.get(group, {}).get(bare.replace("_", ""))
    if synonym in options:
        return synonym
    same = [option for option in options if _bare(option) == bare]
    starts = [o for o in options if len(bare) > 2 and (_bare(o).startswith(bare) or bare.startswith(_bare(o)))]
    return next(iter([*same, *starts, *get_close_matches(wrong.lower(), options, n=1)]), None)


def _bare(name: str) -> str:
    return re.sub(r"[^a-z0-9_]", "", name.lower())


def _suggestion(near: str | None) -> str:
    return f" Did you mean {near!r}?" if near else ""


def _group(stage: str, key: str) -> str:
    return group_aliases(stage).get(key, key).partition("@")[0]


def no_setting(stage: str, key: str, value: str, choices: Sequence[str]) -> str:
    """Return one line about a setting that the stage does not have, with the setting that is probably meant.

    Args:
        stage: name of the command.
        key: key of the setting, as typed.
        value: its value, as typed.
        choices: chosen options of groups, in Hydra's spelling, for instance ``data=hf``.
    """
    aliases = group_aliases(stage)
    place, _, leaf = key.rpartition(".")
    if place in aliases and place not in ("source", "target") and _owners(stage, place, leaf):
        return _setting_of_another_option(stage, key, value, choices)
    if key.partition(".")[0] in ("source", "target") and "source" not in aliases and "model" in aliases:
        return f"no setting {key!r} in {stage}, which takes one model. Write model=..."
    keys = sorted({*_keys(stage, choices), *aliases})
    meant = _with_same_ending(stage, key, keys)
    if meant:
        lines = [f"{shell_line([f'{name}={value}'])}{note}" for name, note in meant.items()]
        return f"no setting {key!r}. Write {' or '.join(lines)}"
    everything = [name for name in _top_settings(stage) if stage != "cache" or name not in ("action", "delete")]
    short = f" The settings are {', '.join(everything)}"
    hint = short if stage in ("report", "cache") else f" To list all settings: foresight {stage} --cfg job"
    return f"no setting {key!r}.{_suggestion(_nearest_key(key, keys)) or hint}"


def _nearest_key(key: str, keys: Sequence[str]) -> str | None:
    """Return the most similar of ``keys``: preferably one of the same group."""
    place, dot, leaf = key.rpartition(".")
    synonym = f"{place}{dot}{KEYS.get(leaf.lower().replace('-', '_'), '')}"
    if synonym in keys:
        return synonym
    siblings = [k.rpartition(".")[2] for k in keys if place and k.rpartition(".")[0] == place]
    near = get_close_matches(leaf, siblings, n=1)
    return f"{place}.{near[0]}" if near else next(iter(get_close_matches(key, keys, n=1)), None)


def _setting_of_another_option(stage: str, key: str, value: str, choices: Sequence[str]) -> str:
    place, _, leaf = key.rpartition(".")
    owners, typed, chosen = _owners(stage, place, leaf), place.removesuffix(".model"), _chosen(stage, place, choices)
    unchosen = f"no setting {key!r}: no {_group(stage, place)} is chosen"
    line = f"no setting {key!r} with {typed}={chosen}" if chosen else unchosen
    line += f"; it belongs to {typed}={', '.join(owners)}"
    if stage == "extract" and key == "data.path" and folder_of_checkpoint(value):
        return f"{line}{instead_of(value, '')}"
    kind = data_of_path(value) if key == "data.path" else None
    if kind is None or kind.option not in owners:
        return line
    return f"{line}. {kind.what}: {shell_line([f'data={kind.option}', f'data.path={kind.path}'])}"


def _chosen(stage: str, place: str, choices: Sequence[str]) -> str | None:
    """Return the chosen or default option of the group at ``place``; None if no option is chosen."""
    group = group_aliases(stage)[place]
    options = [word.partition("=")[2].strip("'") for word in choices if word.lstrip("+").partition("=")[0] == group]
    option = options[-1] if options else primary_defaults(stage)[group]
    return None if option == "null" or f"~{group}" in choices else option


def _owners(stage: str, place: str, leaf: str) -> list[str]:
    """Return the options of the group at ``place`` with a setting ``leaf``; only those that require it, if any do."""
    from omegaconf import OmegaConf

    group = _group(stage, place)
    nodes: dict[str, Any] = {
        option: OmegaConf.load(conf_dir() / group / f"{option}.yaml") for option in config_groups().get(group, ())
    }
    having = [option for option, node in nodes.items() if leaf in list(node) and leaf != "name"]
    needing = [option for option in having if nodes[option]._get_node(leaf)._value() == "???"]
    return needing or having


def _with_same_ending(stage: str, key: str, keys: Sequence[str]) -> dict[str, str]:
    """Find settings of any option that contain the parts of ``key`` in order and end alike, with their options."""
    from foresight_cli.config import GROUPS

    everywhere = {k for k in keys if "." in k and not k.startswith(("hydra", "weights"))}
    places = set(group_aliases(stage)) - {"source", "target"}  # the same as source.model and target.model
    for place in places:
        for schema in GROUPS.get(_group(stage, place), {}).values():
            everywhere |= {f"{place}.{name}" for name in (field.name for field in fields(schema)) if name != "name"}
    meant = sorted(k for k in everywhere if k != key and _in_order(key.split("."), k.split(".")))
    if len(meant) > 6:
        return {}
    owners = {k: _owners(stage, k.rpartition(".")[0], k.rpartition(".")[2]) for k in meant if k not in keys}
    return {
        k: f" (of {k.rpartition('.')[0].removesuffix('.model')}={', '.join(owners[k])})" if k in owners else ""
        for k in meant
    }


def _in_order(parts: list[str], of: list[str]) -> bool:
    rest = iter(of)
    return parts[-1] == of[-1] and all(part in rest for part in parts)


def _keys(stage: str, choices: Sequence[str]) -> Iterator[str]:
    """Yield every dotted key of the config of ``stage``, composed with the chosen options."""
    from hydra import compose, initialize_config_dir
    from omegaconf import DictConfig, OmegaConf

    def dotted(cfg: DictConfig, prefix: str) -> Iterator[str]:
        for key in map(str, cfg):
            yield f"{prefix}{key}"
            if OmegaConf.is_missing(cfg, key) or OmegaConf.is_interpolation(cfg, key):
                continue
            if isinstance(cfg[key], DictConfig):
                yield from dotted(cfg[key], f"{prefix}{key}.")

    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        try:
            config = compose(stage, list(choices), return_hydra_config=True)
        except Exception:  # an option from the user's --config-dir
            config = compose(stage, return_hydra_config=True)
        yield from dotted(config, "")


def no_override(stage: str, words: Sequence[str], place: int) -> str:
    """Return one line about a word that is not ``KEY=VALUE``.

    Args:
        stage: name of the command.
        words: all words that were typed.
        place: index of the wrong word.
    """
    word = words[place]
    after = words[place + 1] if place + 1 < len(words) else ""
    before = words[place - 1] if place else ""
    if after == "=" and place + 2 < len(words):
        after = words[place + 2]
    joined = _joined(stage, word, after.removeprefix("="), before)
    if joined:
        return f"cannot read {word!r}. Write {joined}"
    if stage == "extract" and folder_of_checkpoint(word):
        return f"cannot read {word!r}{instead_of(word, '')}"
    data = data_of_path(word)
    if data is not None and "data" in group_aliases(stage):
        own = stage == "extract" and "model=precomputed" not in words
        line = shell_line(data.extract_words() if own else [f"data={data.option}", f"data.path={data.path}"])
        return f"cannot read {word!r}. {data.what}: {line}"
    key, equals, value = before.partition("=")
    if equals and value and "." in key:
        quoted = shell_line([f"{before} {word}"])
        return f"cannot read the override {word!r}. Write KEY=VALUE; a value with a space needs quotes: {quoted}"
    return f"cannot read the override {word!r}. Write KEY=VALUE"


def _joined(stage: str, word: str, after: str, before: str) -> str | None:
    """Return ``model=ltxv`` for ``model ltxv``, ``model: ltxv``, ``model:ltxv``, ``model = ltxv`` and ``ltxv``."""
    aliases = group_aliases(stage)
    names = {*aliases, *_top_settings(stage)}
    if before[-1:] == "=" and before[:-1] in names:
        return shell_line([f"{before}{word}"])
    name, colon, value = word.rstrip("=").partition(":")
    if name in names and (colon or not value):
        value = value or ("" if "=" in after else after)
        return shell_line([f"{name}={value or 'VALUE'}"])
    sides = [key for key in aliases if word in config_groups()[_group(stage, key)] and "." not in key]
    return " or ".join(f"{key}={word}" for key in sides) if sides else None


def _top_settings(stage: str) -> list[str]:
    """Return the names of the top-level settings of ``conf/<stage>.yaml``."""
    text = (conf_dir() / f"{stage}.yaml").read_text(encoding="utf-8")
    return [name for name in re.findall(r"^(\w+):", text, flags=re.MULTILINE) if name not in ("defaults", "hydra")]


def no_flag(stage: str, flag: str, after: str) -> str | None:
    """Return one line about an override typed as a flag (``--model ltxv``); None if ``flag`` is no setting."""
    name, equals, value = flag.lstrip("-").partition("=")
    names = [*group_aliases(stage), *_top_settings(stage)]
    key = name.replace("-", "_")
    if (key not in names and "." not in key) or stage == "cache":
        return None
    value = value if equals else ("" if after.startswith("-") or "=" in after else after)
    line = shell_line([f"{key}={value or 'VALUE'}"])
    return f"no option {flag.partition('=')[0]}. Write {line}"
