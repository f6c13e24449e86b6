"""A report tells the volume of each class of the series, read back by highdicom, and no name."""

from pathlib import Path

import highdicom
import numpy as np
import pytest

from medshot.core.errors import DataError, SaveError
from medshot.data.io.read_volume import read_volume
from medshot.data.io.write import write_dicom_report
from toys.dicom import SECRETS, STUDY, noise, write_series

LABELS = ("background", "liver", "cyst")


def test_volumes_are_told_in_mm3(tmp_path: Path) -> None:
    write_series(tmp_path / "s", noise((3, 5, 4)))  # voxels of 2 x 0.5 x 0.5 mm
    image = read_volume(tmp_path / "s")
    mask = np.zeros((3, 5, 4), np.uint8)
    mask[1, 1:4, 2] = 1
    write_dicom_report(mask, image, tmp_path / "report.dcm", LABELS)
    report = highdicom.sr.srread(tmp_path / "report.dcm")
    groups = report.content.get_image_measurement_groups()
    told = {
        group.finding_type.meaning: [(m.value, m.unit.value) for m in group.get_measurements()]
        for group in groups
    }
    assert told == {"liver": [(3 * 0.5, "mm3")], "cyst": [(0.0, "mm3")]}
    assert report.StudyInstanceUID == STUDY
    (series,) = report.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence
    assert series.SeriesInstanceUID == "1.2.3"
    raw = (tmp_path / "report.dcm").read_bytes()
    assert not [secret for secret in SECRETS if secret.encode() in raw]


def test_what_is_not_written(tmp_path: Path) -> None:
    write_series(tmp_path / "s", noise((3, 5, 4)))
    image = read_volume(tmp_path / "s")
    mask = np.full((3, 5, 4), 2)
    with pytest.raises(DataError, match="class 2"):
        write_dicom_report(mask, image, tmp_path / "report.dcm", LABELS[:2])
    (tmp_path / "taken.dcm").write_bytes(b"x")
    with pytest.raises(SaveError, match="exists already"):
        write_dicom_report(mask, image, tmp_path / "taken.dcm", LABELS)
