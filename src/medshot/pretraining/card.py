"""The README of a saved encoder: what it learnt from, and what to mind."""

from typing import Any

from medshot.core.model_card import RESEARCH_ONLY


def encoder_card(table: dict[str, Any]) -> str:
    """The README of a saved encoder, in Markdown."""
    about = table["about"]
    sets = [
        f"| {d['name']} | {d['count']} | {d['patients']} | {d['licence']} |"
        for d in about.get("data", [])
    ]
    rows = "\n".join(["| data | images | patients | licence |", "|---|---|---|---|", *sets])
    return f"""# A medshot encoder: {table["encoder"]["part"].partition("/")[2]}

{RESEARCH_ONLY}

Weights: {about.get("origin", "untrained")}.

{rows if sets else "The data are not recorded."}

What an encoder learns on is no longer new to it: judge on other data.

    medshot adapt MY_IMAGES --encoder THIS_FOLDER --out MODEL

Made on {table["created"]} with {", ".join(f"{k} {v}" for k, v in table["versions"].items())}.
"""
