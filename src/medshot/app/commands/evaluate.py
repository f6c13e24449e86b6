"""`medshot evaluate`: how well a learner does, beside the simple baseline, on the same episodes."""

import json
from pathlib import Path

import typer


def _listed(value: str | None) -> str | None:
    """`--protocol list` answers at once, whatever else is there or missing."""
    if value == "list":
        from medshot.app.show import say
        from medshot.evaluation.protocol import protocols

        for known in protocols().values():
            say(known.source, start=f"{known.name:32}  ")
        raise typer.Exit
    return value


def evaluate(
    context: typer.Context,
    learner: str = typer.Argument(help="A run's folder, or a name from `medshot learners`."),
    protocol: str | None = typer.Option(
        None, help="A named protocol; `list` lists them.", callback=_listed, is_eager=True
    ),
    data: list[Path] = typer.Option([], help="Or a folder of labelled images."),
    json_file: Path | None = typer.Option(None, "--json", metavar="FILE", help="New file for the result."),
    encoder: str | None = typer.Option(None, help="For a learner by name.", show_default="conv4"),
    set_: list[str] = typer.Option([], "--set", metavar="NAME=VALUE", help="As in train."),
    way: int | None = typer.Option(None, help="With --data: classes an episode.", show_default="all"),
    shot: int = typer.Option(5, help="With --data: support images a class."),
    query: int = typer.Option(10, help="With --data: query images a class."),
    episodes: int = typer.Option(600, min=1, help="With --data: how many episodes."),
    seed: int = typer.Option(0, help="Decides untrained weights and, with --data, the episodes."),
) -> None:
    """Measure a learner over many episodes, beside the linear probe, paired.

    The number of images, classes and episodes is the protocol's, or as given with --data. The
    baseline has the same encoder, and once more the raw pixels. Data that a run has learnt from
    are refused.

    Examples:

        medshot evaluate runs/proto --data my_images/ --shot 5 --json result.json

        medshot evaluate runs/proto --protocol medshot26/covid_ct/5s
    """
    import torch

    from medshot.app.choose import run_or_learner
    from medshot.app.measure import form_of, measured, planned
    from medshot.app.show import console, plain, results_table, tell
    from medshot.core.errors import ConfigError
    from medshot.core.files import refuse_taken, write_text

    if bool(protocol) == bool(data) or len(data) > 1:
        raise ConfigError("Give either --protocol NAME or --data DIR, one of them.")
    _refuse_own_numbers(context, protocol)
    if json_file:
        refuse_taken(json_file)
    torch.manual_seed(seed)
    made = run_or_learner(learner, encoder, set_, **form_of(protocol))
    plan = planned(
        protocol, data, way=way, shot=shot, query=query, episodes=episodes, seed=seed
    )
    results, record = measured(plan, learner, made)
    fingerprint = next(iter(results.values())).episodes["fingerprint"]
    title = f"{plan.name}: {plan.episodes} episodes (hash {fingerprint}), mean ± 95 % interval"
    console.print(results_table(results, plain(title)))
    if json_file:
        write_text(json_file, json.dumps(record, indent=2, allow_nan=False) + "\n")
        tell(f"Written: {json_file}")


def _refuse_own_numbers(context: typer.Context, protocol: str | None) -> None:
    """A protocol fixes its numbers: another one, silently not used, would mislead."""
    from medshot.core.errors import ConfigError

    for name in ("way", "shot", "query", "episodes"):
        source = context.get_parameter_source(name)
        if protocol and source and source.name == "COMMANDLINE":
            raise ConfigError(f"--{name} is fixed by the protocol {protocol}: leave it out.")
