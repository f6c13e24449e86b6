"""`medshot harden`: go on learning under attack, and say what that costs and brings."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from medshot.app.parse import THREADS, new_folder, new_json

if TYPE_CHECKING:
    from medshot.stages.robustness.evaluate import Robustness


def harden(
    model: Path = typer.Argument(help="A folder that `medshot adapt` or a stage made."),
    data: Path = typer.Option(help="Folder of labelled images to learn from."),
    out: Path = new_folder("New folder for the hardened model; MODEL stays as it is."),
    attack: str = typer.Option("pgd", help="What to harden against: fgsm or pgd."),
    epsilon: str = typer.Option("4/255", help="How far values may be changed, of [0, 1]."),
    norm: str = typer.Option("linf", help="linf (each value) or l2 (all values together)."),
    attack_steps: int = typer.Option(7, help="Steps of pgd, as it learns."),
    share: float = typer.Option(0.5, help="Weight of attacked images; the rest are as they are."),
    steps: int = typer.Option(300, help="Steps of learning."),
    lr: float = typer.Option(1e-3, help="Rate of Adam."),
    batch: int = typer.Option(16, help="Images a step."),
    seed: int = typer.Option(0, min=0, help="Decides the order of images."),
    test: Path | None = typer.Option(None, help="Folder of other patients, to be judged on."),
    json_file: Path | None = new_json("New file for the numbers."),
    threads: int = THREADS,
) -> None:
    """Make a model that holds out better against small changes of its images.

    Killed at any moment, the same command goes on. In OUT is also robustness.svg: the score by
    epsilon, before and after. Without --test it is judged on what it learned from, which flatters.

    Example:

        medshot harden my_model --data my_images/ --epsilon 4/255 --out hardened --test others/
    """
    from medshot.app.render import write_record
    from medshot.app.stage import judged_on
    from medshot.app.terminal import announce, tell
    from medshot.core.atomic import unfinished, write_text
    from medshot.core.predictor import load_predictor
    from medshot.data.load import images_for, refuse_shared
    from medshot.stages.robustness.harden import harden as hardened_by
    from medshot.stages.robustness.threat_model import ThreatModel, read_epsilon
    from medshot.training.device import limit_threads
    from medshot.training.progress import progress_bar

    started = time.monotonic()
    budget = ThreatModel(read_epsilon(epsilon), norm)
    predictor = load_predictor(model)
    images = images_for(predictor.known_card(), data)
    asked = images_for(predictor.known_card(), test) if test else images
    if test:
        refuse_shared(images, asked)
    options: dict[str, Any] = {"attack": attack, "epsilon": budget.epsilon, "norm": norm}
    options |= {"attack_steps": attack_steps, "share": share, "steps": steps, "lr": lr}
    options |= {"batch": batch, "seed": seed}
    with unfinished(out) as (staging, working), limit_threads(threads):
        watch = progress_bar("harden")
        hardened = hardened_by(predictor, images, **options, folder=working, watch=watch)
        announce("measuring both under attack, which can take longer than hardening")
        before, after = _measured((predictor, hardened), asked, budget, seed)
        hardened.save(staging)
        write_text(staging / "robustness.svg", _drawn(before, after))
    where = judged_on(data, test)
    told = _told(before, after, where, str(budget))
    tell(f"Hardened:   {out}")
    if json_file:
        record = {"model": str(model), "data": images.about(), "test": asked.about(), **options}
        record |= {"before": before.to_json(), "after": after.to_json(), **told}
        record["seconds"] = time.monotonic() - started
        write_record(json_file, record)


def _measured(models: tuple[Any, Any], images: Any, budget: Any, seed: int) -> list["Robustness"]:
    """Both at half of epsilon, epsilon, and twice that; of the second also what tells of it."""
    from medshot.stages.robustness.evaluate import robustness
    from medshot.stages.robustness.threat_model import ThreatModel
    from medshot.training.progress import progress_bar

    most = budget.measure.largest(images.x[0].numel())
    sizes = [size for size in (budget.epsilon * by for by in (0.5, 1, 2)) if size <= most]
    budgets = [ThreatModel(size, budget.norm) for size in sizes]
    found = []
    for model, checks in zip(models, (False, True), strict=True):
        watch = progress_bar("attack, hardened" if checks else "attack, before")
        found.append(robustness(model, images, budgets, checks=checks, seed=seed, watch=watch))
    return found


def _drawn(before: "Robustness", after: "Robustness") -> str:
    from medshot.stages.robustness.attacks import PGD
    from medshot.stages.robustness.curve import curve, points_of

    lines = {"before": points_of(before, PGD), "hardened": points_of(after, PGD)}
    return curve(lines, before.clean.task.leading, "under PGD")


def _told(before: "Robustness", after: "Robustness", where: str, epsilon: str) -> dict[str, Any]:
    """Say what it cost and what it brought; the same as numbers."""
    from medshot.app.render import change_of, show_attacks, tell_of_masking
    from medshot.app.terminal import say
    from medshot.stages.robustness.attacks import PGD
    from medshot.stages.robustness.evaluate import signs

    metric = before.clean.task.leading
    first, second = (_within(found, epsilon, PGD) for found in (before, after))
    show_attacks({"before": before, "hardened": after}, where)
    tell_of_masking(after)
    clean, robust = change_of(before.clean, after.clean), change_of(first, second)
    say(f"{metric}: {clean} on images as they are; {robust} under PGD within {epsilon}.")
    changes = {
        "clean_change": vars(after.clean.minus(before.clean, metric)),
        "robust_change": vars(second.minus(first, metric)),
    }
    return {**changes, "signs": signs(after)}


def _within(found: "Robustness", epsilon: str, kind: type) -> Any:
    return next(r.answers for r in found.by(kind) if str(r.attack.budget) == epsilon)
