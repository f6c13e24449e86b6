"""Scenes: endless synthetic segmentation tasks with exact masks."""

from medshot.phantoms.masks.families import FAMILIES as FAMILIES
from medshot.phantoms.masks.scene import Scenes as Scenes
from medshot.phantoms.masks.task import PhantomMasks as PhantomMasks
from medshot.phantoms.masks.task import PhantomVolumes as PhantomVolumes
from medshot.phantoms.masks.task import SceneTask as SceneTask
from medshot.phantoms.masks.task import VolumeTask as VolumeTask
