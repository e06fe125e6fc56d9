"""The nearest thing that would be right: for an option, a setting or a word that no stage knows."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from typing import Any

from foresight_cli.config_groups import conf_dir, config_groups, group_aliases, primary_defaults
from foresight_cli.path_kinds import data_of_path, model_of_checkpoint
from foresight_cli.text_settings import shell_line

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
"""Other words for an option, by group, in small letters and without punctuation but ``_``."""


def no_option(stage: str, key: str, wrong: str, options: Sequence[str] | None = None) -> str:
    """One line for an option that a group lacks, with what would be right, and then the options.

    Args:
        stage: of the command.
        key: the group as it was typed, for instance ``source``.
        wrong: the option.
        options: those of the group, where they are not the ones in ``conf/``.
    """
    group = _group(stage, key)
    names = list(options or config_groups().get(group, []))
    hint = _instead_of_option(key, group, wrong) or _mean(nearest(wrong, names, group))
    if not hint and group == "layer":
        hint = " A layer is a whole number from 0 on, final or all"
    return f"no option {wrong!r} in group {group!r}.{hint}\n  {group}: {', '.join(names)}"


def _instead_of_option(key: str, group: str, wrong: str) -> str:
    """What to type for a path or a hub id in place of an option; "" for anything else."""
    setting = {"data": "data", "model": key if key.endswith("model") else f"{key}.model"}.get(group)
    if setting is None or not wrong:
        return ""
    if group == "data":
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
    """The one of ``options`` that ``wrong`` most likely means; None if there is none."""
    bare = _bare(wrong)
    other = SYNONYMS.get(group, {}).get(bare) or SYNONYMS.get(group, {}).get(bare.replace("_", ""))
    if other in options:
        return other
    same = [option for option in options if _bare(option) == bare]
    starts = [o for o in options if len(bare) > 2 and (_bare(o).startswith(bare) or bare.startswith(_bare(o)))]
    return next(iter([*same, *starts, *get_close_matches(wrong.lower(), options, n=1)]), None)


def _bare(name: str) -> str:
    return re.sub(r"[^a-z0-9_]", "", name.lower())


def _mean(near: str | None) -> str:
    return f" Did you mean {near!r}?" if near else ""


def _group(stage: str, key: str) -> str:
    return group_aliases(stage).get(key, key).partition("@")[0]


def no_setting(stage: str, key: str, value: str, choices: Sequence[str]) -> str:
    """One line for a setting that the stage lacks, with the one that is meant.

    Args:
        stage: of the command.
        key: of the setting, as typed.
        value: what it was to be.
        choices: the options that are chosen of groups, as Hydra has them, for instance ``data=hf``.
    """
    aliases = group_aliases(stage)
    place, _, leaf = key.rpartition(".")
    if place in aliases and place not in ("source", "target") and _owners(stage, place, leaf):
        return _of_another_option(stage, key, value, choices)
    if key.partition(".")[0] in ("source", "target") and "source" not in aliases and "model" in aliases:
        return f"no setting {key!r} in {stage}, which takes one model. Write model=..."
    known = sorted({*_keys(stage, choices), *aliases})
    meant = _with_that_end(stage, key, known)
    if meant:
        lines = [f"{shell_line([f'{name}={value}'])}{note}" for name, note in meant.items()]
        return f"no setting {key!r}. Write {' or '.join(lines)}"
    everything = [name for name in _top_settings(stage) if stage != "cache" or name not in ("action", "delete")]
    short = f" There are {', '.join(everything)}"
    hint = short if stage in ("report", "cache") else f" To see all that there are: foresight {stage} --cfg job"
    return f"no setting {key!r}.{_mean(_nearest_key(key, known)) or hint}"


def _nearest_key(key: str, known: Sequence[str]) -> str | None:
    """The known key that is nearest to ``key``: one of the same group, if any is near."""
    place, _, leaf = key.rpartition(".")
    siblings = [k.rpartition(".")[2] for k in known if place and k.rpartition(".")[0] == place]
    near = get_close_matches(leaf, siblings, n=1)
    return f"{place}.{near[0]}" if near else next(iter(get_close_matches(key, known, n=1)), None)


def _of_another_option(stage: str, key: str, value: str, choices: Sequence[str]) -> str:
    place, _, leaf = key.rpartition(".")
    owners, typed, chosen = _owners(stage, place, leaf), place.removesuffix(".model"), _chosen(stage, place, choices)
    none = f"no setting {key!r}: no {_group(stage, place)} is chosen"
    line = f"no setting {key!r} with {typed}={chosen}" if chosen else none
    line += f"; it belongs to {typed}={', '.join(owners)}"
    kind = data_of_path(value) if key == "data.path" else None
    if kind is None or kind.option not in owners:
        return line
    return f"{line}. {kind.what}: {shell_line([f'data={kind.option}', f'data.path={kind.path}'])}"


def _chosen(stage: str, place: str, choices: Sequence[str]) -> str | None:
    """The option of the group at ``place``: as chosen, or by default."""
    group = group_aliases(stage)[place]
    options = [word.partition("=")[2].strip("'") for word in choices if word.lstrip("+").partition("=")[0] == group]
    option = options[-1] if options else primary_defaults(stage)[group]
    return None if option == "null" or f"~{group}" in choices else option


def _owners(stage: str, place: str, leaf: str) -> list[str]:
    """The options of the group at ``place`` that have a setting ``leaf``, above all those that need it to be given."""
    from omegaconf import OmegaConf

    group = _group(stage, place)
    nodes: dict[str, Any] = {
        option: OmegaConf.load(conf_dir() / group / f"{option}.yaml") for option in config_groups().get(group, ())
    }
    having = [option for option, node in nodes.items() if leaf in list(node) and leaf != "name"]
    needing = [option for option in having if nodes[option]._get_node(leaf)._value() == "???"]
    return needing or having


def _with_that_end(stage: str, key: str, known: Sequence[str]) -> dict[str, str]:
    """Settings, of any option, that have the parts of ``key`` in order and its end; with the options they belong to."""
    from foresight_cli.config import GROUPS

    everywhere = {k for k in known if "." in k and not k.startswith(("hydra", "weights"))}
    places = set(group_aliases(stage)) - {"source", "target"}  # these are source.model and target.model too
    for place in places:
        for schema in GROUPS.get(_group(stage, place), {}).values():
            everywhere |= {f"{place}.{name}" for name in schema.__dataclass_fields__ if name != "name"}
    meant = sorted(k for k in everywhere if k != key and _in_order(key.split("."), k.split(".")))
    if len(meant) > 6:
        return {}
    owners = {k: _owners(stage, k.rpartition(".")[0], k.rpartition(".")[2]) for k in meant if k not in known}
    return {
        k: f" (of {k.rpartition('.')[0].removesuffix('.model')}={', '.join(owners[k])})" if k in owners else ""
        for k in meant
    }


def _in_order(parts: list[str], of: list[str]) -> bool:
    rest = iter(of)
    return parts[-1] == of[-1] and all(part in rest for part in parts)


def _keys(stage: str, choices: Sequence[str]) -> Iterator[str]:
    """Every dotted key of the config that ``stage`` composes to with the options that are chosen."""
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
        except Exception:  # an option of the user's own, from --config-dir
            config = compose(stage, return_hydra_config=True)
        yield from dotted(config, "")


def no_override(stage: str, words: Sequence[str], place: int) -> str:
    """One line for a word that is no ``KEY=VALUE``.

    Args:
        stage: of the command.
        words: all that were typed.
        place: which of them.
    """
    word = words[place]
    after = words[place + 1] if place + 1 < len(words) else ""
    before = words[place - 1] if place else ""
    if after == "=" and place + 2 < len(words):
        after = words[place + 2]
    joined = _joined(stage, word, after.removeprefix("="), before)
    if joined:
        return f"cannot read {word!r}. Write {joined}"
    data = data_of_path(word)
    if data is not None and "data" in group_aliases(stage):
        line = shell_line([f"data={data.option}", f"data.path={data.path}"])
        return f"cannot read {word!r}. {data.what}: {line}"
    key, equals, value = before.partition("=")
    if equals and value and "." in key:
        quoted = shell_line([f"{before} {word}"])
        return f"cannot read the override {word!r}. Write KEY=VALUE; a value with a space needs quotes: {quoted}"
    return f"cannot read the override {word!r}. Write KEY=VALUE"


def _joined(stage: str, word: str, after: str, before: str) -> str | None:
    """``model=ltxv`` for ``model ltxv``, ``model: ltxv``, ``model:ltxv``, ``model = ltxv`` and ``ltxv`` alone."""
    aliases = group_aliases(stage)
    known = {*aliases, *_top_settings(stage)}
    if before[-1:] == "=" and before[:-1] in known:
        return shell_line([f"{before}{word}"])
    name, colon, value = word.rstrip("=").partition(":")
    if name in known and (colon or not value):
        value = value or ("" if "=" in after else after)
        return shell_line([f"{name}={value or 'VALUE'}"])
    sides = [key for key in aliases if word in config_groups()[_group(stage, key)] and "." not in key]
    return " or ".join(f"{key}={word}" for key in sides) if sides else None


def _top_settings(stage: str) -> list[str]:
    """The settings at the top of ``conf/<stage>.yaml``, by their names alone."""
    text = (conf_dir() / f"{stage}.yaml").read_text(encoding="utf-8")
    return [name for name in re.findall(r"^(\w+):", text, flags=re.MULTILINE) if name not in ("defaults", "hydra")]


def no_flag(stage: str, flag: str, after: str) -> str | None:
    """One line for an override that is typed as a flag (``--model ltxv``); None if it is not meant as one."""
    name, equals, value = flag.lstrip("-").partition("=")
    known = [*group_aliases(stage), *_top_settings(stage)]
    key = name.replace("-", "_")
    if (key not in known and "." not in key) or stage == "cache":
        return None
    value = value if equals else ("" if after.startswith("-") or "=" in after else after)
    line = shell_line([f"{key}={value or 'VALUE'}"])
    return f"no option {flag.partition('=')[0]}. Write {line}"
