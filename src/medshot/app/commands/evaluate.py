"""`medshot evaluate`: how well a learner does, beside the simple baseline, on the same episodes."""

import json
from pathlib import Path

import typer


def evaluate(
    learner: str = typer.Argument(help="A run's folder, or a name from `medshot learners`."),
    protocol: str = typer.Option(None, help="A named protocol; `--protocol list` lists them."),
    data: list[Path] = typer.Option([], help="Or a folder of labelled images."),
    json_file: Path = typer.Option(None, "--json", metavar="FILE", help="Write the result there."),
    encoder: str = typer.Option("conv4", help="The encoder, for a learner by name."),
    set_: list[str] = typer.Option([], "--set", metavar="NAME=VALUE", help="An option, as in train."),
    way: int = typer.Option(None, help="With --data: classes an episode (all, if not given)."),
    shot: int = typer.Option(5, help="With --data: support images a class."),
    query: int = typer.Option(10, help="With --data: query images a class."),
    episodes: int = typer.Option(600, help="With --data: how many episodes."),
    seed: int = typer.Option(0, help="With --data: decides the episodes."),
) -> None:
    """Measure a learner over many episodes, beside the linear probe, paired.

    The number of images, classes and episodes is the protocol's, or as given with --data. The
    baseline has the same encoder, and once more the raw pixels.

    Example: medshot evaluate runs/proto --data my_images/ --shot 5 --json result.json
    """
    from medshot.app.measure import Plan, measured, planned
    from medshot.app.show import console, results_table
    from medshot.core.errors import ConfigError
    from medshot.core.files import write_text
    from medshot.evaluation.protocol import protocols

    if protocol == "list":
        for known in protocols().values():
            console.print(f"{known.name}    {known.source}", highlight=False)
        return
    if bool(protocol) == bool(data) or len(data) > 1:
        raise ConfigError("Give either --protocol NAME or --data DIR, one of them.")
    plan: Plan = planned(protocol, data, way, shot, query, episodes, seed)
    results, record = measured(plan, learner, encoder, set_)
    fingerprint = next(iter(results.values())).episodes["fingerprint"]
    title = f"{plan.name}: {plan.episodes} episodes (hash {fingerprint}), mean ± 95 % interval"
    console.print(results_table(results, title))
    if json_file:
        write_text(json_file, json.dumps(record, indent=2) + "\n")
        console.print(f"Written: {json_file}", highlight=False)
