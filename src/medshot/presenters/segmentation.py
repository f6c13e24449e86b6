"""Segmentation of images and volumes: outlines in the report; `predict` writes masks."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Integer
from numpy import ndarray
from PIL import Image

from medshot.core import (
    Card,
    ConfigError,
    Learner,
    MaskPrediction,
    Predictor,
    Table,
    mask_numbers,
)
from medshot.core.atomic import write_text
from medshot.data.dataset import Dataset
from medshot.data.draw import colours, outlined
from medshot.data.io.read_volume import read_volume
from medshot.data.io.registry import volume_suffix
from medshot.data.io.write import write_nifti_mask
from medshot.evaluation import report as r
from medshot.evaluation.cross_validation import OutOfFold
from medshot.evaluation.intervals import Sample
from medshot.evaluation.report.build import name_of, patient_of, support_showing, worst_and_others
from medshot.factory import AVERAGE
from medshot.learners.amortized.stacked_masks import StackedMasks
from medshot.learners.registry import build
from medshot.learners.to_grid import on_grid
from medshot.nn.encoder import encoder
from medshot.phantoms import PhantomMasks, PhantomVolumes
from medshot.presenters.base import Kind
from medshot.presenters.labelme import write_labelme
from medshot.presenters.overlay import overlay
from medshot.presenters.tables import AnswerFolder, answer_folder, path_cell
from medshot.selection import Categorical, FloatRange, LearnerFamily
from medshot.selection.auto import Auto, Priors
from medshot.selection.space import packaged_priors
from medshot.tasks.segmentation import Segmentation, by_image

SHOWN_SUPPORT = 12
OWN = 8  # images of the support, for each class, on which a predictor is looked at
HARDLY = 0.01  # share of a class that is found, below which it is not
REFINE = 40  # steps of fine-tuning the packaged network, where time is given
UNKNOWN = (0.0, 1.0)  # prior of a candidate that was not measured on other sets
MEAN_OF_TWO = "mean of the best two"
OVERLAYS, LABELME, CLASSES = "overlays", "labelme", "classes.csv"


def support_of_masks(dataset: Dataset) -> r.Support:
    """The first images with their masks, and counts."""
    shown = range(min(SHOWN_SUPPORT, len(dataset)))
    pictures = [(i, _drawn(dataset, i, dataset.y[i].numpy()), "With their masks") for i in shown]
    return support_showing(dataset, pictures)


def mask_examples(dataset: Dataset, found: OutOfFold) -> tuple[r.MaskExample, ...]:
    """Worst predictions first, then some others, drawn at random.

    `dataset` has the form of the predictions.
    """
    scores = by_image(*found.evidence[:3])
    answers = found.decoded.argmax(1)
    return tuple(
        r.MaskExample(
            _flat(dataset, i)[0],
            _drawn(dataset, i, dataset.y[i].numpy()),
            _drawn(dataset, i, answers[i]),
            float(scores[i]),
            patient_of(dataset, i),
            name_of(dataset, i),
        )
        for i in worst_and_others(scores)
    )


def _drawn(dataset: Dataset, i: int, mask: Integer[ndarray, "*s"]) -> r.Pixels:
    pixels, cut = _flat(dataset, i)
    return outlined(pixels, mask[cut].astype(np.int64))


def _flat(dataset: Dataset, i: int) -> tuple[r.Pixels, tuple[int, ...]]:
    """Picture of image `i` and its index: of a volume, the slice with most foreground."""
    pixels, mask = dataset.x[i].numpy(), dataset.y[i].numpy()
    cut = (int((mask > 0).sum((1, 2)).argmax()),) if mask.ndim > 2 else ()
    return pixels[(slice(None), *cut)], cut


def class_scores(dataset: Dataset, found: OutOfFold) -> tuple[Table, ...]:
    """Dice of each class, over the images that show it or on which it is marked.

    None where there is one class, whose score is that of all.
    """
    both, claimed, true = found.evidence[:3]
    if true.shape[1] < 3:
        return ()
    rows = []
    for c, label in enumerate(dataset.labels[1:], 1):
        there = np.flatnonzero(claimed[:, c] + true[:, c])
        if not len(there):
            rows.append((label, "undefined: nowhere true or marked", "0"))
            continue
        counts = tuple(each[there][:, [0, c]] for each in (both, claimed, true))
        fold = None if found.fold is None else found.fold[there]
        flat = np.zeros(len(there), np.int64)  # all of them are images of one class
        sample = Sample(counts, found.groups[there], flat, Segmentation(2), fold)
        interval = sample.interval("Dice")
        rows.append((label, interval.bracketed(), str(int((true[:, c] > 0).sum()))))
    caption = "Dice of each class, with its 95% interval, on the images that show it or are marked"
    return (Table(caption, ("class", "Dice", "images that show it"), tuple(rows)),)


class MaskAnswers(AnswerFolder):
    """Writer of masks to `folder`, and a CSV row each: path, mask, fraction of each class.

    A mask is a PNG of class numbers, as `medshot.load` reads it, with a color palette for viewers.
    That of a volume is NIfTI on the grid of its file. `overlays/` has a picture of each on its
    image, and classes.csv the number, name and color of each class, as `medshot.load` reads them.
    """

    labelme = False  # write a LabelMe file for each image too, in `labelme/`

    def __init__(self, folder: Path, labels: Sequence[str]) -> None:
        super().__init__(folder, "mask", *[f"share({label})" for label in labels])
        numbers = mask_numbers(labels)
        self._palette = np.zeros((min(numbers[-1], 255) + 1, 3), np.uint8)
        flat = [number for number in numbers if number < len(self._palette)]
        self._palette[flat] = colours(len(numbers))[: len(flat)]
        (folder / OVERLAYS).mkdir()
        lines = [
            f"{number},{_cell(label)},{','.join(map(str, color))}"
            for number, label, color in zip(
                numbers, labels, colours(len(numbers)).tolist(), strict=True
            )
        ]
        write_text(folder / CLASSES, "\n".join(["number,name,r,g,b", *lines]) + "\n")

    def add(self, found: MaskPrediction) -> None:
        """Write the mask of one image."""
        flat = found.mask.ndim == 2
        if self.labelme and not flat:
            raise ConfigError(
                "LabelMe takes images: leave --labelme out, and correct masks of volumes in "
                "ITK-SNAP or 3D Slicer, which read the NIfTI files."
            )
        name = self._free(_stem(found.path), ".png" if flat else ".nii.gz")
        if flat:
            picture = Image.fromarray(found.mask)
            if found.mask.dtype == np.uint8:  # a palette has 256 colors
                picture = picture.convert("P")
                picture.putpalette(self._palette.tobytes())
            picture.save(self.folder / name)
        else:
            write_nifti_mask(found, read_volume(found.path), self.folder / name)
        overlay(found).save(self.folder / OVERLAYS / f"{_stem(name)}.png")
        if self.labelme:
            (self.folder / LABELME).mkdir(exist_ok=True)
            write_labelme(found, self.folder / LABELME, _stem(name))
        shares = [f"{share:.6f}" for share in found.shares().values()]
        self._row(found.path, path_cell(name), *shares)


def _cell(label: str) -> str:
    """A name as a cell of a table of commas."""
    quoted = label.replace('"', '""')
    return f'"{quoted}"' if any(sign in label for sign in ',"\n') else label


def _stem(path: str) -> str:
    """File name without its suffix, also a double one."""
    name = Path(path).name
    return name.removesuffix(volume_suffix(Path(path)) or Path(path).suffix)


class OfMasks(Kind):
    """A class number for every pixel."""

    name = "segmentation"
    encoder = "unet"
    out = "answers"
    folds = 2
    control = "mean-mask"
    average = AVERAGE
    families = (  # the packaged one, pixel classifiers, place alone; a U-Net trained from scratch
        LearnerFamily("stacked-masks", "mobilenet", simple=True),
        LearnerFamily(
            "linear-probe", "filters", {"c": FloatRange(0.1, 1000.0, (100.0,))}, simple=True
        ),
        LearnerFamily("forest", "filters", simple=True),
        LearnerFamily("nearest-centroid", "filters", simple=True),
        LearnerFamily("mean-mask", "filters", simple=True),
        LearnerFamily(
            "finetune",
            "unet",
            {
                "encoder.width": Categorical((8, 4, 16)),
                "encoder.depth": Categorical((3, 2, 4)),
                "lr": FloatRange(0.001, 0.03, starts=(0.01,)),
                "steps": FloatRange(50, 400, starts=(100,)),
                "batch": 8,
            },
            slow=True,
        ),
        LearnerFamily("ridge", "filters", {"penalty": FloatRange(1e-4, 100.0, starts=(0.1,))}),
    )

    def candidates(self, *, slow: bool = False) -> Auto:
        """Where time is given, the packaged network is fine-tuned too, if that helps."""
        found = super().candidates(slow=slow)
        for each in found.candidates:
            if slow and isinstance(each, StackedMasks):
                each.refine = REFINE
        return found

    def baseline(self, **form: Any) -> Learner:
        """A linear probe on a filter bank at each pixel."""
        return build("linear-probe", encoder=encoder("filters", **form))

    def baselines(self, **form: Any) -> list[Learner]:
        """The linear probe, and the mean mask, which does not look at the image."""
        probe = self.baseline(**form)
        return [probe, build("mean-mask", encoder=probe.encoder)]

    def priors(self, names: Sequence[str]) -> Priors:
        """The packaged prior; a candidate that it does not know is judged by its scores alone."""
        found = packaged_priors().get(self.name, {})
        return {
            str(shot): [prior.get(name, UNKNOWN) for name in (*names, MEAN_OF_TWO)]
            for shot, prior in found.items()
        }

    def doubts(self, dataset: Dataset, predictor: Predictor) -> Sequence[str]:
        """Classes that the predictor marks nowhere on the images that it learned from."""
        form = predictor.known_card().preprocessing
        channels, size = (getattr(form, name, None) for name in ("channels", "size"))
        read = dataset.at(channels, size) if channels and size else dataset
        shows = read.present_classes()
        missed = []
        for c, label in enumerate(read.labels):
            own = read.examples(shows[:, c].nonzero().flatten()[:OWN]) if c else None
            if own is None or not len(own):
                continue
            there = own.y == c
            marked = predictor.predict_batches(own.x).argmax(1) == c
            if (marked & there).sum() < HARDLY * there.sum():
                missed.append(f"'{label}'")
        if not missed:
            return ()
        return (
            f"It does not mark {' and '.join(missed)} even on the images that it learned from: do "
            "not use it. Look in the report whether the masks lie on what they should mark; give "
            "more images, or larger ones (--learner stacked-masks --set encoder.size=256).",
        )

    def from_run(self, learner: Learner) -> Learner:
        """Make an encoder that was meta-trained on whole images dense."""
        return learner if getattr(learner.encoder, "keeps_grid", True) else on_grid(learner)

    def phantoms(
        self, way: int, shot: int, query: int, *, channels: int, size: int | None, seed: int
    ) -> PhantomMasks:
        """Synthetic scenes with masks; volumes for an encoder that takes any size."""
        del way
        if size is None:
            return PhantomVolumes(shot, query, seed=seed)
        return PhantomMasks(shot, query, size, channels, seed=seed)

    def support(self, dataset: Dataset) -> r.Support:
        """The first images with their masks."""
        return support_of_masks(dataset)

    def shown(self, dataset: Dataset, found: OutOfFold, unseen: str) -> dict[str, Any]:
        """Images with outlines, the worst first."""
        form = dataset.preprocessing
        flat = form.dims == 2
        answered = dataset.at(form.channels, found.y.shape[-1]) if flat else dataset
        numbers = mask_numbers(dataset.labels)[1:]
        drawn = ", ".join(
            f"{n} {c}" for n, c in zip(numbers, ("orange", "blue", "green"), strict=False)
        )
        return {
            "tables": class_scores(dataset, found),
            "masks": mask_examples(answered, found),
            "examples_note": f"{unseen} The worst come first, then some others: look at the table "
            f"for how well it does in all. Class numbers have colours: {drawn}.",
        }

    @contextmanager
    def answers(self, out: Path, card: Card) -> Iterator[MaskAnswers]:
        """A folder of masks with a CSV."""
        with answer_folder(out) as staging:
            found = MaskAnswers(staging, card.labels)
            yield found
            found.close()


class OfVolumes(OfMasks):
    """A class number for every voxel."""

    name = "segmentation-3d"
    encoder = "unet3d"
    average = ""  # the answers to whole volumes would have to be kept
    families = (  # auto takes the first, beside the mean mask in the report; select tries all
        LearnerFamily("auto-context", "voxels", simple=True),
        LearnerFamily("mean-mask", "voxels"),
        LearnerFamily("linear-probe", "filters3d", {"c": FloatRange(0.1, 1000.0, (100.0,))}),
        LearnerFamily(
            "finetune",
            "unet3d",
            {
                "lr": FloatRange(0.001, 0.03, starts=(0.01,)),
                "steps": FloatRange(50, 400, starts=(100,)),
                "batch": 2,
            },
        ),
    )

    def from_run(self, learner: Learner) -> Learner:
        """Unchanged: 2D features cannot be made dense on a volume."""
        return learner

    def shown(self, dataset: Dataset, found: OutOfFold, unseen: str) -> dict[str, Any]:
        """As for images, with one slice of each volume."""
        fields = super().shown(dataset, found, unseen)
        note = f"{fields['examples_note']} Of a volume, the slice with most foreground is shown."
        return fields | {"examples_note": note}

    def baseline(self, **form: Any) -> Learner:
        """A linear probe on a filter bank at each voxel."""
        del form  # volumes keep their shape
        return build("linear-probe", encoder=encoder("filters3d"))
