"""A further scan of a session: the rigid transform to its T1w against the simulated truth."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pmrpipe.base.errors import WorkError
from pmrpipe.base.files import read_json
from pmrpipe.images.transforms import read_affine
from pmrpipe.images.volume import Volume, read_image, read_mask, write_volume
from pmrpipe.stages.cohort.embedded import simulate_contrast, simulate_subject
from pmrpipe.stages.preprocess import affine, brain, coregister
from pmrpipe.stages.preprocess.resample import to_isotropic
from pmrpipe.study.options.preprocessing import Coregistration, Extraction
from pmrpipe.study.space import template_brain
from tests.stages.preprocess.conftest import distance

SUBJECT = "sub-01"


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A T1w of 4 mm, its brain cut out by the true mask, and a T2w of thick slices."""
    root = tmp_path_factory.mktemp("session")
    simulate_subject(root, 1, mm=4.0)
    simulate_contrast(root, 1, "inplaneT2", mm=4.0)
    t1w, mask = t1w_of(root)
    write_volume(root / "brain.nii.gz", np.where(mask.data, t1w.data, 0), t1w.affine)
    return root


def truth(root: Path, ending: str) -> Path:
    return root / "derivatives" / "truth" / SUBJECT / "anat" / f"{SUBJECT}_{ending}"


def t1w_of(root: Path) -> tuple[Volume, Volume]:
    image = read_image(root / SUBJECT / "anat" / f"{SUBJECT}_T1w.nii.gz")
    return image, read_mask(truth(root, "desc-brain_mask.nii.gz"))


def scan_path(root: Path) -> Path:
    return root / SUBJECT / "anat" / f"{SUBJECT}_inplaneT2.nii.gz"


@pytest.fixture(scope="module")
def rigid(session: Path) -> Path:
    out = session / "rigid.mat"
    coregister.run(
        scan_path(session),
        session / "brain.nii.gz",
        truth(session, "desc-brain_mask.nii.gz"),
        out,
        session / "rigid.json",
        Coregistration(),
        subject=f"{SUBJECT}_inplaneT2",
    )
    return out


def error_mm(first: np.ndarray, second: np.ndarray, mask: Volume) -> float:
    points = np.argwhere(mask.data) @ mask.affine[:3, :3].T + mask.affine[:3, 3]
    apart = points @ (first - second)[:3, :3].T + (first - second)[:3, 3]
    return float(np.linalg.norm(apart, axis=1).mean())


def test_the_true_rigid_transform_is_found(session: Path, rigid: Path) -> None:
    known = read_affine(truth(session, "from-inplaneT2_to-T1w_mode-image_xfm.mat"))
    mask = t1w_of(session)[1]
    assert error_mm(read_affine(rigid), known, mask) < 1.0
    assert error_mm(np.eye(4), known, mask) > 4.0
    sidecar = read_json(session / "rigid.json")
    assert sidecar["Direction"].startswith("maps points of T1w (fixed) to points of the inplaneT2")
    assert sidecar["Quality"]["cover"] > 0.95


def test_a_head_that_lies_elsewhere_and_otherwise_is_found(session: Path) -> None:
    scan, brain_ = read_image(scan_path(session)), read_image(session / "brain.nii.gz")
    turn = np.diag([-1.0, -1, 1, 1])
    turn[:3, 3] = [60, -40, 90]
    moved = Volume(scan.data, turn @ scan.affine)
    mask = t1w_of(session)[1]
    answer = coregister.coregister(moved, brain_, mask, subject="sub-01_inplaneT2")
    known = read_affine(truth(session, "from-inplaneT2_to-T1w_mode-image_xfm.mat"))
    assert error_mm(answer.matrix, turn @ known, mask) < 1.2


def test_what_is_no_scan_of_the_head_is_refused_by_name(session: Path) -> None:
    scan, brain_ = read_image(scan_path(session)), read_image(session / "brain.nii.gz")
    noise = np.random.default_rng(0).random(scan.shape).astype(np.float32)
    with pytest.raises(WorkError, match=r"sub-01_T2w: is not aligned to the T1w of its session"):
        coregister.coregister(
            Volume(noise, scan.affine), brain_, t1w_of(session)[1], subject="sub-01_T2w"
        )


def test_the_mask_of_the_t1w_is_that_of_the_scan(session: Path, rigid: Path) -> None:
    out = session / "mask.nii.gz"
    options = Extraction(
        method="session", mask=truth(session, "desc-brain_mask.nii.gz"), rigid=rigid
    )
    brain.run(scan_path(session), out, session / "cut.nii.gz", options)
    mine, known = (
        read_mask(out),
        read_mask(truth(session, "space-inplaneT2_desc-brain_mask.nii.gz")),
    )
    overlap = 2 * (mine.data & known.data).sum() / (mine.data.sum() + known.data.sum())
    assert overlap > 0.95


def test_the_affine_goes_through_the_t1w_and_is_judged_without_its_contrast(
    session: Path, rigid: Path
) -> None:
    template = template_brain(4.0)
    t1w, mask = t1w_of(session)
    own = affine.normalise(
        to_isotropic(Volume(np.where(mask.data, t1w.data, 0), t1w.affine), 4.0),
        template,
        subject=SUBJECT,
    )
    scan = read_image(scan_path(session))
    inside = read_mask(truth(session, "space-inplaneT2_desc-brain_mask.nii.gz"))
    cut = to_isotropic(Volume(np.where(inside.data, scan.data, 0), scan.affine), 4.0)
    matrix = read_affine(rigid)
    through = affine.through_t1w(cut, template, matrix, own.matrix, subject="sub-01_inplaneT2")
    np.testing.assert_allclose(through.matrix, matrix @ own.matrix)
    assert through.quality["correlation"] < 0.45 < through.quality["correlation_ratio"]
    alone = affine.normalise(cut, template, subject="sub-01_inplaneT2")
    assert distance(alone.matrix, through.matrix, template) < 3.0
