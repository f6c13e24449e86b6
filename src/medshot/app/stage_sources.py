"""Where the methods of stages are from, by what a card says that was done."""

from collections.abc import Iterator, Mapping
from typing import Any

STAGES = {
    "distil": "Hinton et al. 2015, arXiv:1503.02531; Beyer et al. 2022, arXiv:2106.05237",
    "prune": "Sun et al. 2023, arXiv:2306.11695; Fang et al. 2023, arXiv:2301.12900",
    "quantise": "Jacob et al. 2018, arXiv:1712.05877",
    "select": "Tsamardinos et al. 2018; Bergstra et al. 2011; Pfisterer et al. 2021, "
    "arXiv:1811.09409",
}
WAYS = {  # of hardening, and of fusing
    "fgsm": "Goodfellow et al. 2015, arXiv:1412.6572; Wong et al. 2020, arXiv:2001.03994",
    "pgd": "Madry et al. 2018, arXiv:1706.06083",
    "weighted": "Breiman 1996",
    "stack": "Wolpert 1992",
    "soup": "Wortsman et al. 2022, arXiv:2203.05482",
    "greedy-soup": "Wortsman et al. 2022, arXiv:2203.05482",
    "snapshots": "Huang et al. 2017, arXiv:1704.00109",
}


def sources_of(stage: Mapping[str, Any]) -> Iterator[str]:
    """The papers of one stage of a card; of fine-tuning, the card says it itself."""
    yield str(stage.get("source", ""))
    yield STAGES.get(str(stage["stage"]), "")
    yield WAYS.get(str(stage.get("attack") or stage.get("how")), "")
