"""Families of scenes: layouts of tissues, and what can be labeled in them."""

from medshot.phantoms.masks.families.base import Family as Family
from medshot.phantoms.masks.families.base import Regions
from medshot.phantoms.masks.families.cells import Cells
from medshot.phantoms.masks.families.lesions import Lesions
from medshot.phantoms.masks.families.membranes import Membranes
from medshot.phantoms.masks.families.organs import Organs
from medshot.phantoms.masks.families.smears import Smears
from medshot.phantoms.masks.families.vessels import Vessels

KINDS: dict[str, type[Family]] = {
    "cells": Cells,
    "lesions": Lesions,
    "membranes": Membranes,
    "organs": Organs,
    "regions": Regions,
    "smears": Smears,
    "vessels": Vessels,
}
FAMILIES = tuple(KINDS)
