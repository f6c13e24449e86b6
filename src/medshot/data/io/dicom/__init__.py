"""DICOM: images, series, segmentations and reports (pydicom, highdicom)."""
