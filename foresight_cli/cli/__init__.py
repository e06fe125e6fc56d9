"""The command line: Typer commands, each run by Hydra."""

from foresight_cli.cli.commands import app

__all__ = ["app"]
