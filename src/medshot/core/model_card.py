"""Model card: the README of a saved predictor."""

from typing import Any

from medshot.core.task import task_of

RESEARCH_ONLY = "Research use only. Not a medical device; not validated for any clinical decision."


def model_card(about: dict[str, Any]) -> str:
    """README of a saved predictor, in Markdown."""
    data = about["data"]
    counts = "\n".join(f"| {label} | {n} |" for label, n in data.get("images", {}).items())
    notes = data.get("licence", "not stated")
    return f"""# A medshot predictor: {" / ".join(about["labels"])}

{RESEARCH_ONLY}

{_provenance(about["learner"], data.get("name", ""), about["stages"])}
{_afterwards(about["stages"])}
| | images in the support |
|---|---|
{counts}

Patients: {data.get("patients", "not known")}. Hash of the data: `{data.get("hash", "")}`.
Licence of the data: {notes}

{task_of(**about["task"]).caution} For its scores on images like yours, see its report, if there is
one.

    medshot predict THIS_FOLDER IMAGES --out ANSWERS

Made on {about["created"]} with {", ".join(f"{k} {v}" for k, v in about["versions"].items())}.
"""


def _provenance(learner: dict[str, Any], data: str, stages: list[dict[str, Any]]) -> str:
    if not learner and stages and stages[0]["stage"] == "fuse":
        return f"Fused of several models, which learned from `{data}`."
    if not learner:
        return "How it was learned was not recorded."
    part, source, origin = learner["learner"]["part"], learner["source"], learner["origin"]
    return f"Learned by `{part}` ({source}) from `{data}`.\nEncoder weights: {origin}."


def _afterwards(stages: list[dict[str, Any]]) -> str:
    """One line per later stage."""
    lines = (
        ", ".join([str(stage["stage"]), *(f"{k} {v}" for k, v in stage.items() if k != "stage")])
        for stage in stages
    )
    return "".join(f"\n{i}. Then: {line}.\n" for i, line in enumerate(lines, 1))
