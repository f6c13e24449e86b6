"""Omniglot, every learner under its paper's protocol: what each experiment shares, and all at once.

    python experiments/omniglot.py --out runs [--only matching maml++] [--threads 1]

runs each experiments/omniglot_*.py whose result is missing, one after the other, in
<out>/omniglot_<name>. One that was killed goes on where it was; what is finished is kept; one that
fails is named at the end and does not stop the others.
"""

import argparse
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

import medshot
from medshot.core.learner import Learner
from medshot.data.augment import Shifted
from medshot.data.episodes import EpisodeSampler, EpisodeSource
from medshot.evaluation.episodes import evaluate
from medshot.evaluation.protocols import Protocol, protocol
from medshot.evaluation.statistics import paired
from medshot.training.progress import bar
from medshot.training.run import Run
from record import parse, record

HERE = Path(__file__).parent
SNELL, FINN = "snell17/omniglot/5w1s", "finn17/omniglot/5w1s"
FORM = {"channels": 1, "size": 28, "scaling": "invert"}
FINN_CONV4 = {"norm": "transductive", "halve": "stride", "read": "mean"}
FAST = {"bf16": True, "channels_last": True}
# What most experiments on each protocol have in common.
ON_SNELL: dict[str, Any] = {
    "part": "trainval",
    "way": 20,
    "steps": 8000,
    "shift": 2,
    "training": FAST,
}
ON_FINN: dict[str, Any] = {
    "protocol": FINN,
    "encoder": FINN_CONV4,
    "way": 5,
    "query": 1,
    "steps": 2000,
    "rates": 3,
    "training": {"meta_batch": 16},
}
# Where a step is dear, more steps of fewer tasks learn more in the same time (docs/log.md).
FEW_TASKS: dict[str, Any] = {"training": {"meta_batch": 4}}


@dataclass(frozen=True)
class Experiment:
    """One learner, meta-trained on the training classes and judged on the test classes.

    `encoder` and `options` go to the encoder and the learner, `training` to `medshot.train`;
    episodes to learn from are of `way` classes. Weights are chosen on the validation classes. With
    `part="trainval"` it learns from those too, a number of steps fixed beforehand, and the last
    weights are taken. A published number that was not checked against the paper's own text has
    `checked=False`, and the table says so.
    """

    learner: str
    published: float | None  # part of 1; None: the paper has no Omniglot number
    protocol: str = SNELL
    encoder: dict[str, Any] = field(default_factory=lambda: {"norm": "batch"})
    options: dict[str, Any] = field(default_factory=dict)
    part: str = "train"
    way: int = 20
    query: int = 5
    steps: int = 3000
    shift: int = 0  # pixels
    rates: int = 6  # how many, each half the one before
    training: dict[str, Any] = field(default_factory=dict)
    checked: bool = True

    def main(self, doc: str | None) -> None:
        """Meta-train (or go on), judge, write the row."""
        options = parse(doc, steps=self.steps)
        rules = protocol(self.protocol)
        about = {"published": self.published, "checked": self.checked}
        with record(options.out, protocol=self.protocol, **about) as row:
            torch.manual_seed(0)
            encoder = medshot.encoder("conv4", **{**FORM, **self.encoder})
            learner = medshot.build(self.learner, encoder=encoder, **self.options)
            run = self._train(learner, rules, options.steps, options.out / "run")
            row.trained()
            test = rules.sampler(rules.dataset("test"))
            found = evaluate(run.learner, test, episodes=rules.episodes)
            row.about["minus_probe"] = _minus_probe(run.learner, found, test, rules)
            row.result(found, run)

    def _train(self, learner: Learner, rules: Protocol, steps: int, out: Path) -> Run:
        last = self.part == "trainval"
        every = steps if last else max(steps // 20, 1)
        options = {"val_every": every, "val_episodes": 200, "lr": 1e-3, **self.training}
        return medshot.train(
            learner,
            self._episodes(rules),
            val=self._sampler(rules, "val", way=5, seed=1),
            out=out,
            way=self.way,
            shot=rules.shot,
            query=self.query,
            steps=steps,
            halve_every=max(steps // self.rates, 1),
            watch=bar,
            **options,
        )

    def _episodes(self, rules: Protocol) -> EpisodeSource:
        sampler = self._sampler(rules, self.part, way=self.way, seed=0)
        return Shifted(sampler, self.shift) if self.shift else sampler

    def _sampler(self, rules: Protocol, part: str, *, way: int, seed: int) -> EpisodeSampler:
        form = {"shot": rules.shot, "query": self.query, "rotate": rules.rotate}
        return EpisodeSampler(rules.dataset(part), way=way, seed=seed, **form)


def _minus_probe(learner: Learner, found: Any, test: EpisodeSampler, rules: Protocol) -> Any:
    """The paired difference to a linear probe on the same encoder; none where that is adapted."""
    if getattr(learner.encoder, "transductive", False):
        return None
    probe = medshot.build("linear-probe", encoder=learner.encoder)
    theirs = evaluate(probe, test, episodes=rules.episodes)
    return vars(paired(found.scores["accuracy"], theirs.scores["accuracy"]))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of all runs")
    parser.add_argument("--only", nargs="*", help="only these")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    failed = []
    for file in sorted(HERE.glob("omniglot_*.py")):
        name = file.stem.removeprefix("omniglot_")
        out = options.out / file.stem
        if (options.only and name not in options.only) or (out / "result.json").exists():
            continue
        print(f"== {name}", flush=True)
        command = [sys.executable, str(file), "--out", str(out), "--threads", str(options.threads)]
        if subprocess.run(command, check=False).returncode:
            failed.append(name)
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
