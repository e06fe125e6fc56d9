"""Put Hydra behind a Typer command, without losing any feature of Hydra.

Typer parses the subcommand and Hydra's own flags, so that help and completion list them. Hydra gets
a rebuilt command line with the flags first (Hydra 1.3 stops on an override after a flag) and is called
through its public entry point, :func:`hydra.main`. Its errors are caught here and printed as one line.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from foresight_cli.cli.completion import complete_override
from foresight_cli.config.tree import conf_dir, config_groups, group_aliases
from foresight_cli.errors import ForesightError


@dataclass(frozen=True)
class Stage:
    """One subcommand: it runs ``module:function`` on the config composed from ``conf/<name>.yaml``.

    A stage is itself the callable that Hydra runs. It holds the names of its functions and imports them
    only when called, so a command line is checked before torch loads, and a launcher that sends
    jobs to other processes pickles a few strings. ``check``, a function of a module with light imports,
    runs first; its return value, unless that is None, is passed to the stage's function.
    """

    name: str
    target: str
    help: str
    check: str | None = None

    def __call__(self, cfg: Any) -> Any:
        """Import the stage's functions and run them on ``cfg``; the return value is a sweeper's objective."""
        ready = _function(self.check)(cfg) if self.check else None
        return _function(self.target)(cfg, *([] if ready is None else [ready]))


def _function(target: str) -> Any:
    module, function = target.split(":")
    return getattr(import_module(module), function)


class _UserError(BaseException):
    """A :class:`ForesightError` on its way out of Hydra, which would print its own line for an Exception."""

    def __init__(self, error: ForesightError) -> None:
        super().__init__(error)
        self.error = error


class Section(StrEnum):
    """Parts of the composed config that ``--cfg`` can print."""

    JOB = "job"
    HYDRA = "hydra"
    ALL = "all"


class Topic(StrEnum):
    """Topics that ``--info`` can print."""

    ALL = "all"
    CONFIG = "config"
    DEFAULTS = "defaults"
    DEFAULTS_TREE = "defaults-tree"
    PLUGINS = "plugins"
    SEARCHPATH = "searchpath"


class StageCommand(TyperCommand):
    """A command whose help ends with the config groups that its overrides choose from."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse as Typer does; refuse an override typed as a flag (``--model ltxv``) and show the right spelling."""
        flags = {name for parameter in self.params for name in (*parameter.opts, *parameter.secondary_opts)}
        flags |= {*ctx.help_option_names, "--"}
        for place, word in enumerate(args):
            name = word.partition("=")[0]
            if word == "--":
                break
            if (
                name.startswith("-")
                and len(name.lstrip("-")) > 1
                and name not in flags
                and word[:2] not in ("-c", "-p")
            ):
                from foresight_cli.cli.did_you_mean import no_flag

                after = args[place + 1] if place + 1 < len(args) else ""
                message = no_flag(self.name or "", word, after)
                if message:
                    say_error(self.name or "", message)
                    raise typer.Exit(2)
        return super().parse_args(ctx, args)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Print Typer's help, then a panel of groups and options."""
        super().format_help(ctx, formatter)
        from rich.console import Console
        from rich.panel import Panel
        from rich.table import Table

        table = Table.grid(padding=(0, 2))
        options = config_groups()
        for alias, group in group_aliases(self.name or "").items():
            if alias.endswith(".model"):
                continue  # listed under its short name, source= or target=
            table.add_row(f"[bold cyan]{alias}=[/]", "  ".join(options[group.partition("@")[0]]))
        if table.row_count:
            Console().print(Panel(table, title="Config groups", title_align="left", border_style="dim"))


Overrides = Annotated[
    list[str] | None,
    typer.Argument(metavar="KEY=VALUE", help="Config choices and values.", autocompletion=complete_override),
]


def say_error(stage: str, message: str) -> None:
    """Print ``message`` to standard error as the error line of ``stage``."""
    plain = os.environ.get("NO_COLOR") or None  # typer ignores it
    typer.secho(f"foresight {stage}: {message}", fg="red", err=True, color=False if plain else None)


