"""The template brain on the common grid."""

from __future__ import annotations

from pathlib import Path

from pmrpipe.images.volume import write_volume
from pmrpipe.stages.preprocess.whiten import whitened
from pmrpipe.study.options.preprocessing import Gridded
from pmrpipe.study.sidecar import on_template, write_sidecar
from pmrpipe.study.space import template_brain, template_file


def run(out: Path, preproc: Path, options: Gridded) -> None:
    """Write the template brain, and the same whitened like every subject's; `out` last."""
    brain = template_brain(options.mm)
    white = whitened(brain.data, brain.data > 0.05)
    for path, data in ((preproc, white), (out, brain.data)):
        write_sidecar(path, [template_file("brain")], **on_template(brain.grid), SkullStripped=True)
        write_volume(path, data, brain.affine)
