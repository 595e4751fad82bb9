"""Labels of one scan of a study, from the atlases that were registered to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pmrpipe.base.errors import InputError
from pmrpipe.base.files import read_tsv, write_tsv
from pmrpipe.images.resampling import resample, sample_points
from pmrpipe.images.transforms import read_affine
from pmrpipe.images.volume import Volume, read_image, read_labels, write_volume
from pmrpipe.metrics.overlap import label_overlap
from pmrpipe.stages.parcellate.ants_fusion import fuse_by_ants
from pmrpipe.stages.parcellate.fusion import Fused, Fusion, fuse
from pmrpipe.stages.parcellate.page import Shown, write_page
from pmrpipe.stages.parcellate.volumes import intracranial_volume, volumes
from pmrpipe.study.labels import read_label_table
from pmrpipe.study.options.fusing import Fusing
from pmrpipe.study.paths import Results
from pmrpipe.study.regions import scored_rows

if TYPE_CHECKING:
    import pandas as pd

_FILES = {
    "dseg.nii.gz": "the labels on the scan's grid",
    "desc-confidence_map.nii.gz": "on the template grid: share of the votes that each label won",
    "volumes.tsv": "volume of each label and region, asymmetry, intracranial volume",
    "scores.tsv": "Dice of each label, where the scan has labels of its own",
}


def run(results: Results, options: Fusing) -> None:
    """Fuse on the template grid, bring the labels to the scan's, measure and draw them.

    Raises
    ------
    InputError : a warped image or label map is missing or lies on another grid
    """
    key, table = options.fixed, read_label_table(options.table)
    brain, fused = read_image(results.preproc(key)), _fused(results, options)
    native = _native(results, options, fused, brain)
    icv = intracranial_volume(results.space, read_affine(results.affine(key)))
    measured = volumes(native.data, native.affine, table, key, icv)
    names = list(_FILES)
    write_volume(results.parcellated(key, names[1]), fused.confidence, brain.affine, np.float32)
    write_tsv(results.parcellated(key, names[2]), measured)
    write_tsv(results.parcellated(key, names[3]), _scores(results, options, fused, table))
    write_page(
        results.parcellated(key, "page.html"),
        key,
        Shown(brain, fused.labels, fused.confidence),
        measured,
        {"atlases": options.atlases, "method": options.method, "fusion": options.fusion},
        {results.parcellated(key, name).name: what for name, what in _FILES.items()},
    )
    write_volume(results.parcellated(key), native.data, native.affine)


def _fused(results: Results, options: Fusing) -> Fused:
    fixed, method = options.fixed, options.method
    pairs = [(atlas, fixed) for atlas in options.atlases]
    labels = [read_labels(results.warped_dseg(method, *pair)).data for pair in pairs]
    images = [read_image(results.warped(method, *pair)).data for pair in pairs]
    brain = read_image(results.preproc(fixed))
    target = brain.data
    if {a.shape for a in (*labels, *images)} != {target.shape}:
        path = results.warped_dseg(method, *pairs[0])
        raise InputError(path, "lies on another grid than the scan", "register the pairs again")
    if options.fusion == "ants":
        return fuse_by_ants(labels, images, target)
    return fuse(labels, images, target, Fusion(kind=options.fusion), brain.spacing)


def _native(results: Results, options: Fusing, fused: Fused, brain: Volume) -> Volume:
    """The labels on the scan's own grid, each voxel by its nearest of the template grid."""
    scan = read_image(options.scan, options.orientation)
    back = np.linalg.inv(read_affine(results.affine(options.fixed)))
    points = sample_points(scan.grid, affine=back)
    data = resample(Volume(fused.labels, brain.affine), points, "nearest")
    return Volume(data.astype(np.int32), scan.affine)


def _scores(results: Results, options: Fusing, fused: Fused, table: pd.DataFrame) -> pd.DataFrame:
    """Dice of the scored labels on the template grid; no row where the scan has no labels."""
    import pandas as pd

    path, columns = results.dseg(options.fixed), ["scan", "label", "name", "region", "dice"]
    if not path.exists():
        return pd.DataFrame(columns=columns)
    rows = scored_rows(table)
    overlap = label_overlap(read_labels(path).data, fused.labels)
    dice = dict(zip(overlap.labels.tolist(), overlap.dice.tolist(), strict=True))
    kept = rows[rows["index"].isin(dice)].rename(columns={"index": "label"})
    return kept.assign(scan=options.fixed, dice=[dice[n] for n in kept["label"]])[columns]


def gather(results: Results, keys: list[str]) -> None:
    """parcellate/volumes.tsv and parcellate/by_label.tsv of all scans."""
    import pandas as pd

    for name, out in (("volumes.tsv", "volumes.tsv"), ("scores.tsv", "by_label.tsv")):
        tables = [read_tsv(results.parcellated(key, name)) for key in keys]
        filled = [table for table in tables if len(table)]
        whole = pd.concat(filled or tables[:1], ignore_index=True)
        write_tsv(results.volumes.with_name(out), whole)
