"""`medshot learners`: what there is."""

import typer


def learners(
    options: bool = typer.Option(False, "--options", help="Also each learner's options."),
) -> None:
    """List the learners: for which tasks, from which paper, in which file.

    A learner goes by its name in every command; what it takes is given with `--set`.

    Examples:

        medshot learners --options

        medshot train maml --set steps=3 --set lr=0.05 --data skin/ --out runs/maml
    """
    from rich.table import Table

    from medshot.api.resolve import options_text
    from medshot.app.render import console
    from medshot.learners import registry
    from medshot.training.progress import errors

    table = Table("learner", "tasks", "paper, file" + (", options" if options else ""))
    table.columns[0].no_wrap = True
    table.columns[2].overflow = "fold"
    for name, cls in registry.learners().items():
        kinds = {"baseline": not cls.trainable, "transductive": cls.transductive}
        kind = "".join(f"\n({name})" for name, is_so in kinds.items() if is_so)
        tasks = "\n".join(task.kind for task in cls.supports)
        lines = [cls.source, registry.file_of(cls), *([options_text(cls)] if options else [])]
        table.add_row(name + kind, tasks, "\n".join(line for line in lines if line))
    console.print(table)
    for file, error in registry.missing().items():
        errors.print(f"{file} needs a package that is not installed: pip install {error.name}")
