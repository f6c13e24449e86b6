"""Omniglot, `snell17` 5-way 1-shot, prototypical network on Conv4.

    python experiments/omniglot_prototypical.py --out runs/omniglot_prototypical

Published (Snell et al. 2017, table 1): 98.8 %. Trained on the training classes with 60-way
1-shot episodes as in the paper, the weights chosen on the validation classes; then, as the paper
trains again on both, a number of steps fixed beforehand on both, at a lower rate and with nothing
chosen. Resumes after a kill.
"""

import medshot
from medshot.evaluation.protocol import protocol
from medshot.evaluation.run import evaluate
from medshot.training.progress import bar
from record import parse, record

NAME = "snell17/omniglot/5w1s"
PUBLISHED = 0.988
STEPS_ON_BOTH = 1000


def main() -> None:
    options = parse(__doc__, steps=5000)
    rules = protocol(NAME)
    train, val = rules.dataset("train"), rules.dataset("val")
    encoder = medshot.encoder("conv4", channels=1, size=28, norm="batch", scaling="invert")
    with record(options.out, protocol=NAME, published=PUBLISHED) as row:
        run = medshot.train(
            medshot.build("prototypical", encoder=encoder),
            medshot.EpisodeSampler(train, way=60, shot=1, query=5, seed=0),
            val=medshot.EpisodeSampler(val, way=5, shot=1, query=5, seed=1),
            out=options.out / "run",
            way=60,
            shot=1,
            steps=options.steps,
            halve_every=options.steps // 5,
            val_every=250,
            val_episodes=100,
            bf16=True,
            channels_last=True,
            watch=bar,
        )
        row.trained()
        chosen = run.learner.origin
        more = medshot.train(
            run.learner,
            medshot.EpisodeSampler(rules.dataset("trainval"), way=60, shot=1, query=5, seed=2),
            val=medshot.EpisodeSampler(val, way=5, shot=1, query=5, seed=1),
            out=options.out / "run_both",
            way=60,
            shot=1,
            steps=STEPS_ON_BOTH,
            lr=2.5e-4,
            halve_every=STEPS_ON_BOTH // 3,
            val_every=STEPS_ON_BOTH,  # once, at the end: the last weights are kept
            bf16=True,
            channels_last=True,
            watch=bar,
        )
        row.trained()
        result = evaluate(
            more.learner, rules.sampler(rules.dataset("test")), episodes=rules.episodes
        )
        row.about["first"] = chosen
        row.result(result, run)


if __name__ == "__main__":
    main()
