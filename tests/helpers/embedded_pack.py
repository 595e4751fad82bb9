"""The embedded cohort's training and validation scans, packed: simulated, and put on the template.

The affine and the brain mask are the true ones, not estimated: what remains between two scans is
what a deformable registration has to find, and the work of ANTs is saved.
"""

from pathlib import Path

import numpy as np

from pmrpipe.images.resampling import resample, sample_points
from pmrpipe.images.volume import Volume
from pmrpipe.stages.cohort.embedded import LABEL_TABLE, SEED
from pmrpipe.stages.cohort.embedded.anatomy import anatomy
from pmrpipe.stages.cohort.embedded.deformation import random_deformation
from pmrpipe.stages.cohort.embedded.scanner import acquire, random_grid
from pmrpipe.stages.cohort.embedded.tissue import random_look
from pmrpipe.stages.preprocess.whiten import whiten
from pmrpipe.study.labels import read_label_table
from pmrpipe.study.pack import pack
from pmrpipe.study.space import template_grid

# As config/embedded.yaml splits the cohort; who tests is left out.
TRAIN = ("sub-01", "sub-02", "sub-03", "sub-04")
VALIDATION = ("sub-05",)


def write_embedded_pack(path: Path, mm: float = 4.0) -> Path:
    """Images and labels of all training and validation subjects at `mm`."""
    images, dsegs = {}, {}
    for index, key in enumerate((*TRAIN, *VALIDATION), 1):
        images[key], dsegs[key] = _subject(index, mm)
    table = read_label_table(str(LABEL_TABLE))
    labels = table.loc[table["scored"] > 0, "index"].tolist()
    pack(images, dsegs, template_grid(mm), path, labels)
    return path


def _subject(index: int, mm: float) -> tuple[np.ndarray, np.ndarray]:
    """Whitened image and label map on the template grid, as `simulate_subject` draws them."""
    shape_rng, scan_rng = (np.random.default_rng([SEED, index, part]) for part in range(2))
    template, grid = anatomy(mm), template_grid(mm)
    shape = random_deformation(shape_rng, template)
    look = random_look(scan_rng)
    native = random_grid(scan_rng, index, mm, template, shape)
    scan = acquire(scan_rng, template, shape, native, look)
    t1w, mask, dseg = (Volume(x, native.affine) for x in (scan.t1w, scan.mask, scan.labels))
    points = sample_points(grid, shape.matrix)
    return whiten(t1w, mask, shape.matrix, grid), resample(dseg, points, "nearest")
