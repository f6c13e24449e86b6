"""Phantoms: endless few-shot tasks of medical-looking pictures, drawn from a seed."""

from medshot.data.phantoms.findings import FINDINGS
from medshot.data.phantoms.modality import MODALITIES
from medshot.data.phantoms.task import PhantomTask

__all__ = ["FINDINGS", "MODALITIES", "PhantomTask"]
