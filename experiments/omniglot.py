"""Omniglot, every learner under its paper's protocol: one row one result.

    python experiments/omniglot.py --out runs [--only matching maml++] [--steps 100] [--threads 1]
    python experiments/omniglot.py twenty-way --out runs

Runs the rows of `EXPERIMENTS` whose result is missing, one after the other, each in a process of
its own and in <out>/omniglot_<learner>. One that was killed goes on where it was; what is finished
is kept; one that fails is named at the end and does not stop the others.

`twenty-way` asks the same weights to tell 20 classes apart: protocol `snell17/omniglot/20w1s`, for
each finished run that was meta-trained with 20 classes an episode or more, encoder untouched by
adapting. Snell et al. 2017 use one training for 5-way and 20-way too.
"""

import json
import multiprocessing
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

import medshot
from medshot.core.atomic import write_text
from medshot.core.errors import MedshotError
from medshot.core.learner import Learner
from medshot.data.augment import Shifted
from medshot.data.episodes import EpisodeSampler, EpisodeSource
from medshot.evaluation.episodes import EpisodeScores, encodes_alone, evaluate
from medshot.evaluation.protocols import Protocol, protocol
from medshot.evaluation.statistics import paired
from medshot.training.progress import bar
from medshot.training.run import Run
from results import ahead, arguments, commit, hardware, markdown, plus_minus

SNELL, FINN = "snell17/omniglot/5w1s", "finn17/omniglot/5w1s"
FORM = {"channels": 1, "size": 28, "scaling": "invert"}
FINN_CONV4 = {"norm": "transductive", "halve": "stride", "read": "mean"}
FAST = {"bf16": True, "channels_last": True}


