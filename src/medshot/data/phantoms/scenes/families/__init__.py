"""The families of scenes: what lies where, and what of it can be marked."""

from medshot.data.phantoms.scenes.families.cells import Cells
from medshot.data.phantoms.scenes.families.family import Family as Family
from medshot.data.phantoms.scenes.families.lesions import Lesions
from medshot.data.phantoms.scenes.families.membranes import Membranes
from medshot.data.phantoms.scenes.families.organs import Organs
from medshot.data.phantoms.scenes.families.regions import Regions
from medshot.data.phantoms.scenes.families.smears import Smears
from medshot.data.phantoms.scenes.families.vessels import Vessels

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
