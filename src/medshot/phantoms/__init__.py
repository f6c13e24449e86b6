"""Phantoms: endless synthetic few-shot tasks of medical-looking images, drawn from a seed."""

from medshot.phantoms.labels.findings import FINDINGS as FINDINGS
from medshot.phantoms.labels.modalities import MODALITIES as MODALITIES
from medshot.phantoms.labels.task import PhantomEpisodes as PhantomEpisodes
from medshot.phantoms.labels.task import PhantomTask as PhantomTask
from medshot.phantoms.labels.task import phantom_dataset as phantom_dataset
from medshot.phantoms.masks import FAMILIES as FAMILIES
from medshot.phantoms.masks import PhantomMasks as PhantomMasks
from medshot.phantoms.masks import PhantomVolumes as PhantomVolumes
from medshot.phantoms.masks import SceneTask as SceneTask
from medshot.phantoms.masks import VolumeTask as VolumeTask
