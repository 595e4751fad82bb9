"""Preprocessing of real scans: brains at 1 mm, strong bias, and what a second run gives."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pmrpipe.images.volume import Volume, read_image, read_labels
from pmrpipe.stages.preprocess.affine import normalise
from pmrpipe.stages.preprocess.brain import cut_out, extract_brain
from pmrpipe.stages.preprocess.resample import to_isotropic
from pmrpipe.study.paths import Results
from pmrpipe.study.sidecar import sidecar_path
from pmrpipe.study.space import template_brain

pytestmark = [pytest.mark.real_data, pytest.mark.slow]


def brain_of(path: Path) -> Volume:
    image = read_image(path)
    return Volume(cut_out(image, extract_brain(image, "nonzero", name=path)), image.affine)


@pytest.mark.parametrize("name", ["malf/sub-1000", "malf/sub-1110", "ds002748/sub-01"])
def test_affine_of_real_brains(shared_data, name):
    (path,) = (shared_data / name / "anat").glob("*T1w.nii.gz")
    affine = normalise(to_isotropic(brain_of(path), 1.0), template_brain(), subject=name)
    assert affine.quality["attempts"] == 1
    assert affine.quality["mask_dice"] > 0.93
    assert affine.quality["correlation"] > 0.5


def preprocess(results: Path, t1w: Path, labels: Path) -> None:
    """In a process of its own: ITK fixes its threads once per process."""
    given = ["preprocess", str(t1w), str(results), "--key", "sub-1036", "--state", "brain"]
    given += ["--labels", str(labels)]
    source = str(Path(__file__).resolve().parents[3] / "src")
    environment = {**os.environ, "PYTHONPATH": source}
    environment.pop("ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS", None)
    subprocess.run([sys.executable, "-m", "pmrpipe", *given], check=True, env=environment)


def test_whole_chain_twice_gives_the_same_bytes(shared_data, tmp_path):
    anat = shared_data / "malf/sub-1036/anat"
    t1w = anat / "sub-1036_desc-brain_T1w.nii.gz"
    dseg = anat / "sub-1036_desc-malf_dseg.nii.gz"
    contents = []
    for run in ("first", "second"):
        preprocess(tmp_path / run, t1w, dseg)
        files = sorted(path for path in (tmp_path / run).rglob("*") if path.is_file())
        contents.append({path.relative_to(tmp_path / run): path.read_bytes() for path in files})
    assert contents[0] == contents[1]

    paths = Results(tmp_path / "first")
    image, labels = read_image(paths.preproc("sub-1036")), read_labels(paths.dseg("sub-1036"))
    assert image.shape == labels.shape == (160, 192, 176)
    held = np.isin(labels.data, np.unique(read_labels(dseg).data)[1:])
    assert (image.data[held] > 0).mean() > 0.97
    quality = json.loads(sidecar_path(paths.affine("sub-1036")).read_text())["Quality"]
    assert quality["mask_dice"] > 0.93
