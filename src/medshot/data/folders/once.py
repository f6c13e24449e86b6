"""Images that a folder holds twice: they would be in both support and query."""

from collections.abc import Sequence

from medshot.data.folders.about import digest
from medshot.data.table import Row

SAID = 3  # images that are there twice, by name


def once(rows: Sequence[Row]) -> tuple[list[int], list[str], tuple[str, ...]]:
    """Where the images are that are not there already, their contents, and what was left out.

    One image with two masks (of two readers, say) or targets is one image: the first is kept.
    """
    first: dict[str, tuple[int, str]] = {}
    twice = []
    for i, row in enumerate(rows):
        beside = row.mask or row.clean
        image, mask = digest(row.path), digest(beside) if beside else ""
        other, same = first.setdefault(image, (i, mask))
        if other != i:
            but = "" if mask == same else f", with another {'mask' if row.mask else 'target'}"
            twice.append(f"{row.path.name} is the same image as {rows[other].path.name}{but}")
    kept, masks = zip(*first.values(), strict=True)
    digests = [image + mask for image, mask in zip(first, masks, strict=True)]
    if not twice:
        return list(kept), digests, ()
    more = f"; and {len(twice) - SAID} others" if len(twice) > SAID else ""
    return list(kept), digests, (f"{'; '.join(twice[:SAID])}{more}: left out.",)