def add_stage(app: typer.Typer, stage: Stage) -> None:
    """Register ``foresight <stage>`` on ``app``."""

    @app.command(stage.name, cls=StageCommand, help=stage.help)
    def command(
        overrides: Overrides = None,
        multirun: Annotated[
            bool, typer.Option("--multirun", "-m", help="Run every combination of comma-separated values.")
        ] = False,
        cfg: Annotated[Section | None, typer.Option("--cfg", "-c", help="Print the composed config and stop.")] = None,
        resolve: Annotated[bool, typer.Option("--resolve", help="With --cfg: resolve interpolations first.")] = False,
        package: Annotated[
            str | None, typer.Option("--package", "-p", help="With --cfg: print this part alone.")
        ] = None,
        info: Annotated[Topic | None, typer.Option("--info", "-i", help="Print what Hydra knows and stop.")] = None,
        config_dir: Annotated[
            Path | None, typer.Option("--config-dir", help="Search this folder of configs too.")
        ] = None,
        config_name: Annotated[str | None, typer.Option("--config-name", help="Compose this config instead.")] = None,
    ) -> None:
        if multirun + (cfg is not None) + (info is not None) > 1:
            raise typer.BadParameter("give only one of --multirun, --cfg and --info")
        flags = ["--multirun"] * multirun + ["--resolve"] * resolve
        values = {
            "--cfg": cfg,
            "--package": package,
            "--info": info,
            "--config-dir": config_dir and config_dir.absolute(),
            "--config-name": config_name,
        }
        flags += [word for flag, value in values.items() if value is not None for word in (flag, str(value))]
        run_stage(stage, flags, overrides or [])


def run_stage(stage: Stage, flags: list[str], overrides: list[str]) -> None:
    """Run ``stage`` under Hydra, as if the flags and overrides were the whole command line.

    Raises:
        typer.Exit: with status 2 if the command line cannot be run, 1 if the job failed, 3 if ``fail_on=`` stops at
            the verdict, 130 on Ctrl-C.
    """
    import hydra
    from hydra.errors import HydraException

    from foresight_cli.cli import hydra_errors
    from foresight_cli.cli.overrides import for_hydra

    def stop(message: str, status: int) -> typer.Exit:
        say_error(stage.name, message)
        return typer.Exit(status)

    def single(cfg: Any) -> Any:
        try:
            return stage(cfg)
        except ForesightError as error:
            raise _UserError(error) from None

    # in a sweep Hydra prints its own line, which names the job that failed, and the task is the picklable Stage
    multirun = "--multirun" in flags or any("hydra.mode=multirun" in word.lower() for word in overrides)
    task = stage if multirun else single
    program = hydra.main(config_path=str(conf_dir()), config_name=stage.name, version_base="1.3")(task)
    words: list[str] = []
    full_error = os.environ.get("HYDRA_FULL_ERROR") == "1"
    try:
        own_configs = (
            "--config-dir" in flags or "--config-name" in flags or any("hydra.searchpath" in w for w in overrides)
        )
        words = for_hydra(stage.name, overrides, multirun=multirun, more_options=own_configs)
        with _argv([f"foresight {stage.name}", *flags, *words]), _hydra_raises():
            try:
                program()
            except _UserError as wrapped:
                raise wrapped.error from None
    except KeyboardInterrupt:
        raise stop("stopped. Nothing finished is lost: run the same command again to resume", 130) from None
    except Exception as error:
        if full_error:
            raise
        if isinstance(error, HydraException):
            raise stop(hydra_errors.explain(error, stage.name, overrides, words), 2) from None
        if isinstance(error, ForesightError):
            raise stop(str(error), error.status) from None
        if isinstance(error, OSError) and not hydra_errors.in_job(error):
            cause = f"{error.filename}: {error.strerror}" if error.filename else str(error)
            raise stop(f"cannot write the run's folder, {cause}. Put it elsewhere with hydra.run.dir=DIR", 1) from None
        if not hydra_errors.in_job(error):  # an error in Hydra's own checks, of any type
            raise stop(hydra_errors.outside_a_job(error), 2) from None
        hydra_errors.print_job_traceback(error)
        raise typer.Exit(1) from None


@contextmanager
def _argv(argv: list[str]) -> Iterator[None]:
    kept, sys.argv = sys.argv, argv
    try:
        yield
    finally:
        sys.argv = kept


@contextmanager
def _hydra_raises() -> Iterator[None]:
    """Make Hydra raise its errors, as under HYDRA_FULL_ERROR=1, instead of printing them and exiting."""
    kept = os.environ.get("HYDRA_FULL_ERROR")
    os.environ["HYDRA_FULL_ERROR"] = "1"
    try:
        yield
    finally:
        if kept is None:
            del os.environ["HYDRA_FULL_ERROR"]
        else:
            os.environ["HYDRA_FULL_ERROR"] = kept
