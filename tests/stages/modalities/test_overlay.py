"""A scan of another contrast on its T1w's grid, against the simulated truth."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pmrpipe.images.resampling import resample
from pmrpipe.images.transforms import read_affine
from pmrpipe.images.volume import Volume, read_image, read_mask
from pmrpipe.stages.cohort.embedded import simulate_contrast, simulate_subject
from pmrpipe.stages.modalities.overlay import Overlay, overlay
from pmrpipe.stages.modalities.page import write_page

Session = tuple[Volume, Volume, Volume, np.ndarray]


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Session:
    """T1w, its brain mask, a T2w in a pose of its own, and the rigid transform to it."""
    root = tmp_path_factory.mktemp("session")
    simulate_subject(root, 1, mm=4.0)
    simulate_contrast(root, 1, "T2w", mm=4.0)
    raw, truth = root / "sub-01" / "anat", root / "derivatives" / "truth" / "sub-01" / "anat"
    return (
        read_image(raw / "sub-01_T1w.nii.gz"),
        read_mask(truth / "sub-01_desc-brain_mask.nii.gz"),
        read_image(raw / "sub-01_T2w.nii.gz"),
        read_affine(truth / "sub-01_from-T2w_to-T1w_mode-image_xfm.mat"),
    )


def brought(session: Session, rigid: np.ndarray) -> Overlay:
    t1w, mask, scan, _ = session
    return overlay("sub-01_T2w", "T2w", scan, t1w, mask.data, rigid)


def test_a_voxel_of_the_t1w_gets_what_the_scan_has_at_its_point(session: Session) -> None:
    t1w, _, scan, rigid = session
    shown = brought(session, rigid)
    assert shown.image.grid == t1w.grid
    voxel = np.array([n // 2 for n in t1w.shape])
    point = rigid @ t1w.affine @ [*voxel, 1]
    there = resample(scan, point[None, :3])[0]
    assert shown.image.data[tuple(voxel)] == pytest.approx(float(there), rel=0.02)


def faded(volume: Volume, millimetres: float, axis: int = 1) -> Volume:
    """With the fall-off of a coil: to a third over `millimetres`."""
    place = np.moveaxis(np.arange(volume.shape[axis])[None, None], -1, axis)
    return Volume(volume.data * 3.0 ** (-place * volume.spacing[axis] / millimetres), volume.affine)


@pytest.mark.parametrize("shift", [(0, 25, 40), (0, 0, 12), (12, 0, 0)])
def test_an_aligned_scan_is_not_doubted_and_one_that_lies_elsewhere_is(
    session: Session, shift: tuple[int, int, int]
) -> None:
    t1w, mask, scan, rigid = session
    faint = (faded(t1w, 150), mask, scan, rigid)
    aligned = brought(faint, rigid).facts
    assert aligned["doubts"] == []
    away = np.eye(4)
    away[:3, 3] = shift
    moved = brought(faint, away @ rigid).facts
    assert moved["mutual_information"] < aligned["mutual_information"] - 0.05
    assert moved["doubts"]


def test_a_slab_says_how_much_of_the_brain_it_holds(session: Session) -> None:
    t1w, mask, scan, rigid = session
    half = Volume(scan.data[: scan.shape[0] // 2], scan.affine)
    facts = overlay("sub-01_T2w", "T2w", half, t1w, mask.data, rigid).facts
    assert 0.3 < facts["cover"] < 0.7
    assert any("of the brain" in doubt for doubt in facts["doubts"])


def test_the_turn_and_shift_of_the_head_are_told(session: Session) -> None:
    _, mask, _, _ = session
    centre = mask.affine[:3, :3] @ np.argwhere(mask.data).mean(0) + mask.affine[:3, 3]
    rigid = np.eye(4)
    rigid[:2, :2] = [[0, -1], [1, 0]]
    rigid[:3, 3] = centre - rigid[:3, :3] @ centre + [0, 3, 4]
    facts = brought(session, rigid).facts
    assert (facts["rotation_degrees"], facts["shift_mm"]) == (pytest.approx(90), pytest.approx(5))


def test_the_page_shows_each_scan_in_turn_and_in_squares(session: Session, tmp_path: Path) -> None:
    t1w, mask, _, rigid = session
    shown = brought(session, rigid)
    write_page(tmp_path / "page.html", "sub-01", t1w, mask, [shown], {"a.nii.gz": "a scan"})
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert page.count("data:image/png;base64,") == 4
    assert "Checkerboard" in page
    assert 'src="http' not in page
