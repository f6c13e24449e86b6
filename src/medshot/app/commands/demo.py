"""`medshot demo`: the main job on made-up images, with no download."""

from pathlib import Path

import typer

from medshot.app.arguments import THREADS, free


def demo(
    out: Path = typer.Option(
        Path("demo"), help="New folder for everything it makes.", callback=free
    ),
    steps: int = typer.Option(600, min=1, help="Meta-training steps."),
    episodes: int = typer.Option(600, min=1, help="Unseen tasks to judge it on."),
    threads: int = THREADS,
) -> None:
    """Meta-train on phantoms, adapt to a task never seen, write a predictor and a report.

    Phantoms are drawn by the program: lesions, textures and shapes under simulated CT, MR,
    ultrasound, X-ray, dermoscopy and histology. A third of the pairs of finding and modality is
    kept out of meta-training; the task to adapt to, and those of the report, are of that third.

    Example, a quick look in place of a good learner:

        medshot demo --steps 50 --episodes 20 --out quick
    """
    from medshot.app.argv import typed
    from medshot.app.demonstrate import demonstrate
    from medshot.app.show import next_step, say, tell
    from medshot.app.threads import limited
    from medshot.evaluation.report import summary_sentence, write_report

    say(f"Meta-train a prototypical network on phantoms ({steps} steps)", start="1. ")
    with limited(threads):
        done = demonstrate(out, steps, episodes, typed())
    write_report(done.report, out / "report.html")
    say(f"Adapted to {done.support}: {', '.join(done.labels)}", start="2. ")
    say(summary_sentence(done.report), start="3. ")
    tell()
    tell(f"Report:     {(out / 'report.html').resolve()}")
    tell(f"Predictor:  {done.model}")
    words = ("predict", done.model, done.queries, "--out", out / "answers.csv")
    next_step(*words, start="Next:       ")
