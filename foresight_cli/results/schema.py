"""The JSON Schema of ``results.yaml``, made from the dataclasses of the results."""

from __future__ import annotations

import dataclasses
import inspect
import json
import types
import typing
from pathlib import Path
from typing import Any

from foresight_cli.results.adapter import AdapterResults
from foresight_cli.results.analysis import Analysis
from foresight_cli.results.file import SCHEMA

SCHEMA_FILE = Path(__file__).with_name("results.schema.json")


def json_schema() -> dict[str, Any]:
    """Return the schema, in JSON Schema draft 2020-12; ``results.schema.json`` beside this file contains it."""
    definitions: dict[str, Any] = {}
    kinds = [_kind(kind, definitions) for kind in (Analysis, AdapterResults)]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"foresight results.yaml, schema {SCHEMA}",
        "description": "null means not measured, or a setting without a value.",
        "oneOf": kinds,
        "$defs": dict(sorted(definitions.items())),
    }


def schema_text() -> str:
    """Return :func:`json_schema` as the text of its file."""
    return json.dumps(json_schema(), indent=1) + "\n"


def _kind(kind: type, definitions: dict[str, Any]) -> dict[str, Any]:
    schema = _object(kind, definitions)
    schema["properties"] = {"schema": {"const": SCHEMA}, "kind": {"const": kind.__name__}, **schema["properties"]}
    schema["required"] = ["schema", "kind", *schema["required"]]
    return schema


def _object(kind: type, definitions: dict[str, Any]) -> dict[str, Any]:
    hints, fields = typing.get_type_hints(kind), dataclasses.fields(kind)
    optional = {f.name for f in fields if not _is_required(f)}
    return {
        "title": kind.__name__,
        "description": " ".join((inspect.getdoc(kind) or "").partition("\n\n")[0].split()),
        "type": "object",
        "properties": {f.name: _type(hints[f.name], definitions) for f in fields},
        "required": [f.name for f in fields if f.name not in optional],
        "additionalProperties": False,
    }


def _is_required(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _type(kind: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        if kind.__name__ not in definitions:
            definitions[kind.__name__] = {}
            definitions[kind.__name__] = _object(kind, definitions)
        return {"$ref": f"#/$defs/{kind.__name__}"}
    if origin in (types.UnionType, typing.Union):
        some = next(a for a in arguments if a is not type(None))
        return {"anyOf": [_type(some, definitions), {"type": "null"}]}
    if origin is list:
        return {"type": "array", "items": _type(arguments[0], definitions)}
    if origin is dict:
        return {"type": "object", "additionalProperties": _type(arguments[1], definitions)}
    plain = {float: "number", int: "integer", str: "string", bool: "boolean"}
    return {"type": plain[kind]} if kind in plain else {}
