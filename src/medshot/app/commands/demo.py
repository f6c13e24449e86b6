"""`medshot demo`: the main job on made-up images, with no download."""

from pathlib import Path
from shlex import quote

import typer


def demo(
    out: Path = typer.Option(Path("demo"), help="New folder for everything it makes."),
    steps: int = typer.Option(600, min=1, help="Meta-training steps."),
    episodes: int = typer.Option(600, min=1, help="Unseen tasks to judge it on."),
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
    from medshot.app.show import say, tell
    from medshot.app.threads import one_thread
    from medshot.core.files import refuse_taken
    from medshot.evaluation.report import summary_sentence, write_report

    refuse_taken(out)
    say(f"Meta-train a prototypical network on phantoms ({steps} steps)", start="1. ")
    with one_thread():
        done = demonstrate(out, steps, episodes, typed())
    write_report(done.report, out / "report.html")
    say(f"Adapted to {done.support}: {', '.join(done.labels)}", start="2. ")
    say(summary_sentence(done.report), start="3. ")
    tell()
    tell(f"Report:     {(out / 'report.html').resolve()}")
    tell(f"Predictor:  {done.model}")
    paths = done.model, done.queries, out / "answers.csv"
    model, queries, answers = (quote(str(path)) for path in paths)
    tell(f"Next:       medshot predict {model} {queries} --out {answers}")
