"""From files to episodes: read, manifest, dataset, split, sample, sources, phantoms."""

from medshot.data.dataset import Dataset as Dataset
from medshot.data.episodes import EpisodeSampler as EpisodeSampler
from medshot.data.load import load as load
from medshot.data.transforms import ImagePreprocessing as ImagePreprocessing
