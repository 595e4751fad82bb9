"""A template of deformed brains: in the middle of them, sharper from round to round, resumable."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import binary_erosion

from pmrpipe.base.errors import InputError
from pmrpipe.base.files import read_tsv, sha256
from pmrpipe.images.resampling import sample_displacement
from pmrpipe.images.transforms import read_field
from pmrpipe.images.volume import read_image, read_labels, read_mask, write_volume
from pmrpipe.stages.template.job import make_template
from pmrpipe.study.options.template import TemplateMaking
from pmrpipe.study.paths import Results
from pmrpipe.study.space import Space
from pmrpipe.study.template_paths import TemplatePaths

from ...helpers.brains import deformed_cohort, native_labels

METHOD = """
name: quick
title: greedy in few steps
citation: none
kind: classical
component: pmrpipe.methods.refine:Greedy
parameters: {steps: 15, mm: [8, 4]}
"""
KEYS = tuple(f"sub-{number:02d}" for number in range(1, 5))


def options(results: Results, keys: tuple[str, ...] = KEYS, **more: object) -> TemplateMaking:
    method = results.root.parent / "quick.yaml"
    method.write_text(METHOD)
    said = {
        "method": str(method),
        "refine": 0,
        "rounds": 2,
        "tolerance": 0,
        "mm": 4.0,
        "name": "four",
    }
    labels = {key: native_labels(results, key) for key in keys}
    return TemplateMaking(**said | {"keys": keys, "labels": labels, "device": "cpu"} | more)


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Results:
    return deformed_cohort(tmp_path_factory.mktemp("template") / "results", 5)


@pytest.fixture(scope="module")
def four(cohort: Results) -> TemplatePaths:
    make_template(cohort.root, options(cohort))
    return TemplatePaths.of(cohort, "four")


def checksums(paths: TemplatePaths) -> dict[str, str]:
    return {
        str(path.relative_to(paths.folder)): sha256(path)
        for path in sorted(paths.folder.rglob("*"))
        if path.is_file()
    }


def test_the_template_gets_sharper_and_lies_in_the_middle(four: TemplatePaths) -> None:
    rounds = read_tsv(four.rounds)
    assert (rounds["sharpness"][1:] > rounds["sharpness"][0] * 1.03).all()
    assert (rounds["mean_displacement_mm"][1:] < 0.05).all()
    assert rounds["taken_back_mm"][1] > 0.5  # without the correction it would stay
    whole = read_mask(four.mask)
    fields = [sample_displacement(read_field(four.field(key)), whole.grid) for key in KEYS]
    mask = whole.data
    mean = np.linalg.norm(np.mean(fields, axis=0), axis=-1)[mask].mean()
    single = np.mean([np.linalg.norm(field, axis=-1)[mask].mean() for field in fields])
    assert mean < 0.05 < 0.5 < single


def test_the_scans_fit_each_other_better_in_the_template(four: TemplatePaths) -> None:
    subjects = read_tsv(four.subjects)
    assert list(subjects["key"]) == list(KEYS)
    assert (subjects["ncc"] > subjects["ncc_affine"]).all()
    assert (subjects["dice"] > subjects["dice_affine"] + 0.02).all()
    fused = read_labels(four.dseg)
    assert set(np.unique(fused.data)) == {0, 1, 2, 3}


def test_a_later_study_takes_it_as_its_space(four: TemplatePaths, cohort: Results) -> None:
    space = Space.load(four.space)
    assert space.name == "four"
    assert space.grid(4.0) == cohort.space.grid(4.0)
    ours = read_image(four.brain)
    np.testing.assert_allclose(space.brain(4.0).data, ours.data, atol=2e-3)
    assert (space.mask(4.0).data == read_mask(four.mask).data).mean() > 0.999


def test_the_page_shows_every_round_and_stands_alone(four: TemplatePaths) -> None:
    page = four.page.read_text(encoding="utf-8")
    assert page.count("data:image/png") == 3
    assert "tpl-four.yaml" in page
    assert 'src="http' not in page


def test_another_contrast_comes_along_the_fields_of_its_t1w(
    four: TemplatePaths, cohort: Results
) -> None:
    """A T2w that is one minus its T1w: so is the template in it, but for what is sharpened."""
    along = tuple(f"{key}_T2w" for key in KEYS[:3])
    for key in KEYS[:3]:
        scan = read_image(cohort.preproc(key))
        path = cohort.preproc(f"{key}_T2w")
        path.parent.mkdir(parents=True, exist_ok=True)
        write_volume(path, np.where(scan.data > 0, 1 - scan.data, 0), scan.affine)
    said = options(cohort, KEYS[:3], name="along", along=along, sharpen=0, average="mean")
    make_template(cohort.root, said)
    paths = TemplatePaths.of(cohort, "along")
    mask = read_mask(paths.mask).data
    total = read_image(paths.along("T2w")).data + read_image(paths.brain).data
    # At the rim interpolation sees the step to the background.
    assert np.abs(total[binary_erosion(mask, iterations=2)] - 1).mean() < 0.003
    assert not total[~mask].any()
    page = paths.page.read_text(encoding="utf-8")
    assert "The template in T2w" in page
    assert page.count("data:image/png") == 4


@pytest.mark.parametrize(
    ("along", "problem"),
    [
        (("sub-04_T2w", "sub-01_T2w"), "the T1w of sub-04_T2w is not among the keys"),
        (("sub-01_T2w",), "T2w: two subjects at least"),
        (("sub-01_FLAIR", "sub-02_FLAIR"), "no such file"),
    ],
)
def test_what_cannot_come_along_is_one_line(
    cohort: Results, along: tuple[str, ...], problem: str
) -> None:
    with pytest.raises(InputError, match=problem):
        make_template(cohort.root, options(cohort, KEYS[:2], name="no", along=along))


class Killed(Exception):
    """Stands for a kill between two registrations."""


def test_a_killed_run_goes_on_at_its_round_with_the_same_bytes(
    four: TemplatePaths, cohort: Results, tmp_path: Path
) -> None:
    import shutil

    root = tmp_path / "results"
    shutil.copytree(cohort.root, root, ignore=shutil.ignore_patterns("template"))
    again, told = Results(root, 4.0), []

    def killing(text: str) -> None:
        told.append(text)
        if "round 2: registering sub-03" in text:
            raise Killed

    with pytest.raises(Killed):
        make_template(root, options(cohort), killing)
    assert not TemplatePaths.of(again, "four").brain.exists()
    first, told[:] = len(told), []
    make_template(root, options(cohort), told.append)
    registered = [text for text in told if "registering" in text]
    assert registered == ["round 2: registering sub-03", "round 2: registering sub-04"]
    assert first > 4
    assert checksums(TemplatePaths.of(again, "four")) == checksums(four)


def test_a_finished_template_is_not_made_again(four: TemplatePaths, cohort: Results) -> None:
    told: list[str] = []
    make_template(cohort.root, options(cohort), told.append)
    assert not [text for text in told if "registering" in text]


def test_a_subject_is_added_from_the_template_on(four: TemplatePaths, cohort: Results) -> None:
    keys = (*KEYS, "sub-05")
    more = options(cohort, keys, name="five", initial=four.brain, rounds=1)
    rows = make_template(cohort.root, more)
    assert rows[1]["sharpness"] > 0.95 * read_tsv(four.rounds)["sharpness"].iloc[-1]
    assert list(read_tsv(TemplatePaths.of(cohort, "five").subjects)["key"]) == list(keys)


def test_it_ends_when_the_template_changes_little(cohort: Results) -> None:
    rows = make_template(cohort.root, options(cohort, name="short", tolerance=0.9, rounds=3))
    assert len(rows) == 2


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ({"keys": ("sub-01",)}, "needs two subjects"),
        ({"keys": ("sub-01", "sub-09")}, "no such file"),
        ({"keys": ("sub-01", "sub-02_T2w")}, "several contrasts"),
        ({"refine": 5}, "is no network"),
        ({"initial": Path("nowhere.nii.gz")}, "no such file"),
    ],
)
def test_what_cannot_be_made_is_said_in_one_line(
    cohort: Results, more: dict[str, object], problem: str
) -> None:
    with pytest.raises(InputError, match=problem):
        make_template(cohort.root, options(cohort, **{"name": "bad", "labels": {}} | more))


def test_a_beginning_on_another_grid_is_refused(cohort: Results, tmp_path: Path) -> None:
    image = read_image(cohort.preproc("sub-01"))
    write_volume(tmp_path / "small.nii.gz", image.data[2:], image.affine)
    with pytest.raises(InputError, match="shape"):
        make_template(cohort.root, options(cohort, name="bad", initial=tmp_path / "small.nii.gz"))
