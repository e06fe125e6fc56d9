"""``results.yaml``: writing and reading of results, with a schema version; null means not measured."""

from __future__ import annotations

import dataclasses
import json
import math
import types
import typing
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from foresight_cli.errors import ForesightError, first_line
from foresight_cli.latents.storage.atomic import write_atomic
from foresight_cli.results.adapter import AdapterResults
from foresight_cli.results.analysis import Analysis

SCHEMA = 1
NOT_MEASURED = "not measured"
"""The text that earlier files of this schema have in place of null."""


def save_results(results: Analysis | AdapterResults, path: Path) -> None:
    """Write ``results`` to ``path`` as YAML."""
    import yaml

    text = yaml.safe_dump(_plain(_contents(results)), sort_keys=False, allow_unicode=True, width=120)
    write_atomic(path, text.encode())


def json_text(results: Analysis | AdapterResults | Sequence[Analysis]) -> str:
    """Return the contents of ``results.yaml`` as JSON, null where not measured; a list for several analyses."""
    contents = [_contents(each) for each in results] if isinstance(results, Sequence) else _contents(results)
    return json.dumps(_plain(contents), indent=2, ensure_ascii=False)


def load_results(path: str | Path) -> Any:
    """Read a ``results.yaml`` back into an :class:`Analysis` or :class:`AdapterResults`.

    Raises:
        ForesightError: the file does not exist, or has another schema.
    """
    import yaml

    path = Path(path)
    path = path / "results.yaml" if path.is_dir() else path
    try:
        contents = yaml.load(
            Path(path).read_text(encoding="utf-8"), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        )
    except FileNotFoundError:
        raise ForesightError(f"no results at {path}: run foresight analyze first") from None
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise ForesightError(f"cannot read {path}: {first_line(error)}") from None
    kinds: dict[str, type] = {"Analysis": Analysis, "AdapterResults": AdapterResults}
    if not isinstance(contents, dict) or contents.get("schema") != SCHEMA or contents.get("kind") not in kinds:
        version = contents.get("schema") if isinstance(contents, dict) else None
        raise ForesightError(f"{path} is not results of schema {SCHEMA} (its schema is {version!r})")
    try:
        return _typed(kinds[contents["kind"]], {k: v for k, v in contents.items() if k not in ("schema", "kind")})
    except (KeyError, TypeError, ValueError) as error:
        raise ForesightError(f"{path} is not whole: {error}") from None


def _contents(results: Analysis | AdapterResults) -> dict[str, Any]:
    return {"schema": SCHEMA, "kind": type(results).__name__, **dataclasses.asdict(results)}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return None
    if isinstance(value, float):
        return float(f"{value:.9g}")
    return value


def _has_default(field: dataclasses.Field[Any]) -> bool:
    """Check whether files written before the field was added can be read without it."""
    return field.default is not dataclasses.MISSING or field.default_factory is not dataclasses.MISSING


def _typed(kind: Any, value: Any) -> Any:
    """Convert ``value`` from YAML to the type that a field declares."""
    if value is None or value == NOT_MEASURED:
        return None
    if kind is Any:
        return _with_null(value)
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        hints = typing.get_type_hints(kind)
        fields = [f for f in dataclasses.fields(kind) if f.name in value or not _has_default(f)]
        return kind(**{f.name: _typed(hints[f.name], value[f.name]) for f in fields})
    if origin in (types.UnionType, typing.Union):
        return _typed(next(a for a in arguments if a is not type(None)), value)
    if origin is list:
        return [_typed(arguments[0], item) for item in value]
    if origin is dict:
        return {key: _typed(arguments[1], item) for key, item in value.items()}
    return float(value) if kind is float else value


def _with_null(value: Any) -> Any:
    """Return settings or provenance of any file, with null where earlier files have `NOT_MEASURED`."""
    if isinstance(value, dict):
        return {key: _with_null(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_null(item) for item in value]
    return None if value == NOT_MEASURED else value
