"""``results.yaml``: writing and reading of results, with a schema version; null means not measured."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from foresight_cli.errors import ForesightError, first_line
from foresight_cli.latents.storage.atomic import write_atomic
from foresight_cli.results.adapter import AdapterResults
from foresight_cli.results.analysis import Analysis

if TYPE_CHECKING:
    from pydantic_core import SchemaValidator

SCHEMA = 1
TYPES: dict[str, type] = {kind.__name__: kind for kind in (Analysis, AdapterResults)}
"""Type of the results, by the ``kind`` in a file."""
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
        ForesightError: the file does not exist, has another schema, or lacks a field or has one of another type.
    """
    import yaml
    from pydantic_core import ValidationError

    path = Path(path)
    path = path / "results.yaml" if path.is_dir() else path
    try:
        contents = yaml.load(path.read_text(encoding="utf-8"), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except FileNotFoundError:
        raise ForesightError(f"no results at {path}: run foresight analyze first") from None
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise ForesightError(f"cannot read {path}: {first_line(error)}") from None
    if not isinstance(contents, dict) or contents.get("schema") != SCHEMA or contents.get("kind") not in TYPES:
        version = contents.get("schema") if isinstance(contents, dict) else None
        raise ForesightError(f"{path} is not results of schema {SCHEMA} (its schema is {version!r})")
    try:
        return _validator(TYPES[contents["kind"]]).validate_python(_with_null(contents))
    except ValidationError as error:
        wrong = error.errors(include_url=False)[0]
        field, reason = ".".join(map(str, wrong["loc"])), wrong["msg"]
        raise ForesightError(f"{path} is not whole: {field}: {reason[:1].lower()}{reason[1:]}") from None


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


@cache
def _validator(kind: type) -> SchemaValidator:
    """Return what checks and converts the contents of a file; null is also valid for a number that is not optional."""
    from pydantic import TypeAdapter
    from pydantic_core import SchemaValidator

    return SchemaValidator(_nullable(TypeAdapter(kind).core_schema))


def _nullable(schema: Any) -> Any:
    """Let every number be null: a number that is not finite is written so."""
    if isinstance(schema, list):
        return [_nullable(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    schema = {key: _nullable(part) for key, part in schema.items()}
    return {"type": "nullable", "schema": schema} if schema.get("type") == "float" else schema


def _with_null(value: Any) -> Any:
    """Return the contents of any file, with null where earlier files have `NOT_MEASURED`."""
    if isinstance(value, dict):
        return {key: _with_null(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_null(item) for item in value]
    return None if value == NOT_MEASURED else value
