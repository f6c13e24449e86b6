"""What there is, and what to cite: `medshot learners` and `medshot cite`."""

import typer


def learners(
    task: str | None = typer.Argument(
        None, help="Only those for this task: segmentation, say.", show_default="all"
    ),
    options: bool = typer.Option(False, "--options", help="Also each learner's options."),
) -> None:
    """List the learners: for which tasks, from which paper, in which file.

    A learner goes by its name in every command; what it takes is given with `--set`.

    Examples:

        medshot learners segmentation --options

        medshot train maml --set steps=3 --set lr=0.05 --data skin/ --out runs/maml
    """
    from rich.table import Table

    from medshot import list_learners
    from medshot.app.terminal import console, errors

    table = Table("learner", "tasks", "paper, file" + (", options" if options else ""))
    table.columns[0].no_wrap = True
    table.columns[2].overflow = "fold"
    found = list_learners(task)
    for each in found:
        kind = "".join(f"\n({remark})" for remark in each.remarks)
        lines = [each.source, each.file, *([each.options] if options else [])]
        table.add_row(each.name + kind, "\n".join(each.tasks), "\n".join(filter(None, lines)))
    console.print(table)
    for file, package in found.missing.items():
        errors.print(f"{file} needs a package that is not installed: pip install {package}")


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
