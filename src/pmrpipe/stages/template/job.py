"""One template: its rounds, then what people and later studies take of it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from pmrpipe.base.files import write_rows, write_text
from pmrpipe.base.malloc import keep_freed_memory
from pmrpipe.images.resampling import Field, resample, sample_points
from pmrpipe.images.transforms import read_affine, write_field
from pmrpipe.images.volume import Volume, read_image, read_labels, read_mask, write_volume
from pmrpipe.metrics.overlap import label_overlap
from pmrpipe.metrics.similarity import ncc
from pmrpipe.stages.template.average import majority
from pmrpipe.stages.template.page import write_template_page
from pmrpipe.stages.template.ready import ready
from pmrpipe.stages.template.rounds import COLUMNS, TemplateRounds, require_scans
from pmrpipe.study.keys import contrast_of
from pmrpipe.study.labels import scored_labels
from pmrpipe.study.options.template import TemplateMaking
from pmrpipe.study.paths import Results
from pmrpipe.study.sidecar import on_template, write_sidecar
from pmrpipe.study.template_paths import TemplatePaths

SUBJECT_COLUMNS = ("key", "ncc_affine", "ncc", "dice_affine", "dice")


def _silent(text: str) -> None:
    """Say nothing."""


def make_template(
    root: Path, options: TemplateMaking, say: Callable[[str], None] = _silent
) -> list[dict[str, Any]]:
    """Make the template, and return the rows of rounds.tsv.

    Parameters
    ----------
    root : result folder of the cohort, its scans preprocessed

    Raises
    ------
    InputError : as `ready`; fewer than two subjects; a scan that is not preprocessed; a template
        to begin with that is missing or lies on another grid
    """
    results = Results.of(root, options)
    require_scans(results, options.keys, options.along)
    keep_freed_memory()
    paths = TemplatePaths.of(results, options.name)
    job = TemplateRounds(results, paths, options, ready(options), say)
    rows = job.run()
    _Delivery(job, rows).write()
    return rows


class _Delivery:
    """The files of a finished template, from its last round."""

    def __init__(self, job: TemplateRounds, rows: list[dict[str, Any]]) -> None:
        self.job, self.rows = job, rows
        self.results, self.paths, self.options = job.results, job.paths, job.options
        self.last = int(rows[-1]["round"])
        self.brain = read_image(self.paths.round_template(self.last))
        self.mask = read_mask(self.paths.round_mask(self.last)).data
        self.contrasts = sorted({contrast_of(key) for key in self.options.along})

    def write(self) -> None:
        """Everything; the space's YAML last, so that who finds it finds what it names."""
        for key, field in self.job.fields(self.last):
            self._write_field(key, field)
        sources = [self.results.preproc(key) for key in self.options.keys]
        for path, data in ((self.paths.brain, self.brain.data), (self.paths.mask, self.mask)):
            self._write_image(path, data, sources)
        for contrast in self.contrasts:
            scans = [key for key in self.options.along if contrast_of(key) == contrast]
            data = self.job.along(self.last, contrast, self.mask)
            sources = [self.results.preproc(key) for key in scans]
            self._write_image(self.paths.along(contrast), data, sources)
        subjects = self._subjects()
        write_rows(self.paths.rounds, COLUMNS, self.rows)
        write_rows(self.paths.subjects, SUBJECT_COLUMNS, subjects)
        count = len(self.options.keys)
        write_template_page(self.paths, self.rows, subjects, count, self.contrasts)
        write_text(self.paths.space, self._space())

    def _write_field(self, key: str, field: Field) -> None:
        path = self.paths.field(key)
        write_sidecar(
            path,
            [self.results.preproc(key)],
            Direction=f"maps points of {self.options.name} to points of the preprocessed scan in "
            f"{self.results.space.name}; its affine then leads into the scan as it came",
            Frame="LPS (ITK's world)",
            Units="mm",
            Format="ITK displacement field (NIfTI, vector intent)",
        )
        write_field(path, *field)

    def _write_image(self, path: Path, data: np.ndarray, sources: list[Path]) -> None:
        write_sidecar(path, sources, **on_template(self.brain.grid, self.options.name))
        write_volume(path, data, self.brain.affine)

    # -- how the scans fit --------------------------------------------------------------------
    def _subjects(self) -> list[dict[str, Any]]:
        """A row for each scan; the labels are fused on the way, where there are any."""
        rows = [dict(zip(SUBJECT_COLUMNS, part, strict=False)) for part in self._similarities()]
        if len(self.options.labels) < 2:
            return rows
        before, after = ([], [])  # type: tuple[list[np.ndarray], list[np.ndarray]]
        for key, field in self.job.fields(self.last):
            if key in self.options.labels:
                before.append(self._labels(key, None))
                after.append(self._labels(key, field))
        self._write_image(self.paths.dseg, majority(after), list(self.options.labels.values()))
        labelled = [row for row in rows if row["key"] in self.options.labels]
        for name, maps in (("dice_affine", before), ("dice", after)):
            for row, value in zip(labelled, self._dice(maps), strict=True):
                row[name] = round(value, 4)
        return rows

    def _similarities(self) -> Iterator[tuple[str, float, float]]:
        for key, field in self.job.fields(self.last):
            scan = read_image(self.results.preproc(key))
            warped = resample(scan, sample_points(scan.grid, field=field))
            before, after = (ncc(self.brain.data, x, self.mask) for x in (scan.data, warped))
            yield key, round(before, 4), round(after, 4)

    def _labels(self, key: str, field: Field | None) -> np.ndarray:
        """A scan's own label map on the template, resampled once."""
        labels = read_labels(self.options.labels[key], self.options.orientations.get(key))
        affine = read_affine(self.results.affine(key))
        points = sample_points(self.brain.grid, affine, field)
        warped = resample(Volume(labels.data, labels.affine), points, "nearest")
        return warped.astype(np.uint16 if warped.max() < 1 << 16 else np.int32)

    def _dice(self, maps: list[np.ndarray]) -> list[float]:
        """Of each map the mean Dice with all others, over the scored labels."""
        scored = scored_labels(self.options.table)
        table = np.full((len(maps), len(maps)), np.nan)
        for i, j in itertools.combinations(range(len(maps)), 2):
            overlap = label_overlap(maps[i], maps[j])
            chosen = overlap.only(np.asarray(scored)) if scored else overlap
            table[i, j] = table[j, i] = chosen.dice.mean() if chosen.dice.size else np.nan
        return [float(value) for value in np.nanmean(table, axis=1)]

    # -- the space ----------------------------------------------------------------------------
    def _space(self) -> str:
        """The YAML of the template's space; its grid is that of the study's, at 1 mm."""
        grid = self.results.space.grid(1.0)
        content = {
            "name": self.options.name,
            "citation": f"Mean of {len(self.options.keys)} brains, made by pmrpipe from scans in "
            f"the space {self.results.space.name}.",
            "files": {"brain": self.paths.brain.name, "mask": self.paths.mask.name},
            "scale": 1.0,
            "grid": {
                "shape": list(grid.shape),
                "origin": [float(value) for value in grid.affine[:3, 3]],
            },
        }
        return yaml.safe_dump(content, sort_keys=False)