@dataclass(frozen=True)
class Experiment:
    """One learner, meta-trained on the training classes and judged on the test classes.

    `encoder` and `options` go to the encoder and the learner, `training` to `medshot.train`;
    episodes to learn from are of `way` classes. Weights are chosen on the validation classes. With
    `part="trainval"` it learns from those too, a number of steps fixed beforehand, and the last
    weights are taken. A published number that was not checked against the paper's own text has
    `checked=False`, and the table in the documentation says so.
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

    @property
    def folder(self) -> str:
        """The name of the folder of its result."""
        return f"omniglot_{self.learner.replace('-', '_').replace('+', 'p')}"

    def run(self, out: Path, steps: int, threads: int) -> None:
        """Meta-train (or go on), judge, write the result."""
        torch.set_num_threads(threads)
        rules = protocol(self.protocol)
        about: dict[str, Any] = {"published": self.published, "checked": self.checked}
        about |= {"protocol": self.protocol, "hardware": hardware(), "commit": commit()}
        started = time.process_time()
        torch.manual_seed(0)
        encoder = medshot.encoder("conv4", **{**FORM, **self.encoder})
        learner = medshot.build(self.learner, encoder=encoder, **self.options)
        run = self._train(learner, rules, steps, out / "run")
        about["cpu_minutes"] = _minutes(out / "clock.json", started)
        test = rules.sampler(rules.dataset("test"))
        found = evaluate(run.learner, test, episodes=rules.episodes)
        about["minus_probe"] = _minus_probe(run.learner, found, test)
        about |= {**found.to_json(), "origin": run.learner.origin}
        print(json.dumps(about, indent=2))
        about["curve"] = [(row["step"], round(row["val_loss"], 4)) for row in run.history]
        write_text(out / "result.json", json.dumps(about, indent=2) + "\n")

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


def _minutes(clock: Path, started: float) -> float:
    """The CPU minutes of meta-training so far, those of earlier processes included."""
    before = json.loads(clock.read_text())["cpu_minutes"] if clock.exists() else 0.0
    spent = before + (time.process_time() - started) / 60
    write_text(clock, json.dumps({"cpu_minutes": spent}) + "\n")
    return round(spent, 1)


def _minus_probe(learner: Learner, found: EpisodeScores, test: EpisodeSampler) -> Any:
    """The paired difference to a linear probe on the same encoder; none where that is adapted."""
    if getattr(learner.encoder, "transductive", False):
        return None
    probe = medshot.build("linear-probe", encoder=learner.encoder)
    theirs = evaluate(probe, test, episodes=found.episodes["count"])
    return vars(paired(found.scores["accuracy"], theirs.scores["accuracy"]))


def snell17(learner: str, published: float | None, **differences: Any) -> Experiment:
    """A row on Conv4: 20-way 1-shot episodes of training and validation classes, shifted images."""
    common = {"part": "trainval", "way": 20, "steps": 8000, "shift": 2, "training": FAST}
    return Experiment(learner, published, **{**common, **differences})


def finn17(
    learner: str,
    published: float | None,
    steps: int,
    query: int,
    meta_batch: int,
    inner: dict[str, Any],
    **differences: Any,
) -> Experiment:
    """A row on Finn's Conv4: 5-way 1-shot episodes; `inner` are the learner's options.

    Inner rates are for the mean over the support. Batch norm takes the statistics of the batch at
    hand: the results are transductive. Where a step is dear, more steps of fewer tasks learn more
    in the same time (docs/log.md).
    """
    common: dict[str, Any] = {"protocol": FINN, "encoder": FINN_CONV4, "way": 5, "rates": 3}
    common |= {"options": {"way": 5, **inner}, "training": {"meta_batch": meta_batch}}
    return Experiment(learner, published, steps=steps, query=query, **{**common, **differences})


# fmt: off
EXPERIMENTS = (
    #       learner           published
    snell17("prototypical",   0.988,  way=60, steps=7000),
    snell17("matching",       0.981,  options={"scale": 30.0}),
    snell17("matching-fce",   0.981),
    snell17("snail",          0.9907),
    snell17("siamese",        0.967,  checked=False),
    snell17("relation",       0.996,  checked=False, encoder={"norm": "batch", "halvings": 2}),
    snell17("ridge",          0.989,  checked=False),
    snell17("meta-memory",    0.9895, checked=False, options={"width": 64}),
    snell17("memory-network", None,   options={"strength": 20.0}),
    snell17("svm",            None,   training={**FAST, "lr": 3e-3}),
    snell17("contrastive",    None),
    snell17("film",           None),
    snell17("hypernetwork",   None),
    snell17("in-context",     None),
    snell17("mahalanobis",    None),
    snell17("ntm",            None),
    #      learner           published steps query meta_batch inner
    finn17("maml",           0.987,    5000, 1, 32,
           {"lr": 2.0, "steps": 1, "test_steps": 3}, rates=6),
    finn17("anil",           None,     8000, 1, 16, {"lr": 0.5, "steps": 5}),
    finn17("fomaml",         0.983,    8000, 5, 4, {"lr": 0.4, "steps": 3}, checked=False),
    finn17("maml++",         0.9947,   5000, 5, 4, {"lr": 0.5, "steps": 3}, checked=False),
    finn17("meta-sgd",       0.9953,  12000, 5, 4, {"lr": 0.5, "steps": 1}, checked=False),
    finn17("imaml",          0.9916,   2500, 5, 4,
           {"lr": 0.5, "steps": 5, "pull": 0.5, "damping": 22.0}, checked=False),
    finn17("reptile",        0.9768,   5000, 9, 4,
           {"lr": 0.4, "steps": 5, "test_steps": 10}, checked=False),
    finn17("prox",           None,     5000, 9, 4,
           {"lr": 0.4, "steps": 5, "test_steps": 10, "pull": 0.1}),
    finn17("meta-gradient",  None,     4000, 5, 4, {"lr": 0.5, "steps": 3}),
    finn17("lstm-optimizer", None,      500, 1, 4, {"lr": 0.5, "steps": 3}),
    finn17("mlp-optimizer",  None,      500, 1, 4, {"lr": 0.5, "steps": 3}),
    finn17("meta-lstm",      None,      500, 1, 4, {"lr": 0.5, "steps": 3}),
)
# fmt: on
NO_NUMBER = "The paper gives no number for this protocol."
TEN_IMAGES = "Ten images a class to learn from, in five batches, one an inner step."
# Where the published number is from, and in what a row differs from its paper.
NOTES = {
    "prototypical": "Snell et al. 2017, table 1. 60-way 1-shot episodes as in the paper. The paper "
    "chooses the number of steps on the validation classes and then trains again on both; so do "
    "we: settings from runs on the training classes (docs/log.md), then `steps` on both, the last "
    "weights taken. Where we differ: images are shifted by up to 2 pixels in meta-training.",
    "matching": "Vinyals et al. 2016.",
    "matching-fce": "Vinyals et al. 2016, with full context embeddings.",
    "snail": "Mishra et al. 2018.",
    "siamese": "Koch et al. 2015, as given by Vinyals et al. 2016.",
    "relation": "Sung et al. 2018.",
    "ridge": "R2-D2, Bertinetto et al. 2019.",
    "meta-memory": "Munkhdalai & Yu 2017.",
    "maml": "Finn et al. 2017, table 1: 98.7 +- 0.4 %, after 60000 iterations; here as many as fit "
    "in 40 minutes on two cores, so the number comes with its curve. The authors' inner rate of "
    "0.4 is for a cross-entropy divided by K and summed over N K images, which is 0.4 N = 2.0 for "
    "our mean. Where we differ: our batch norm has a gain, and the inner steps move gain and shift "
    "(the authors' only shift, outside the inner loop); padding is symmetric; the rate is halved "
    "every sixth of the steps.",
    "anil": "The paper gives 20-way numbers only.",
    "fomaml": "Finn et al. 2017.",
    "maml++": "Antoniou et al. 2019.",
    "meta-sgd": "Li et al. 2017.",
    "imaml": "Rajeswaran et al. 2019, gradient descent.",
    "reptile": f"Nichol et al. 2018, transductive. {TEN_IMAGES}",
    "prox": f"No published number for Omniglot is known to us. {TEN_IMAGES}",
    "meta-gradient": "The papers give no number for this protocol.",
    "lstm-optimizer": "The paper gives no number for Omniglot.",
    "mlp-optimizer": "The paper gives no number for Omniglot.",
    "meta-lstm": "The paper gives no number for Omniglot.",
}


TWENTY = "snell17/omniglot/20w1s"
# Published 20-way numbers; read in the papers' own text for Matching, Prototypical and SNAIL only.
PUBLISHED_20 = {
    "matching": "93.8",
    "matching-fce": "93.8",
    "prototypical": "96.0",
    "snail": "97.6",
    "relation": "97.6 (not checked)",
    "siamese": "88.0 (not checked)",
    "ridge": "96.2 (not checked)",
    "meta-memory": "97.0 (not checked)",
}


def main() -> None:
    names = [row.learner for row in EXPERIMENTS]
    parser = arguments(__doc__, "five-way", "twenty-way")
    parser.add_argument("--out", type=Path, required=True, help="folder of all runs")
    parser.add_argument("--only", nargs="*", choices=names, metavar="LEARNER", help="only these")
    parser.add_argument("--steps", type=int, help="meta-training steps, in place of the row's")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    rows = [row for row in EXPERIMENTS if not options.only or row.learner in options.only]
    if options.part == "twenty-way":
        torch.set_num_threads(options.threads)
        twenty_way([options.out / row.folder for row in rows])
        return
    failed = []
    for row in rows:
        out = options.out / row.folder
        if (out / "result.json").exists():
            continue
        print(f"== {row.learner}: {NOTES.get(row.learner, NO_NUMBER)}", flush=True)
        settings = out, options.steps or row.steps, options.threads
        process = multiprocessing.get_context("spawn").Process(target=row.run, args=settings)
        process.start()
        process.join()
        if process.exitcode:
            failed.append(row.learner)
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


def twenty_way(folders: Iterable[Path]) -> None:
    """Judge the finished runs in `folders` whose encoder is not adapted; skip what is written."""
    rules = protocol(TWENTY)
    test = rules.sampler(rules.dataset("test"))
    for folder in folders:
        file = folder / "20w1s.json"
        if file.exists() or not (folder / "result.json").exists():
            continue
        learner = medshot.load_run(folder / "run").learner
        if not encodes_alone(learner):  # trained for five classes, or not alone
            continue
        try:
            found = evaluate(learner, test, episodes=rules.episodes)
        except MedshotError as error:
            print(f"{folder.name}: {error}")
            continue
        about = {"protocol": TWENTY, "hardware": hardware(), "commit": commit()}
        about["minus_probe"] = _minus_probe(learner, found, test)
        write_text(file, json.dumps(about | found.to_json(), indent=1) + "\n")
        print(f"{folder.name}: {found.scores['accuracy'].mean():.4f}", flush=True)


def learner_of(folder: str) -> str:
    """The learner whose result is in `folder`."""
    return next(row.learner for row in EXPERIMENTS if row.folder == folder)


def table_of_twenty(found: dict[str, Any]) -> str:
    """A learner a row, best first: published, ours, against the probe."""
    rows = []
    for name, row in sorted(found.items(), key=lambda r: -r[1]["metrics"]["accuracy"]["mean"]):
        ours = f"**{plus_minus(row['metrics']['accuracy'], digits=2)}**"
        minus = ahead(row["minus_probe"], 2)
        rows.append([name, PUBLISHED_20.get(name, "none"), ours, minus, f"`{row['commit']}`"])
    head = ["learner", "published", "ours", "minus linear probe on its encoder", "commit"]
    return markdown(head, rows)


if __name__ == "__main__":
    main()
