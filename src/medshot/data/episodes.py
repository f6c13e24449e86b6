"""The episodes of a data set, whatever its targets are."""

from medshot.data.dataset import Dataset
from medshot.data.sample import EpisodeSampler
from medshot.data.sample_masks import MaskEpisodes
from medshot.data.segmented import Segmented


def episodes_of(
    dataset: Dataset, *, way: int, shot: int, query: int, seed: int = 0
) -> EpisodeSampler | MaskEpisodes:
    """`shot` and `query` images for each of `way` classes; with masks, so many images in all."""
    if isinstance(dataset, Segmented):
        return MaskEpisodes(dataset, shot=shot, query=query, seed=seed)
    return EpisodeSampler(dataset, way=way, shot=shot, query=query, seed=seed)
