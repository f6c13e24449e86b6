"""The result of experiments/adapters.py as tables in docs/stages/finetune.md, kept beside it.

    python experiments/adapters_tables.py [--from runs/adapters] [--to docs]

Without --from, the tables are made again from the result that is kept.
"""

from typing import Any

import numpy as np

from pages import fill, kept_result, made_on, percent

SHOWN = {
    "frozen": "the learner, encoder as it is",
    "moved": "the learner on the moved encoder",
    "both": "the mean of both",
    "auto": "**`auto`**: both where images left out say so",
}


def main() -> None:
    found, docs = kept_result(__doc__, "adapters")
    over = {shot: one for shot, one in found["over sets"].items() if one}
    text = f"{_differences(over)}\n{_by_set(found['sets'])}\n{_about(found, over)}\n"
    fill(docs / "stages" / "finetune.md", "adapters", text)


def _differences(over: dict[str, Any]) -> str:
    """What each answer adds to the bar and to the frozen encoder, over all sets."""
    against = [(shot, less) for shot in over for less in ("bar", "frozen")]
    head = " | ".join(f"{shot} shots, less the {less}" for shot, less in against)
    lines = [f"| answer | {head} |", "|---" * (len(against) + 1) + "|"]
    for name, words in SHOWN.items():
        cells = [percent(over[shot][f"{name} - {less}"], "+") for shot, less in against]
        lines.append(f"| {words} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _by_set(sets: list[dict[str, Any]]) -> str:
    """Each set: the bar, what the others add to it, and how often `auto` kept what had moved."""
    lines = ["| set | shots | bar | frozen | both | `auto` | kept |", "|---" * 7 + "|"]
    for one in sorted((s for s in sets if s["episodes"]), key=lambda s: (s["set"], s["shot"])):
        rows = one["episodes"]
        bar, *others = (
            100 * np.mean([r[n] for r in rows]) for n in ("bar", "frozen", "both", "auto")
        )
        more = " | ".join(f"{value - bar:+.1f}" for value in others)
        kept = f"{sum(r['kept'] for r in rows)} of {len(rows)}"
        name = one["set"].removeprefix("cls_")
        lines.append(f"| `{name}` | {one['shot']} | {bar:.1f} | {more} | {kept} |")
    return "\n".join(lines) + "\n"


def _about(found: dict[str, Any], over: dict[str, Any]) -> str:
    parts = [
        f"{shot} shots: {one['sets']} sets, {one['episodes']} episodes, the bar at "
        f"{100 * one['bar']:.1f}, kept in {100 * one['kept']:.0f} %, CPU seconds "
        f"{one['seconds, frozen']:.1f} for the learner, {one['seconds, verdict']:.1f} to judge and "
        f"{one['seconds, both']:.1f} to move."
        for shot, one in over.items()
    ]
    return f"{' '.join(parts)} Learner `{found['learner']}`. {made_on(found)}"


if __name__ == "__main__":
    main()
