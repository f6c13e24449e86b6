"""From what was typed (a name, a run's folder, `--set` options) to a learner."""

import inspect
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from shlex import join
from typing import Any

from medshot.core import (
    ConfigError,
    Learner,
    SaveError,
    called,
    described,
    options_of,
    recipe,
    unknown,
)
from medshot.data.readers.registry import USUAL
from medshot.factory import OF, checked, chosen_encoder, impossible
from medshot.learners.registry import build, learners, lookup, missing
from medshot.nn.encoder import Encoder
from medshot.nn.encoders.identity import Pixels
from medshot.nn.encoders.mobilenet import MobileNet
from medshot.nn.encoders.module import AnyNetwork
from medshot.presenters import kind_called
from medshot.selection import Auto
from medshot.stages.finetune.learner import Tuned
from medshot.stages.fuse.learner import EnsembleOf
from medshot.training.run import is_run, load_run

WORDS = {"None": None, "True": True, "False": False}  # as `learners --options` says


def named_learner(name: str, encoder: str, given: Sequence[str], **form: Any) -> Learner:
    """The learner called `name` on the encoder called `encoder`, with `--set` options.

    `form` (channels, size, scaling) is what a protocol asks of the encoder; `--set encoder.x=y`
    goes to the encoder, `--set x=y` to the learner.
    """
    cls, options = lookup(name), parse_options(given)
    of_encoder = {k.removeprefix(OF): v for k, v in options.items() if k.startswith(OF)}
    of_learner = {k: v for k, v in options.items() if not k.startswith(OF)}
    of_learner = checked(of_learner, cls, f"option of {name!r}")
    module = chosen_encoder(encoder, of_encoder, form)
    try:
        return build(name, encoder=module, **of_learner)
    except (TypeError, ValueError, RuntimeError) as error:
        raise impossible(error, name) from error


def named_encoder(name: str, given: Sequence[str], **form: Any) -> Encoder:
    """The encoder that `name` means, with `--set encoder.x=y` options."""
    options = parse_options(given)
    if others := [option for option in options if not option.startswith(OF)]:
        raise ConfigError(f"--set {others[0]}: only encoder.NAME=VALUE means anything here.")
    return chosen_encoder(name, {k.removeprefix(OF): v for k, v in options.items()}, form)


def run_or_learner(
    given: str,
    encoder: str | None,
    options: Sequence[str],
    kind: str = USUAL,
    **form: Any,
) -> Learner:
    """The meta-trained learner of a run's folder, or a named one, for tasks of `kind`."""
    if is_run(given):
        if options or encoder:
            raise ConfigError("A run has its encoder and options: leave --encoder and --set out.")
        return kind_called(kind).from_run(load_run(given).learner)
    if given in learners() or given.replace("-", "_") in missing():
        usual = lookup(given).usual_encoder or kind_called(kind).encoder
        return named_learner(given, encoder or usual, options, **form)
    if Path(given).exists():
        raise ConfigError(
            f"{given} is neither a learner (`medshot learners` lists them) nor a run's folder, as "
            "`medshot train` makes it."
        )
    raise unknown(given, learners(), kind="learner, and no folder of a run or of a saved model,")


def automatic(
    encoder: str | None = None,
    options: Sequence[str] = (),
    kind: str = USUAL,
    *,
    slow: bool = False,
) -> Auto:
    """What `--learner auto` chooses from, for tasks of `kind`: on `encoder`, if one is named.

    Candidates that take minutes are among them with `slow`.
    """
    usual = kind_called(kind).candidates(slow=slow)
    given = parse_options(options)
    of_encoder = {k.removeprefix(OF): v for k, v in given.items() if k.startswith(OF)}
    if len(of_encoder) < len(given) or (of_encoder and not encoder):
        raise ConfigError(
            "auto chooses the learner and its options: leave --set out, or name a learner, "
            "--learner linear-probe for one. (--set encoder.NAME=VALUE goes with --encoder.)"
        )
    return _on(chosen_encoder(encoder, of_encoder, {}), usual) if encoder else usual


def _on(encoder: Encoder, usual: Auto) -> Auto:
    """The candidates of `usual`, each once, on another encoder."""
    made: dict[str, Learner] = {}
    for candidate in usual.candidates:
        known = recipe(candidate)
        options = {name: v for name, v in known["options"].items() if name != "encoder"}
        name = known["part"].partition("/")[2]
        made.setdefault(json.dumps([name, options]), build(name, encoder=encoder, **options))
    return Auto(list(made.values()), folds=usual.folds, average=usual.average).eval()


