import errno
import multiprocessing
import os
import random
import signal
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open

import medshot
from medshot.core.atomic import write_text
from medshot.core.errors import ConfigError, SaveError, TaskError, TrainingError
from medshot.evaluation.episodes import evaluate
from medshot.training import checkpoint, gradient
from toys.training import Diverging, blobs, build, conv4, options, train_case

SMALL = {"way": 3, "shot": 1, "query": 2, "val_every": 2, "val_episodes": 2, "device": "cpu"}
KINDS = ("prototypical", "maml", "batch, channels last", "dropout", "patience")
# What a kill can interrupt: run.json half written, a checkpoint half written, either written
# whole but not yet in its place.
DEATHS = (("write_text", 1), ("replace", 1), ("write_bytes", 1), ("write_bytes", 4), ("replace", 7))

processes = multiprocessing.get_context("forkserver")
processes.set_forkserver_preload(
    [
        "medshot.training.train",
        "medshot.learners.closed_form.linear_probe",
        "sklearn.model_selection",
        "torch.utils.tensorboard.writer",
    ]
)


def _start(*arguments: Any) -> Any:
    process = processes.Process(target=train_case, args=arguments, daemon=True)
    process.start()
    return process


def _run_to_end(kind: str, out: Path) -> None:
    process = _start(kind, out)
    process.join(120)
    assert process.exitcode == 0


def _kill_after_a_checkpoint(process: Any, file: Path, delay: float) -> None:
    before = file.stat().st_mtime_ns
    while process.is_alive() and file.stat().st_mtime_ns == before:
        time.sleep(0.001)
    time.sleep(delay)
    process.kill()
    process.join()


def _whole_state(folder: Path) -> tuple[dict[str, torch.Tensor], str]:
    with safe_open(folder / checkpoint.FILE, "pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, file.metadata()["medshot"]  # noqa: SIM118


def _assert_same(first: Path, second: Path) -> None:
    tensors, meta = _whole_state(first)
    others, other_meta = _whole_state(second)
    assert meta == other_meta  # step, best, early stopping, history
    assert tensors.keys() == others.keys()
    assert any(name.startswith("optimizer.") for name in tensors)
    assert any(name.startswith("best.") for name in tensors)
    for name, tensor in tensors.items():
        assert torch.equal(tensor, others[name]), name


@pytest.mark.parametrize("kind", KINDS)
def test_killed_anywhere_and_resumed_it_ends_with_the_same_bits(kind: str, tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    _run_to_end(kind, whole)
    for where, at in DEATHS if kind in ("prototypical", "maml") else DEATHS[-1:]:
        process = _start(kind, cut, where, at)
        process.join(120)
        assert process.exitcode == -signal.SIGKILL, (where, at)
    for delay in (random.uniform(0, 0.02), random.uniform(0, 0.1)):
        _kill_after_a_checkpoint(_start(kind, cut), cut / checkpoint.FILE, delay)
    _run_to_end(kind, cut)
    _assert_same(whole, cut)
    assert not list(cut.glob(".*")), "what the kills left half written is gone"
    if kind == "patience":
        assert medshot.load_run(cut).history[-1]["step"] < options(kind)["steps"]


def test_an_interrupted_run_in_one_process_gives_the_same_bits(tmp_path: Path) -> None:
    whole = medshot.train(build("maml"), blobs(), steps=6, out=tmp_path / "whole", **SMALL)
    medshot.train(build("maml"), blobs(), steps=4, out=tmp_path / "cut", **SMALL)
    cut = medshot.train(build("maml"), blobs(), steps=6, out=tmp_path / "cut", **SMALL)
    assert cut.history == whole.history
    for name, tensor in whole.learner.state_dict().items():
        assert torch.equal(tensor, cut.learner.state_dict()[name]), name


def test_it_learns() -> None:
    train, test = medshot.split_classes(blobs(60), 0.4, seed=3)
    learner = medshot.build("prototypical", encoder=conv4())
    sampler = medshot.EpisodeSampler(test, way=5, shot=1, query=2, seed=9)
    before = evaluate(learner, sampler, episodes=150).interval("accuracy")
    run = medshot.train(
        learner, train, way=5, shot=1, query=2, steps=120, lr=3e-3, val_every=40, val_episodes=20
    )
    after = evaluate(run.learner, sampler, episodes=150).interval("accuracy")
    assert before.low > 0.2
    assert before.high < after.low
    assert after.high < 1


def test_a_finished_run_returns_at_once_with_the_same_weights(tmp_path: Path) -> None:
    run = medshot.train(build("prototypical"), blobs(), steps=4, out=tmp_path, **SMALL)
    stamp = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}

    class Untouchable:
        def episode(self, i: int) -> medshot.Episode:
            raise AssertionError("nothing is left to do")

        def describe(self) -> dict[str, Any]:
            return run.about["train"]

    class Validation(Untouchable):
        def describe(self) -> dict[str, Any]:
            return run.about["val"]

    again = medshot.train(
        build("prototypical"), Untouchable(), val=Validation(), steps=4, out=tmp_path, **SMALL
    )
    assert again.history == run.history
    for name, tensor in run.learner.state_dict().items():
        assert torch.equal(tensor, again.learner.state_dict()[name])
    assert stamp == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}


