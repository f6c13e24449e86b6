"""Files to arrays and back: images, masks, signals, volumes, DICOM, slides."""
