"""Layouts and annotation formats of other tools, read as the rows that our readers take."""