def test_more_steps_go_on(tmp_path: Path) -> None:
    medshot.train(build("prototypical"), blobs(), steps=4, out=tmp_path, **SMALL)
    run = medshot.train(build("prototypical"), blobs(), steps=7, out=tmp_path, **SMALL)
    assert [row["step"] for row in run.history] == [2, 4, 6, 7]
    fewer = medshot.train(build("prototypical"), blobs(), steps=2, out=tmp_path, **SMALL)
    assert fewer.history == run.history


def test_stops_after_patience_and_returns_the_best(monkeypatch: pytest.MonkeyPatch) -> None:
    losses = iter([0.9, 0.5, 0.7, 0.5, 0.6, 0.1])  # the second 0.5 is no better
    weights = []

    def scripted(learner: medshot.Learner, *_: Any) -> float:
        weights.append({n: t.clone() for n, t in learner.state_dict().items()})
        return next(losses) * SMALL["val_episodes"]

    monkeypatch.setattr("medshot.training.train.validate", scripted)
    run = medshot.train(build("prototypical"), blobs(), steps=100, patience=3, **SMALL)
    assert [row["val_loss"] for row in run.history] == [0.9, 0.5, 0.7, 0.5, 0.6]
    assert run.history[-1]["step"] == 10
    assert "best on meta-validation at step 4" in run.learner.origin
    for name, tensor in run.learner.state_dict().items():
        assert torch.equal(tensor, weights[1][name])
    assert any(not torch.equal(weights[1][n], weights[-1][n]) for n in weights[1])


def test_validation_sums_query_losses_and_leaves_the_learner_as_it_was() -> None:
    learner = build("dropout").train()
    sampler = medshot.EpisodeSampler(blobs(), way=3, shot=1, query=2)
    found = gradient.validate(learner, sampler, range(4), torch.device("cpu"))
    assert learner.training
    learner.eval()
    episodes = [sampler.episode(i) for i in range(4)]
    with torch.no_grad():
        losses = [
            e.task.loss(learner.adapt(e.support, e.task)(e.query.x), e.query.y) for e in episodes
        ]
    assert found == pytest.approx(float(torch.stack(losses).sum()))


def test_the_learner_comes_back_ready_and_says_where_it_is_from() -> None:
    learner = build("prototypical")
    run = medshot.train(learner, blobs(name="skins"), steps=2, **SMALL)
    assert run.learner is learner
    assert not any(module.training for module in learner.modules())
    expected = "meta-trained on skins for 2 steps, best on meta-validation at step 2"
    assert learner.origin == expected


def test_the_first_step_is_adam_on_the_mean_over_the_meta_batch() -> None:
    data, val = blobs(6), blobs(6, seed=1)
    learner, expected = build("prototypical"), build("proto").train()
    sampler = medshot.EpisodeSampler(data, way=3, shot=1, query=2)
    optimizer = torch.optim.Adam(expected.parameters(), lr=0.01)
    torch.stack([expected.meta_loss(sampler.episode(i)) for i in range(3)]).mean().backward()
    optimizer.step()
    medshot.train(learner, sampler, val=val, steps=1, meta_batch=3, lr=0.01, **SMALL)
    for name, tensor in expected.state_dict().items():
        torch.testing.assert_close(learner.state_dict()[name], tensor, atol=2e-4, rtol=0)


