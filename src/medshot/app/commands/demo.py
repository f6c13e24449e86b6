"""`medshot demo`: the main job on made-up images, with no download."""

from pathlib import Path

import typer

from medshot.app.parse import THREADS, free


def demo(
    out: Path = typer.Option(
        Path("demo"), help="New folder for everything it makes.", callback=free
    ),
    threads: int = THREADS,
) -> None:
    """Adapt to 20 made-up images of 4 classes, evaluate on 100 new ones, write a report.

    Phantoms are drawn by the program: lesions, textures and shapes under simulated CT, MR,
    ultrasound, X-ray, dermoscopy and histology. What is done with them is what you would do with
    your own: `medshot adapt`, then `medshot evaluate` on images of other patients, beside the
    ImageNet linear probe.

    Example:

        medshot demo --out demo
    """
    import medshot
    from medshot.app.commands.evaluate import show_evaluation
    from medshot.app.parse import typed
    from medshot.app.terminal import next_step, say, tell

    say("Adapt to phantoms: a few images of each of 4 classes", start="1. ")
    done = medshot.demo(out, typed(), threads=threads)
    say(f"Learned from {done.support}: {', '.join(done.labels)}", start="2. ")
    say(f"Evaluated on {len(done.evaluation.dataset)} new images of other patients:", start="3. ")
    show_evaluation(done.evaluation)
    tell()
    tell(f"Report:     {done.report.resolve()}")
    tell(f"Predictor:  {done.model}")
    words = ("predict", done.model, done.queries, "--out", out / done.default_output)
    next_step(*words, start="Next:       ")
