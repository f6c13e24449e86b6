"""Body-like backgrounds: what a patient looks like before anything is found."""

from medshot.data.phantoms.anatomy.body import Body
from medshot.data.phantoms.anatomy.projections import chest, layers
from medshot.data.phantoms.anatomy.slices import head, torso
from medshot.data.phantoms.anatomy.surfaces import section, skin

__all__ = ["Body", "chest", "head", "layers", "section", "skin", "torso"]
