"""The JSON Schema of ``results.yaml``, made by pydantic from the dataclasses of the results."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema

from foresight_cli.results.file import SCHEMA, TYPES

SCHEMA_FILE = Path(__file__).with_name("results.schema.json")


class _Schema(GenerateJsonSchema):
    """Make schemas without titles and defaults of fields, in the fields' order; no other key is valid."""

    def dataclass_schema(self, schema: Any) -> dict[str, Any]:
        made = super().dataclass_schema(schema)
        about = " ".join(made.get("description", "").partition("\n\n")[0].split())
        return {**made, "description": about, "additionalProperties": False}

    def default_schema(self, schema: Any) -> dict[str, Any]:
        return self.generate_inner(schema["schema"])

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def sort(self, value: Any, parent_key: str | None = None) -> Any:
        return value


def json_schema() -> dict[str, Any]:
    """Return the schema, in JSON Schema draft 2020-12; ``results.schema.json`` beside this file contains it."""
    _, made = TypeAdapter.json_schemas(
        [(name, "validation", TypeAdapter[Any](kind)) for name, kind in TYPES.items()],
        title=f"foresight results.yaml, schema {SCHEMA}",
        description="null means not measured, or a setting without a value.",
        schema_generator=_Schema,
    )
    definitions = dict(sorted(made.pop("$defs").items()))
    kinds = []
    for name in TYPES:
        kind = definitions.pop(name)
        kind["properties"] = {"schema": {"const": SCHEMA}, "kind": {"const": name}, **kind["properties"]}
        kind["required"] = ["schema", "kind", *kind["required"]]
        kinds.append(kind)
    return {"$schema": GenerateJsonSchema.schema_dialect, **made, "oneOf": kinds, "$defs": definitions}


def schema_text() -> str:
    """Return :func:`json_schema` as the text of its file."""
    return json.dumps(json_schema(), indent=1) + "\n"
