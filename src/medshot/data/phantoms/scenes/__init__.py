"""Scenes: endless segmentation tasks of medical-looking images, with exact masks."""

from medshot.data.phantoms.scenes.episodes import PhantomMasks as PhantomMasks
from medshot.data.phantoms.scenes.plan import FAMILIES as FAMILIES
from medshot.data.phantoms.scenes.task import SceneTask as SceneTask
