"""The result of experiments/enhancement.py as a table in docs/results.md, and kept beside it.

    python experiments/enhancement_tables.py [--from runs/enhancement] [--to docs]

Without --from, the table is made again from the result that is kept.
"""

from typing import Any

from pages import fill, kept_result, made_on


def main() -> None:
    found, docs = kept_result(__doc__, "enhancement")
    steps = ", ".join(f"{name} {n}" for name, n in found["steps"].items())
    about = f"Meta-training: {found['seconds']} CPU seconds each (steps: {steps}). {made_on(found)}"
    fill(docs / "results.md", "enhancement", f"{table(found['rows'])}\n{about}\n")


def table(rows: list[dict[str, Any]]) -> str:
    """PSNR and SSIM of doing nothing, gains and SSIM of the others: a row a set, family, shot."""
    first, *others = rows[0]["methods"]
    head = ["set", "what is wrong (simulated)", "pairs", first, *others]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for row in rows:
        found = row["methods"]
        psnr, ssim = (found[first][m]["mean"] for m in ("PSNR (dB)", "SSIM"))
        cells = [f"`{row['set']}`", row["family"], str(row["shot"]), f"{psnr:.1f} / {ssim:.2f}"]
        lines.append(f"| {' | '.join([*cells, *(_gain(found[n]) for n in others)])} |")
    return "\n".join(lines) + "\n"


def _gain(found: dict[str, Any]) -> str:
    gain, ssim = found["minus identity"], found["SSIM"]["mean"]
    return f"{gain['mean']:+.1f} [{gain['low']:+.1f}, {gain['high']:+.1f}] / {ssim:.2f}"


if __name__ == "__main__":
    main()
