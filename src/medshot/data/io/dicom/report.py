"""Write the volumes of a mask as a DICOM structured report (TID 1500), by highdicom."""

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np
from highdicom import sr
from jaxtyping import Integer
from numpy import ndarray
from pydicom import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code
from pydicom.uid import generate_uid

from medshot.core import mask_numbers
from medshot.core.atomic import replacing
from medshot.data.io.dicom.seg import OURS, broken, reference_headers
from medshot.data.io.volume import Volume

PROCEDURE = Code("363679005", "SCT", "Imaging procedure")


def write_report(
    mask: Integer[ndarray, "z h w"], like: Volume, path: Path, labels: Sequence[str], patient: bool
) -> None:
    """Write the volume of each class; `mask` holds indices of `labels`, 0 is not reported."""
    sources = reference_headers(like.source, patient)
    voxel = float(np.prod(like.spacing))
    counts = np.bincount(mask.ravel(), minlength=len(labels))
    try:
        named = enumerate(zip(mask_numbers(labels), labels, strict=True))
        groups = [
            _group(n, label, float(counts[i]) * voxel, sources) for i, (n, label) in named if i
        ]
        made = _report(groups, sources)
    except (TypeError, ValueError, AttributeError) as error:  # its words may quote the header
        raise broken(like.source, error) from None
    with replacing(path) as temporary:
        made.save_as(temporary)


def _group(
    number: int, label: str, volume: float, sources: Sequence[Dataset]
) -> sr.MeasurementsAndQualitativeEvaluations:
    return sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(generate_uid(prefix=None), label[:64]),
        finding_type=sr.CodedConcept(str(number), OURS, label[:64]),
        algorithm_id=sr.AlgorithmIdentification("medshot", version("medshot")),
        measurements=[
            sr.Measurement(codes.SCT.Volume, value=volume, unit=codes.UCUM.CubicMillimeter)
        ],
        source_images=[sr.SourceImageForMeasurementGroup.from_source_image(s) for s in sources],
    )


def _report(
    groups: Sequence[sr.MeasurementsAndQualitativeEvaluations], sources: Sequence[Dataset]
) -> sr.Comprehensive3DSR:
    device = sr.DeviceObserverIdentifyingAttributes(generate_uid(prefix=None), name="medshot")
    context = sr.ObservationContext(
        observer_device_context=sr.ObserverContext(codes.DCM.Device, device)
    )
    content = sr.MeasurementReport(context, PROCEDURE, imaging_measurements=groups)
    return sr.Comprehensive3DSR(
        evidence=sources,
        content=content,
        series_instance_uid=generate_uid(prefix=None),
        series_number=1,
        sop_instance_uid=generate_uid(prefix=None),
        instance_number=1,
        manufacturer="medshot",
    )
