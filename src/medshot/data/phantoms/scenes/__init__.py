"""Scenes: endless segmentation tasks of medical-looking images, with exact masks."""

from medshot.data.phantoms.scenes.episodes import PhantomMasks as PhantomMasks
from medshot.data.phantoms.scenes.families import FAMILIES as FAMILIES
from medshot.data.phantoms.scenes.scene import Scenes as Scenes
from medshot.data.phantoms.scenes.task import SceneTask as SceneTask
from medshot.data.phantoms.scenes.task import VolumeTask as VolumeTask
from medshot.data.phantoms.scenes.volumes import PhantomVolumes as PhantomVolumes
