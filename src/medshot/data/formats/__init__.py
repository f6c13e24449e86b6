"""The formats of a hospital, each read by the field's own library, behind one door.

door      read_volume, read_mask_volume: any volume format in, one kind of `Volume` out
volume    what they give; `grid` says how its voxels lie in the file and in the patient
nifti     .nii, .nii.gz (nibabel), in and out
itk       .nrrd, .nhdr, .mha, .mhd (SimpleITK)
dicom_*   .dcm and folders of them (pydicom), and what is written for them (highdicom)
slide     whole-slide images by tiles (openslide)
"""
