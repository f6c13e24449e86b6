"""Noise, lost resolution and artefacts on three real sets: classical, from scratch, meta-trained.

    python experiments/enhancement.py --out runs/enhancement

What is wrong with the images is simulated (medshot.data.corruptions): one thing an episode, in one
strength, on squares of 64 pixels at the images' own resolution, in grey. MAML++ (first order, three
steps, learned rates) and residual ridge, on DnCNNs of the same size, are meta-trained for the same
CPU time on brain MR, chest X-ray, lung histology and skin, under all degradations, from 4 pairs.
All are judged on electron microscopy, fundus photographs and head CT, which nothing has seen, from
1 and from 4 pairs: every method on the same episodes. Intervals are over episodes. One seed. Each
part is kept as it is done, and not done again.
"""

import json
import time
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

import medshot
from medshot.core.atomic import write_text
from medshot.core.learner import Learner
from medshot.data.corruptions import FAMILIES
from medshot.data.degraded import DegradedEpisodes, clean_images
from medshot.evaluation.episodes import EpisodeScores, evaluate
from medshot.evaluation.protocols import data_root
from medshot.evaluation.statistics import paired
from results import commit, hardware, made_on, markdown, parse

TAUGHT = ("cls_brain_mri_tumor", "cls_covid_cxr", "cls_lung_histology", "cls_skin_ham10000")
JUDGED = ("seg_em_membrane", "seg_drive", "cls_head_ct_hemorrhage")
SHOTS = (1, 4)
EPISODES, QUERY, SIZE = 8, 4, 64
SECONDS = 75  # of CPU time, for each of the two
CROP = 48  # pixels, in meta-training
# 0.03 moves the last layer by more than the range of an image: the training loss stays where it was
MAML: dict[str, Any] = {"lr": 0.002, "steps": 3, "multi_step_until": 0, "first_order_until": 10**6}


def main() -> None:
    options = parse(__doc__)
    methods = {**_baselines(), **_meta_trained(options.out)}
    for name in options.only or JUDGED:
        clean = clean_images(data_root() / name, most=100)
        for family, kinds in FAMILIES.items():
            for shot in SHOTS:
                file = options.out / f"{name}_{family}_{shot}.json"
                if file.exists():
                    continue
                drawn: dict[str, Any] = {"shot": shot, "query": QUERY, "seed": 1234}
                source = DegradedEpisodes([clean], size=SIZE, kinds=tuple(kinds), **drawn)
                found = {n: evaluate(m, source, episodes=EPISODES) for n, m in methods.items()}
                row = {"set": name, "family": family, "shot": shot, "methods": _summary(found)}
                write_text(file, json.dumps(row, indent=1) + "\n")
                print(name, family, shot, _short(found), flush=True)
                _collect(options.out)


def _collect(out: Path) -> None:
    """One file of all that has been measured so far."""
    rows = [json.loads(f.read_text()) for f in sorted(out.glob("*_[0-9].json"))]
    steps = json.loads((out / "steps.json").read_text())
    about = {"hardware": hardware(), "commit": commit(), "seconds": SECONDS, "steps": steps}
    write_text(out / "result.json", json.dumps({**about, "rows": rows}, indent=1) + "\n")


def _baselines() -> dict[str, Learner]:
    as_is = medshot.encoder("as-is", channels=1)
    fine = medshot.encoder("filters", channels=1, scaling="unit", scales=(0.5, 1.0, 2.0, 4.0))
    torch.manual_seed(0)
    small = medshot.encoder("dncnn", channels=1, width=16, depth=5)
    return {
        "identity": medshot.build("identity", encoder=as_is),
        "non-local means": medshot.build("non-local-means", encoder=as_is),
        "learned filters": medshot.build("residual-ridge", encoder=fine),
        "DnCNN from scratch": medshot.build("finetune", encoder=small, lr=0.001, steps=100),
    }


def _meta_trained(out: Path) -> dict[str, Learner]:
    sets = [clean_images(data_root() / name, most=150) for name in TAUGHT]
    source = DegradedEpisodes(sets, shot=4, query=4, size=CROP)
    found: dict[str, Learner] = {}
    noted = out / "steps.json"
    steps = json.loads(noted.read_text()) if noted.exists() else {}
    for name, options in (("residual-ridge", {}), ("maml++", MAML)):
        torch.manual_seed(0)
        encoder = medshot.encoder("dncnn", channels=1, size=CROP, width=24, depth=6)
        learner = medshot.build(name, encoder=encoder, **options)
        kept = out / f"{name}.safetensors"
        if kept.exists():
            learner.load_state_dict(load_file(kept))
        else:
            steps[name] = _trained(learner, source, kept)
            write_text(noted, json.dumps(steps) + "\n")
        found[f"{name}, meta-trained"] = learner.eval()
    return found


def _trained(learner: Learner, source: DegradedEpisodes, kept: Path) -> int:
    """Meta-train for `SECONDS` of CPU time, the rate going down to 0; returns the steps."""
    optimizer = torch.optim.Adam(learner.train().parameters(), lr=1e-3)
    started, step, mean = time.process_time(), 0, 0.0
    while (gone := (time.process_time() - started) / SECONDS) < 1:
        optimizer.param_groups[0]["lr"] = 1e-3 * (1 - gone)
        learner.begin_step(step)
        optimizer.zero_grad()
        loss = learner.meta_loss(source.episode(step))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(learner.parameters(), 1.0)
        optimizer.step()
        mean += (loss.item() - mean) / min(step + 1, 100)
        if step % 100 == 0:
            print(kept.stem, step, round(mean, 4), flush=True)
        step += 1
    kept.parent.mkdir(parents=True, exist_ok=True)
    save_file(learner.state_dict(), kept)
    return step


def _summary(found: dict[str, EpisodeScores]) -> dict[str, Any]:
    """PSNR and SSIM of each, and its paired difference in dB to doing nothing."""
    metric = "PSNR (dB)"
    nothing = found["identity"].scores[metric]
    return {
        name: {
            **{m: vars(result.interval(m)) for m in result.scores},
            "by episode": result.scores[metric].tolist(),
            "minus identity": vars(paired(result.scores[metric], nothing)),
        }
        for name, result in found.items()
    }


def _short(found: dict[str, EpisodeScores]) -> dict[str, float]:
    return {name: round(float(r.scores["PSNR (dB)"].mean()), 2) for name, r in found.items()}


def table(found: dict[str, Any]) -> str:
    """PSNR and SSIM of doing nothing, gains and SSIM of the others: a row a set, family, shot."""
    first, *others = found["rows"][0]["methods"]
    rows = []
    for row in found["rows"]:
        methods = row["methods"]
        psnr, ssim = (methods[first][m]["mean"] for m in ("PSNR (dB)", "SSIM"))
        cells = [f"`{row['set']}`", row["family"], row["shot"], f"{psnr:.1f} / {ssim:.2f}"]
        rows.append([*cells, *(_gain(methods[name]) for name in others)])
    head = ["set", "what is wrong (simulated)", "pairs", first, *others]
    steps = ", ".join(f"{name} {n}" for name, n in found["steps"].items())
    about = f"Meta-training: {found['seconds']} CPU seconds each (steps: {steps}). {made_on(found)}"
    return f"{markdown(head, rows)}\n{about}\n"


def _gain(found: dict[str, Any]) -> str:
    gain, ssim = found["minus identity"], found["SSIM"]["mean"]
    return f"{gain['mean']:+.1f} [{gain['low']:+.1f}, {gain['high']:+.1f}] / {ssim:.2f}"


if __name__ == "__main__":
    main()
