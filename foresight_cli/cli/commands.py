"""The ``foresight`` command line: one Typer command for each stage, each run by Hydra.

Nothing heavier than Typer is imported here, so that ``foresight --help`` and tab completion
answer at once. A stage's module, and torch with it, is imported when the stage is about to run.
"""

import os
from enum import StrEnum
from typing import Annotated

import typer

from foresight_cli.cli.hydra_stage import Overrides, Stage, StageCommand, add_stage, run_stage, say_error

# While it waits for work, OpenBLAS spins for 20 ms by default, on cores that torch needs by then: small spaces took
# four times as long. OpenBLAS reads this variable when it is loaded, which happens after this line.
os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "14")

ABOUT = "Can a small adapter carry one model's latents to another's? Measure it before you train it."

app = typer.Typer(
    name="foresight",
    help=ABOUT,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(requested: bool) -> None:
    if requested:
        from foresight_cli import __version__

        typer.echo(f"foresight {__version__}")
        raise typer.Exit


@app.callback(epilog="Start with: foresight extract weights=tiny model=qwen25vl layer=all")
def main(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Can a small adapter carry one model's latents to another's? Measure it before you train it."""


STAGES = (
    Stage("extract", "foresight_cli.extract:run", "Run a model over a dataset and cache its latents."),
    Stage(
        "analyze",
        "foresight_cli.analyze:run",
        "Score how two cached latent spaces line up.",
        check="foresight_cli.inputs.preflight:check_analyze",
    ),
    Stage(
        "adapt",
        "foresight_cli.adapt:run",
        "Train a small adapter between two cached spaces and test it held out.",
        check="foresight_cli.inputs.preflight:check_adapt",
    ),
    Stage(
        "report",
        "foresight_cli.report:run",
        "Write the newest analysis as figures, FINDINGS.md and results.yaml.",
        check="foresight_cli.inputs.preflight:check_report",
    ),
)
for _stage in STAGES:
    add_stage(app, _stage)


class CacheAction(StrEnum):
    """Actions of ``foresight cache``."""

    LS = "ls"
    VERIFY = "verify"
    GC = "gc"


@app.command(
    "cache", cls=StageCommand, help="List the latent cache (ls), check every byte of it (verify), or make room (gc)."
)
def cache(
    action: Annotated[
        CacheAction, typer.Argument(help="ls: list the entries. verify: check every hash. gc: list what to delete.")
    ],
    overrides: Overrides = None,
    yes: Annotated[bool, typer.Option("--yes", help="With gc: delete what it lists.")] = False,
) -> None:
    """Run ``foresight cache``."""
    words = list(overrides or [])
    for word in words:
        if word.lstrip("+~").partition("=")[0] == "action":
            actions = ", ".join(f"foresight cache {name}" for name in CacheAction)
            say_error("cache", f"{word}: the action is a separate word: {actions}")
            raise typer.Exit(2)
    words += [*(["delete=true"] if yes else []), f"action={action}"]
    run_stage(Stage("cache", "foresight_cli.cache:run", ""), [], words)
