"""Attacks by their names."""

from typing import Any

from medshot.core.errors import unknown
from medshot.robust.attack import Attack
from medshot.robust.budget import Budget
from medshot.robust.fgsm import FGSM
from medshot.robust.pgd import PGD
from medshot.robust.square import Square

ATTACKS: dict[str, type[Attack]] = {kind.name: kind for kind in (FGSM, PGD, Square)}


def attack_called(name: str, budget: Budget, **options: Any) -> Attack:
    """The attack of that name.

    Raises:
        ConfigError: there is none.
    """
    if name not in ATTACKS:
        raise unknown(name, ATTACKS, kind="attack")
    return ATTACKS[name](budget, **options)
