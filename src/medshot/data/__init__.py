"""From files to episodes: read, manifest, dataset, split, sample, sources, phantoms."""

from medshot.data.dataset import Dataset as Dataset
from medshot.data.load import load as load
from medshot.data.preprocess import ImagePreprocessing as ImagePreprocessing
from medshot.data.sample import EpisodeSampler as EpisodeSampler
