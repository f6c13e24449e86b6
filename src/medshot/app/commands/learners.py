"""`medshot learners`: what there is."""

import typer


def learners(
    options: bool = typer.Option(False, "--options", help="Also list each learner's options."),
) -> None:
    """List the learners: for which tasks, from which paper, in which file."""
    from rich.table import Table

    from medshot.app.choose import options_text
    from medshot.app.show import console, errors
    from medshot.learners import registry

    table = Table("learner", "tasks", "paper", "file", *(["options"] if options else []))
    for name, cls in registry.learners().items():
        kind = "" if cls.trainable else " (baseline)"
        tasks = ", ".join(task.kind for task in cls.supports)
        more = [options_text(cls)] if options else []
        table.add_row(name + kind, tasks, cls.source, registry.file_of(cls), *more)
    console.print(table)
    for file, error in registry.missing().items():
        errors.print(f"{file} needs a package that is not installed: pip install {error.name}")
