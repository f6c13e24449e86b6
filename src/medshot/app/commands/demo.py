"""`medshot demo`: the main job on made-up images, with no download."""

from pathlib import Path

import typer


def demo(
    out: Path = typer.Option(Path("demo"), help="New folder for everything it makes."),
    steps: int = typer.Option(600, help="Meta-training steps."),
    episodes: int = typer.Option(600, help="Unseen tasks to judge it on."),
) -> None:
    """Meta-train on phantoms, adapt to a task never seen, write a predictor and a report.

    Phantoms are drawn by the program: lesions, textures and shapes under simulated CT, MR,
    ultrasound, X-ray, dermoscopy and histology. A third of the pairs of finding and modality is
    kept out of meta-training; the task to adapt to, and those of the report, are of that third.
    """
    from medshot.app.demonstrate import demonstrate
    from medshot.app.show import console
    from medshot.core.files import refuse_taken
    from medshot.evaluation.report import summary_sentence, write_report

    refuse_taken(out)
    console.print(f"1. Meta-train a prototypical network on phantoms ({steps} steps)")
    done = demonstrate(out, steps, episodes)
    write_report(done.report, out / "report.html")
    console.print(f"2. Adapted to {done.support}: {', '.join(done.labels)}", highlight=False)
    console.print(f"3. {summary_sentence(done.report)}", highlight=False, markup=False)
    console.print(f"\nReport:     {(out / 'report.html').resolve()}", highlight=False, soft_wrap=True)
    console.print(f"Predictor:  {done.model}", highlight=False)
    console.print(
        f"Next:       medshot predict {done.model} {done.queries} --out {out / 'answers.csv'}",
        highlight=False,
        soft_wrap=True,
    )
