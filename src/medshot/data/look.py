"""What can be said of one image without knowing what is on it."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from medshot.data.formats.kind import DICOM, is_dicom
from medshot.data.read import SUFFIXES, decode

KINDS = {b"\x89PNG": ".png", b"\xff\xd8\xff": ".jpg", b"II*\x00": ".tif", b"MM\x00*": ".tif"}
SAME = {".jpeg": ".jpg", ".tiff": ".tif"}


@dataclass(frozen=True)
class Look:
    """Form of an image: what a learner could go by instead of what is on it."""

    height: int
    width: int
    bits: int  # a value
    colour: bool  # really: three equal channels are grey
    kind: str  # by its content: .png, .jpg, .tif, .dcm
    digest: str  # of its pixels

    def named(self, path: Path) -> bool:
        """Whether `path` has the suffix of this kind."""
        suffix = path.suffix.lower()
        if self.kind == DICOM and suffix not in SUFFIXES:  # DICOM files are often called 1.2.840.1
            return True
        return SAME.get(suffix, suffix) == self.kind


def look(path: Path) -> Look:
    """Open `path`. Raises `DataError` where it cannot be used."""
    pixels = decode(path)
    height, width, channels = pixels.shape
    colour = channels == 3 and bool((pixels != pixels[:, :, :1]).any())
    seen = pixels if colour else pixels[:, :, :1]
    with path.open("rb") as file:
        start = file.read(4)
    kinds = [kind for mark, kind in KINDS.items() if start.startswith(mark)]
    kinds = [DICOM] if is_dicom(path) else kinds
    form = f"{seen.shape} {pixels.dtype}".encode()
    return Look(
        height,
        width,
        1 if pixels.dtype == bool else 8 * pixels.dtype.itemsize,
        colour,
        kinds[0] if kinds else path.suffix.lower(),
        hashlib.sha256(form + np.ascontiguousarray(seen).tobytes()).hexdigest(),
    )
