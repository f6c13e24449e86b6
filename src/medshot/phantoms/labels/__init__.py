"""Phantoms with image labels: anatomy, findings and imaging modalities."""
