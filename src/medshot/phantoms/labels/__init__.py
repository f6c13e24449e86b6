"""Phantoms with a label an image: anatomy, findings and imaging modalities."""
