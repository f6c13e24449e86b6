"""What a trial leaves in the storage, as text: scores, seconds, why it ended, and the evidence."""

import base64
import io
from typing import TYPE_CHECKING, Any

import numpy as np

from medshot.select.bench import Evidence
from medshot.select.tried import Tried

if TYPE_CHECKING:
    from optuna.study import Study
    from optuna.trial import FrozenTrial

TRIED = "tried"


def written(tried: Tried) -> dict[str, Any]:
    """`tried` in the terms of JSON."""
    evidence = None if tried.evidence is None else _text(tried.evidence)
    return {"scores": tried.scores, "why": tried.why, "evidence": evidence}


def read(trial: "FrozenTrial") -> Tried:
    """What `written` wrote."""
    found = trial.user_attrs[TRIED]
    evidence = None if found["evidence"] is None else _rows(found["evidence"])
    return Tried(found["scores"], trial.user_attrs["seconds"], found["why"], evidence)


def rows_of(study: "Study") -> list["FrozenTrial"]:
    """The trials that were run, whoever ran them."""
    return [trial for trial in study.get_trials(deepcopy=False) if TRIED in trial.user_attrs]


def _text(evidence: Evidence) -> str:
    with io.BytesIO() as file:
        np.savez_compressed(file, *evidence)
        return base64.b64encode(file.getvalue()).decode("ascii")


def _rows(text: str) -> Evidence:
    with np.load(io.BytesIO(base64.b64decode(text))) as found:
        return tuple(found[name] for name in found.files)
