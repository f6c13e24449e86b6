"""The command `medshot`. Each command imports what it needs when it runs, so that help is quick."""

import sys
from collections.abc import Sequence

import typer

from medshot.app.argv import spread
from medshot.app.commands import adapt, data, demo, evaluate, learners, predict, train
from medshot.core.errors import MedshotError

app = typer.Typer(
    help="Meta-learning for medical images. Research use only: not a medical device.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)
app.command()(learners.learners)
app.add_typer(data.app, name="data")
app.command()(train.train)
app.command()(evaluate.evaluate)
app.command()(adapt.adapt)
app.command()(predict.predict)
app.command()(demo.demo)


def main(argv: Sequence[str] | None = None) -> None:
    """Run one command; what medshot refuses ends with a sentence and status 2, no traceback."""
    try:
        app(spread(sys.argv[1:] if argv is None else argv), prog_name="medshot")
    except MedshotError as error:
        typer.echo(f"medshot: {error}", err=True)
        raise SystemExit(2) from error


if __name__ == "__main__":
    main()