def test_the_rate_is_halved(monkeypatch: pytest.MonkeyPatch) -> None:
    rates = []
    step = torch.optim.Adam.step
    monkeypatch.setattr(
        torch.optim.Adam,
        "step",
        lambda self: (rates.append(self.param_groups[0]["lr"]), step(self))[1],
    )
    medshot.train(build("prototypical"), blobs(), steps=5, lr=0.8, halve_every=2, **SMALL)
    assert rates == [0.8, 0.8, 0.4, 0.4, 0.2]


def test_a_loss_that_is_not_finite_stops_the_run_and_what_was_saved_stays(tmp_path: Path) -> None:
    given = {"out": tmp_path, "steps": 10, "checkpoint_seconds": 0.0} | SMALL
    with pytest.raises(TrainingError, match=r"nan at step 3.*is kept"):
        medshot.train(Diverging(conv4()), blobs(), **given)
    kept = medshot.load_run(tmp_path)
    assert [row["step"] for row in kept.history] == [2]
    assert all(torch.isfinite(t).all() for t in kept.learner.state_dict().values())
    again = Diverging(conv4())
    again.steps = -1000
    assert medshot.train(again, blobs(), **given).history[-1]["step"] == 10


def test_baselines_are_refused() -> None:
    for name in ("nearest-centroid", "linear-probe", "lda", "finetune"):
        with pytest.raises(TaskError, match="is a baseline"):
            medshot.train(medshot.build(name, encoder=conv4()), blobs())


@pytest.mark.parametrize(
    "option", ["steps", "meta_batch", "val_every", "val_episodes", "patience", "halve_every"]
)
def test_a_count_below_one_is_refused_by_name(option: str) -> None:
    with pytest.raises(ConfigError, match=f"{option}=0 must be at least 1"):
        medshot.train(build("prototypical"), blobs(), **{**SMALL, option: 0})


@pytest.mark.parametrize("switches", [{"bf16": True}, {"channels_last": True}])
@pytest.mark.parametrize("kind", ["proto", "maml"])
def test_switches_run_and_learn(switches: dict[str, bool], kind: str) -> None:
    given = SMALL | {"val_every": 20, "val_episodes": 20, "lr": 3e-3} | switches
    run = medshot.train(build(kind), blobs(12), steps=40, meta_batch=2, **given)
    untrained = gradient.validate(
        build(kind),
        medshot.EpisodeSampler(
            medshot.split_patients(blobs(12))[1], way=3, shot=1, query=2, seed=1
        ),
        range(20),
        torch.device("cpu"),
    )
    assert run.history[-1]["val_loss"] < untrained / 20
    if switches.get("channels_last"):
        weight = next(p for p in run.learner.parameters() if p.ndim == 4 and p.shape[1] > 1)
        assert weight.is_contiguous(memory_format=torch.channels_last)


def test_a_full_disk_keeps_the_checkpoint_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = medshot.train(build("maml"), blobs(), steps=6, out=tmp_path / "whole", **SMALL)
    out = tmp_path / "cut"
    medshot.train(build("maml"), blobs(), steps=2, out=out, **SMALL)
    before = (out / checkpoint.FILE).read_bytes()
    with monkeypatch.context() as patched:

        def full(self: Path, content: bytes) -> None:
            with self.open("wb") as file:
                file.write(content[:1000])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        patched.setattr(Path, "write_bytes", full)
        with pytest.raises(SaveError, match=r"checkpoint\.safetensors.*Free"):
            medshot.train(build("maml"), blobs(), steps=6, out=out, **SMALL)
    assert (out / checkpoint.FILE).read_bytes() == before
    assert not list(out.glob(".*"))
    cut = medshot.train(build("maml"), blobs(), steps=6, out=out, **SMALL)
    for name, tensor in whole.learner.state_dict().items():
        assert torch.equal(tensor, cut.learner.state_dict()[name])


def test_a_foreign_folder_is_left_alone(tmp_path: Path) -> None:
    write_text(tmp_path / "thesis.txt", "precious")
    with pytest.raises(SaveError, match="not a medshot run"):
        medshot.train(build("prototypical"), blobs(), out=tmp_path, **SMALL)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]
