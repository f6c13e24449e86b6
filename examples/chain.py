"""Every stage, one after the other, and what each leaves of the score.

    python examples/chain.py --taught SKIN BRAIN --mine MY_IMAGES --others OTHERS --out chain

SKIN and BRAIN are folders of labelled images to learn from first; MY_IMAGES the few of the new
task; OTHERS images of the same classes and of other patients, to judge on. An encoder is
pretrained and meta-trained on the first; the learner adapts to MY_IMAGES; its predictor is
fine-tuned (LoRA), hardened (PGD), pruned, quantised and written as ONNX, and answers for one
image. Minutes.
"""

import argparse
from pathlib import Path

import torch

import medshot
from medshot.core.predictor import Predictor
from medshot.evaluation.cross_validation import answered
from medshot.stages.compress.cost import costs
from medshot.stages.robustness.evaluate import robustness
from medshot.stages.robustness.threat_model import ThreatModel

EPSILON = 4 / 255


def main() -> None:
    """Run the chain; a line a step."""
    given = _options()
    form = {"channels": 1, "size": 32}
    encoder = medshot.encoder("conv4", **form, width=32)
    taught = [medshot.load(folder, **form) for folder in given.taught]
    mine, others = (medshot.load(folder, **form) for folder in (given.mine, given.others))

    torch.manual_seed(0)
    pretrained = medshot.pretrain(encoder, taught, "reconstruct", steps=given.steps)
    learner = medshot.build("prototypical", encoder=pretrained)
    run = medshot.train(learner, taught, way=2, shot=3, query=2, steps=given.steps, device="cpu")

    made = {"adapted": run.learner.adapt(mine)}
    made["fine-tuned"] = medshot.finetune(made["adapted"], mine, "lora", learner=run.learner)
    made["hardened"] = medshot.harden(made["fine-tuned"], mine, epsilon=EPSILON, steps=given.steps)
    made["pruned"] = medshot.prune(made["hardened"], mine, 0.5, steps=given.steps)
    made["int8"] = medshot.quantize(made["pruned"], mine.examples())
    cost = costs(made)
    for name, predictor in made.items():
        score = answered(predictor, others).interval("balanced accuracy")
        said = f"{100 * score.mean:5.1f} [{100 * score.low:.1f}, {100 * score.high:.1f}] %"
        held = f"under attack {_attacked(predictor, others)}"
        size = f"{cost[name].megabytes:.3f} MB, {cost[name].milliseconds:.2f} ms"
        print(f"{name:11} balanced accuracy {said}, {held}, {size}")

    saved = made["int8"].save(given.out / "model")
    file = medshot.export_onnx(medshot.load_predictor(saved), given.out / "model.onnx")
    image = next(
        path for path in sorted(given.others.rglob("*")) if path.suffix in {".png", ".jpg"}
    )
    answer = medshot.load_predictor(saved).predict(image)
    print(f"{image.name}: {answer.label} ({answer.confidence:.2f}); for other machines: {file}")


def _attacked(predictor: Predictor, others: medshot.Dataset) -> str:
    """The balanced accuracy on images that PGD has changed; 8-bit numbers give no gradient."""
    if not predictor.differentiable:
        return "   -"
    found = robustness(predictor, others, [ThreatModel(EPSILON)], checks=False).attacked[0].answers
    return f"{100 * found.interval('balanced accuracy').mean:4.1f} %"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name, many in {"--taught": "+", "--mine": None, "--others": None, "--out": None}.items():
        parser.add_argument(name, type=Path, required=True, nargs=many)
    parser.add_argument("--steps", type=int, default=300, help="of each learning")
    return parser.parse_args()


if __name__ == "__main__":
    main()
