"""Write the JSON Schema of ``results.yaml`` again, after a field was added: ``python -m scripts.write_schema``."""

from foresight_cli.results.schema import SCHEMA_FILE, schema_text

if __name__ == "__main__":
    SCHEMA_FILE.write_text(schema_text(), encoding="utf-8")
    print(f"written: {SCHEMA_FILE}")
