"""Phantoms: endless few-shot tasks of medical-looking pictures, drawn from a seed."""

from medshot.data.phantoms.episodes import PhantomEpisodes as PhantomEpisodes
from medshot.data.phantoms.episodes import phantom_dataset as phantom_dataset
from medshot.data.phantoms.findings import FINDINGS as FINDINGS
from medshot.data.phantoms.modality import MODALITIES as MODALITIES
from medshot.data.phantoms.scenes import FAMILIES as FAMILIES
from medshot.data.phantoms.scenes import PhantomMasks as PhantomMasks
from medshot.data.phantoms.scenes import PhantomVolumes as PhantomVolumes
from medshot.data.phantoms.scenes import SceneTask as SceneTask
from medshot.data.phantoms.scenes import VolumeTask as VolumeTask
from medshot.data.phantoms.task import PhantomTask as PhantomTask
