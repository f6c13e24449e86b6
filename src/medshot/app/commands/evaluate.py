"""`medshot evaluate`: how well a learner does, beside the simple baseline, on the same episodes."""

from pathlib import Path

import typer

from medshot.app.arguments import THREADS, new_json


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
    learner: str = typer.Argument(help="A run's folder, or a name from `medshot learners`."),
    protocol: str | None = typer.Option(
        None, help="A named protocol; `list` lists them.", callback=_listed, is_eager=True
    ),
    data: list[Path] = typer.Option([], help="Or a folder of labelled images."),
    task: str | None = typer.Option(
        None,
        help="classification, detection, enhancement, multi-label, ordinal, regression, "
        "segmentation.",
        show_default="as labels.csv says",
    ),
    json_file: Path | None = new_json("New file for the result."),
    encoder: str | None = typer.Option(
        None, help="As in adapt.", show_default="conv4, for masks and boxes unet"
    ),
    set_: list[str] = typer.Option([], "--set", metavar="NAME=VALUE", help="As in train."),
    way: int | None = typer.Option(
        None, help="With --data: classes an episode.", show_default="all"
    ),
    shot: int | None = typer.Option(
        None, help="With --data: support images a class (masks: in all).", show_default="5"
    ),
    query: int | None = typer.Option(
        None, help="With --data: query images a class (masks: in all).", show_default="10"
    ),
    episodes: int | None = typer.Option(
        None, min=1, help="With --data: how many episodes.", show_default="600"
    ),
    seed: int = typer.Option(0, help="Decides untrained weights and, with --data, the episodes."),
    threads: int = THREADS,
) -> None:
    """Measure a learner over many episodes, beside the linear probe, paired.

    The number of images, classes and episodes is the protocol's, or as given with --data. The
    baseline has the same encoder, and once more the raw pixels (for masks, filters around each).
    Data that a run has learnt from are refused.

    Examples:

        medshot evaluate runs/proto --data my_images/ --shot 5 --json result.json

        medshot evaluate runs/proto --protocol medshot26/covid_ct/5s
    """
    import torch

    from medshot.app.choose import run_or_learner
    from medshot.app.measure import form_of, measured, planned
    from medshot.app.record import write_record
    from medshot.app.show import console, plain, results_table
    from medshot.app.threads import limited

    numbers = {"way": way, "shot": shot, "query": query, "episodes": episodes}
    given = {name: number for name, number in numbers.items() if number is not None}
    kind = _kind(protocol, data, task, given)
    torch.manual_seed(seed)
    made = run_or_learner(learner, encoder, set_, kind, **form_of(protocol))
    plan = planned(protocol, data, task=kind, seed=seed, **given)
    with limited(threads):
        results, record = measured(plan, learner, made)
    fingerprint = next(iter(results.values())).episodes["fingerprint"]
    title = f"{plan.name}: {plan.episodes} episodes (hash {fingerprint}), mean ± 95 % interval"
    console.print(results_table(results, plain(title)))
    if json_file:
        write_record(json_file, record)


def _kind(protocol: str | None, data: list[Path], task: str | None, given: dict[str, int]) -> str:
    """The kind of task; refuses options that would silently not be used, and mislead."""
    from medshot.app.kinds import kind_called
    from medshot.core.errors import ConfigError
    from medshot.data.folders.kinds import USUAL, kind_of

    if bool(protocol) == bool(data) or len(data) > 1:
        raise ConfigError("Give either --protocol NAME or --data DIR, one of them.")
    fixed = [f"--{name}" for name in (*given, *(["task"] if task else []))]
    if protocol and fixed:
        raise ConfigError(
            f"The protocol {protocol} fixes its numbers: leave {', '.join(fixed)} out."
        )
    kind = kind_of(data[0], task) if data else USUAL
    if "way" in given and not kind_called(kind).ways:
        raise ConfigError("--way is for labels: episodes of other targets have all of them.")
    return kind
