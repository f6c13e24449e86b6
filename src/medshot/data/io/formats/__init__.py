"""File formats of images and volumes: one module for each library."""
