"""File formats of images and volumes: one file a library that reads them."""
