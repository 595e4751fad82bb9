"""The template brain on the common grid."""

from __future__ import annotations

from pathlib import Path

from pmrpipe.images.volume import write_volume
from pmrpipe.stages.preprocess.whiten import whitened
from pmrpipe.study.options.preprocessing import Gridded
from pmrpipe.study.sidecar import on_template, write_sidecar
from pmrpipe.study.space import Space


def run(out: Path, preproc: Path, options: Gridded) -> None:
    """Write the template brain, and the same whitened like every subject's; `out` last."""
    space = Space.load(options.space)
    brain = space.brain(options.mm)
    white = whitened(brain.data, space.mask(options.mm).data)
    about = on_template(brain.grid, space.name)
    for path, data in ((preproc, white), (out, brain.data)):
        write_sidecar(path, [space.source], **about, SkullStripped=True)
        write_volume(path, data, brain.affine)
