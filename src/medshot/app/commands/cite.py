"""`medshot cite`: what to cite."""

import typer


def cite(
    what: str = typer.Argument(help="A run's folder, a saved model's, or a learner's name."),
) -> None:
    """Print the BibTeX of the methods used: learner, encoder, normalisation, optimizer.

    Examples:

        medshot cite runs/proto > methods.bib

        medshot cite maml++
    """
    from medshot import bibtex
    from medshot.app.terminal import tell

    for line in bibtex(what).splitlines():
        tell(line)
