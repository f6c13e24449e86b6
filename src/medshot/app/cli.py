"""The command `medshot`. Each command imports what it needs when it runs, so that help is quick."""

import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version as installed
from typing import Annotated

import typer

from medshot.app.commands import (
    adapt,
    attack,
    cite,
    compress,
    data,
    demo,
    evaluate,
    export,
    finetune,
    fuse,
    harden,
    learners,
    predict,
    pretrain,
    select,
    train,
)
from medshot.app.parse import WORDS, spread, take_use
from medshot.core.errors import MedshotError
from medshot.core.plugins import use

app = typer.Typer(
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
app.command()(compress.compress)
app.command()(finetune.finetune)
app.command()(attack.attack)
app.command()(harden.harden)
app.command()(fuse.fuse)
app.command()(learners.learners)
app.command()(select.select)
app.command()(cite.cite)
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
            help="Import learners, encoders, tasks or readers of your own. Repeatable; may stand "
            "anywhere on the line.",
        ),
    ] = None,
) -> None:
    """What comes before a command."""
    del use  # taken off by `main`, which lets it stand anywhere
    if version:
        typer.echo(installed("medshot"))
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
