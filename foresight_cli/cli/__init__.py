"""The command line: Typer commands, each run by Hydra."""

from foresight_cli.cli.app import app

__all__ = ["app"]
