"""The command `medshot`. Each command imports what it needs when it runs, so that help is quick."""

import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

import medshot
from medshot import ConfigError, MedshotError, Stage, use
from medshot.app.commands import (
    adapt,
    attack,
    catalog,
    data,
    demo,
    evaluate,
    export,
    predict,
    pretrain,
    select,
    train,
)
from medshot.app.commands.stage import command_of
from medshot.app.parse import WORDS, spread, take_use


class Commands(TyperGroup):
    """The commands that are always there, and those of stages from elsewhere.

    Installed packages are asked for stages only where a command is unknown, or all are listed.
    """

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of a name; None if there is none."""
        found = super().get_command(ctx, cmd_name)
        return found or self._of_plugins().get(cmd_name)

    def list_commands(self, ctx: Any) -> list[str]:
        """All names."""
        return [*super().list_commands(ctx), *self._of_plugins()]

    def _of_plugins(self) -> dict[str, Any]:
        made = typer.Typer(rich_markup_mode="markdown")
        made.callback()(lambda: None)  # a group, if there is one command or none
        for stage in Stage.commands():
            if (before := self.commands.get(stage.name)) is None:
                made.command(stage.name)(command_of(stage))
            elif stage.name not in OURS:
                raise ConfigError(
                    f"{stage.__module__} calls a stage {stage.name!r}, and `medshot {before.name}` "
                    "is another command: rename the stage."
                )
        return dict(typer.main.get_group(made).commands)


app = typer.Typer(
    cls=Commands,
    help="Meta-learning for medical images. Research use only: not a medical device.",
    epilog="Begin with `medshot demo`, or with `medshot adapt MY_IMAGES --out MODEL`.",
    no_args_is_help=True,
    invoke_without_command=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)
app.add_typer(data.app, name="data")
app.command()(adapt.adapt)
app.command()(predict.predict)
app.command()(evaluate.evaluate)
app.command()(pretrain.pretrain)
app.command()(export.export)
app.command()(train.train)
OURS = {
    name: stage
    for name, stage in Stage.known().items()
    if stage.command and stage.__module__.startswith("medshot.")
}
for each in OURS.values():
    app.command(each.name)(command_of(each))
app.command()(attack.attack)
app.command()(catalog.learners)
app.command()(select.select)
app.command()(catalog.cite)
app.command()(demo.demo)


@app.callback()
def main_options(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, help="Print the version, and end.")
    ] = False,
    use: Annotated[
        list[str] | None,
        typer.Option(
            metavar="MODULE|FILE.py",
            help="Import learners, encoders, tasks, readers or stages of your own. Repeatable; may "
            "stand anywhere on the line.",
        ),
    ] = None,
) -> None:
    """What comes before a command."""
    del use  # taken off by `main`, which lets it stand anywhere
    if version:
        typer.echo(medshot.__version__)
        raise typer.Exit


@contextmanager
def _cleared_when_killed() -> Iterator[None]:
    """A polite kill ends as an error does: what is half done is cleared away."""

    def end(number: int, frame: object) -> None:
        del frame
        raise SystemExit(128 + number)

    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may say what a signal does
        return
    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def main(argv: Sequence[str] | None = None) -> None:
    """Run one command; what medshot refuses ends with a sentence and status 2, no traceback."""
    words = tuple(sys.argv[1:] if argv is None else argv)
    WORDS.set(words)
    try:
        left, used = take_use(words)
        for name in used:
            use(name)
        with _cleared_when_killed():
            app(spread(left), prog_name="medshot")
    except (MedshotError, OSError) as error:
        typer.echo(f"medshot: {error}", err=True)
        raise SystemExit(2) from error


if __name__ == "__main__":
    main()
