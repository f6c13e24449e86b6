"""Which kinds of data to learn from, as somebody typed them."""

from medshot.core.errors import ConfigError
from medshot.data.dataset import Dataset
from medshot.data.multimodal import Multimodal


def keeping(dataset: Dataset, wanted: str | None) -> Dataset:
    """Only the kinds in `wanted`, "image,text"; all of them where nothing is wanted.

    Raises:
        ConfigError: the data have no such kind, or one kind only.
    """
    if wanted is None:
        return dataset
    if not isinstance(dataset, Multimodal):
        raise ConfigError(
            f"--modalities chooses among several kinds of data, and {dataset.name} has images "
            "alone. Add a column text, signal or table.NAME to labels.csv, or leave it out."
        )
    return dataset.keeping([kind.strip() for kind in wanted.split(",")])
