"""Run ``python -m foresight_cli``, the same program as ``foresight``."""

from foresight_cli.cli import app

if __name__ == "__main__":
    app(prog_name="foresight")