def training_data_of(given: str, learner: Learner) -> Sequence[Mapping[str, Any]]:
    """What a learner, `given` as it was typed, has learned from before: data sets and classes."""
    return load_run(given).about["seen"] if is_run(given) else getattr(learner.encoder, "seen", ())


def ended_early(given: str) -> str:
    """A sentence, where a learner, `given` as it was typed, is a run that ended early; else ""."""
    return load_run(given).unfinished if is_run(given) else ""


def refuse_transductive(learner: Learner) -> None:
    """Raise `SaveError` if what `learner` learns could not be saved: before the work, not after."""
    if learner.transductive:
        raise SaveError(
            f"{called(learner)} is transductive: it answers all images together, so what it learns "
            "cannot be saved, as one image alone would get another answer. Take another learner "
            "(`medshot learners`); `medshot evaluate` can measure this one."
        )
    if getattr(learner.encoder, "transductive", False):
        raise SaveError(
            "This encoder normalises each image by the others of its batch, so what it learns "
            "cannot be saved: one image alone would get another answer. Train again with --set "
            "encoder.norm=group; `medshot evaluate` can measure it as it is."
        )


def describe(learner: Learner) -> str:
    """A learner in a few words, for tables: its name and its encoder's, as one types them."""
    if isinstance(learner, Auto):
        return called(learner)
    if isinstance(learner, Tuned):
        how = "fine-tuned where that helps" if learner.what == "auto" else f"then {learner.what}"
        return f"{describe(learner.learner)}, {how}"
    if isinstance(learner, EnsembleOf):
        return f"mean of {' and '.join(describe(each) for each in learner.each())}"
    if special := _known_by_another_name(learner):
        return special
    how = learner.origin.partition(" ")[0]
    trained = {"untrained": "", "meta-trained": " (meta-trained)"}.get(how, " (pretrained)")
    if isinstance(encoder := learner.encoder, AnyNetwork):
        return f"{called(learner)} on {type(encoder.net).__name__}"
    return f"{called(learner)} on {called(encoder)}{trained}"


def as_typed(learner: Learner) -> str:
    """The options of `medshot adapt` that make a learner; empty for one that they cannot make."""
    encoder = learner.encoder
    made_of_others = isinstance(learner, Auto | EnsembleOf | Tuned | AnyNetwork)
    if made_of_others or learner.origin.startswith("meta-trained"):
        return ""
    words = ["--learner", called(learner), "--encoder", called(encoder)]
    for prefix, made in ((OF, encoder), ("", learner)):
        usual = {name: p.default for name, p in options_of(type(made)).items()}
        for name, value in described(made)["options"].items():
            default = usual.get(name)
            default = list(default) if isinstance(default, tuple) else default
            if name == "encoder" or value == default:
                continue
            if isinstance(value, dict):
                return ""
            words += ["--set", f"{prefix}{name}={json.dumps(value)}"]
    return join(words)


def _known_by_another_name(learner: Learner) -> str:
    """The baselines of a report are called by what they are."""
    encoder, name = learner.encoder, called(learner)
    if name == "linear-probe" and isinstance(encoder, MobileNet) and encoder.packaged:
        return "ImageNet linear probe" if not encoder.depths else ""
    if isinstance(encoder, Pixels) and encoder.reduce == encoder.size:
        return f"{name} on mean color"
    return ""


def parse_options(given: Sequence[str]) -> dict[str, Any]:
    """`name=value` pairs; a value is read as JSON if it is, else as text."""
    options: dict[str, Any] = {}
    for pair in given:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise ConfigError(f"--set takes name=value, not {pair!r}.")
        try:
            options[name.replace("-", "_")] = json.loads(value)
        except ValueError:
            options[name.replace("-", "_")] = WORDS.get(value, value)
    return options


def options_text(cls: type[Learner]) -> str:
    """The options of a learner with their defaults, as one would type them."""
    shown = [p for name, p in options_of(cls).items() if name != "encoder"]
    optional = [p for p in shown if p.default is not inspect.Parameter.empty]
    return " ".join(f"{p.name}={p.default}" for p in optional)
