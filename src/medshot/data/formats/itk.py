"""NRRD and MetaImage, .nrrd, .nhdr, .mha and .mhd, by SimpleITK."""

from pathlib import Path

import numpy as np
import SimpleITK
from jaxtyping import Float64
from numpy import ndarray

from medshot.core.errors import DataError
from medshot.data.finding import refusal
from medshot.data.formats.itk_header import check_header
from medshot.data.formats.volume import Volume, check_size, volume

READERS = {
    ".nrrd": "NrrdImageIO",
    ".nhdr": "NrrdImageIO",
    ".mha": "MetaImageIO",
    ".mhd": "MetaImageIO",
}
LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def read_itk(path: Path) -> Volume:
    """The volume in `path`. The header is judged before any voxel is read.

    Raises:
        DataError: damaged, of another format, not one grey volume, too large, not known where it
            lies, or with its voxels in a file elsewhere.
    """
    try:
        check_header(path)
        reader = SimpleITK.ImageFileReader()
        reader.SetImageIO(READERS[path.suffix.lower()])
        reader.SetFileName(str(path))
        reader.ReadImageInformation()
        size, components = reader.GetSize(), reader.GetNumberOfComponents()
        shape = (*size, components) if components > 1 else size
        check_size(tuple(map(int, shape)), 8, path)
        image = reader.Execute()
    except DataError:
        raise
    except Exception as error:  # ITK's own words are of its source files
        what = "it is damaged, truncated, or not what its header says"
        raise refusal(path, what, "Copy or export it again.").error() from error
    values = SimpleITK.GetArrayFromImage(image).transpose(2, 1, 0)  # i, j, k
    values = values.astype(np.float32) if values.dtype.kind == "f" else values
    return volume(values, _affine(image), path)


def _affine(image: SimpleITK.Image) -> Float64[ndarray, "4 4"]:
    """Index (i, j, k, 1) to mm in RAS; ITK's own is LPS."""
    affine = np.eye(4)
    affine[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    affine[:3, 3] = image.GetOrigin()
    return LPS_TO_RAS @ affine
