"""The cache of preprocessed scans: no file is shared by two different computations."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

import pmrpipe
from pmrpipe.base.errors import WorkError
from pmrpipe.cli import main
from pmrpipe.native.messages import about
from pmrpipe.native.prepare import Preparation, preparation
from pmrpipe.native.request import Scan, make_request
from pmrpipe.study.options.common import DEFAULT_SPACE
from pmrpipe.study.space_file import space_path

# Another value of each option of preprocessing; a field that is missing here fails the test below.
CHANGES = {
    "t1w": "other.nii.gz",
    "mm": 4.0000001,
    "space": "space.yaml",
    "state": "brain",
    "method": "nonzero",
    "mask": "other.nii.gz",
    "head_template": "other.nii.gz",
    "brain_template": "other.nii.gz",
    "orientation": "LPS",
    "n4": True,
    "seed": 7,
    "contrast": "T2w",
    "lesion": "other.nii.gz",
}


@pytest.fixture
def plan(tmp_path) -> Preparation:
    for name in ("scan", "other", "mask", "head", "brain"):
        (tmp_path / f"{name}.nii.gz").write_text(name)
    paths = {n: tmp_path / f"{n}.nii.gz" for n in ("scan", "mask", "head", "brain")}
    templates = (paths["head"], paths["brain"])
    (tmp_path / "space.yaml").write_text("name: Mine\nfiles: {brain: other.nii.gz}\n")
    shipped = space_path(DEFAULT_SPACE)
    return Preparation(
        paths["scan"],
        4.0,
        shipped,
        "head",
        "template",
        paths["mask"],
        *templates,
        "RAS",
        False,
        2019,
    )


def test_every_option_of_preprocessing_is_tried():
    assert set(CHANGES) == {field.name for field in fields(Preparation)}


@pytest.mark.parametrize("name", CHANGES)
def test_no_cached_file_is_shared_when_an_option_changes(plan, tmp_path, name):
    value = CHANGES[name]
    other = replace(
        plan, **{name: tmp_path / value if "." in str(value) and name != "mm" else value}
    )
    assert other.key != plan.key
    kinds = ("mask", "brain", "resampled", "affine", "preproc", "dseg")
    files = [{getattr(p.results(tmp_path), kind)(p.key) for kind in kinds} for p in (plan, other)]
    assert not files[0] & files[1]


def test_templates_of_one_name_and_two_contents_lie_apart(plan, tmp_path):
    own = replace(plan, space=tmp_path / "space.yaml")
    before = own.results(tmp_path / "cache").root
    assert own.results(tmp_path / "cache").root == before
    (tmp_path / "other.nii.gz").write_text("another brain")
    assert own.results(tmp_path / "cache").root != before


def test_templates_of_two_voxel_sizes_lie_apart(plan, tmp_path):
    sizes = (4.0, 4.0000001, 1.0)
    assert len({replace(plan, mm=mm).results(tmp_path).template for mm in sizes}) == 3


def test_the_worker_is_told_what_the_key_is_made_of(plan, tmp_path):
    job = plan.job(tmp_path)
    told = {"t1w": job.t1w, "mm": job.mm, **job.options}
    assert told.pop("threads") == 1
    assert told == {
        field.name: str(value) if isinstance(value := getattr(plan, field.name), Path) else value
        for field in fields(Preparation)
        if field.name != "contrast"  # which the key says
    }


def test_a_name_does_not_matter(plan, tmp_path):
    (tmp_path / "renamed.nii.gz").write_text("scan")
    assert replace(plan, t1w=tmp_path / "renamed.nii.gz").key == plan.key


def test_options_of_a_request_reach_the_preparation(tmp_path):
    request = make_request("a.nii", "b.nii", None, {"mm": 2, "n4": True, "seed": 5})
    plans = [preparation(scan, request) for scan in request.scans.values()]
    assert [(p.mm, p.n4, p.seed, p.method) for p in plans] == [(2, True, 5, "deepbet")] * 2
    masked = make_request("a.nii", "b.nii", None, {"fixed_mask": "m.nii"})
    assert preparation(masked.fixed, masked).method == "mask"
    assert preparation(masked.moving, masked).mask is None


@pytest.mark.slow
def test_another_resolution_in_between_changes_nothing(two_brains, tmp_path):
    """1.2 mm were lost when the affine of another resolution took the place of the cached one."""
    given = {"method": "affine", "brain_extracted": True, "threads": 1, "cache": tmp_path}
    fields_ = [pmrpipe.register(*two_brains, mm=mm, **given).forward for mm in (8.0, 6.0, 8.0)]
    np.testing.assert_array_equal(fields_[0], fields_[2])
    assert np.abs(fields_[0] - fields_[1]).max() > 1e-3


@pytest.mark.parametrize(
    ("subject", "problem", "remedy", "said"),
    [
        ("{key}", "is not aligned to the template (overlap 0.50)", "exclude it", "--fixed-mask"),
        ("/cache/{key}_desc-brain_T1w.nii.gz", "leaves no brain", "look", "leaves no brain; look"),
        ("scan.nii", "found 0.10 litres", "(overrides.<subject>.mask)", "--fixed-mask"),
        ("scan.nii", "its header states no orientation", "say it", "--fixed-orientation RAS"),
        ("scan.nii", "so it is no extracted brain", "set input_state", "leave --brain-extracted"),
    ],
)
def test_messages_name_the_user_s_file_and_this_command_s_options(subject, problem, remedy, said):
    key = "sub-0123456789abcdef0123"
    with pytest.raises(WorkError) as caught, about("fixed", Scan(Path("scan.nii"))):
        raise WorkError(subject.format(key=key), problem, remedy)
    message = str(caught.value)
    assert message.startswith("scan.nii (fixed): ")
    assert said in message
    for word in ("sub-0", "overrides", "exclude", "input_state"):
        assert word not in message


def test_another_file_of_the_user_keeps_its_name():
    with (
        pytest.raises(WorkError, match=r"^mask.nii: is empty$"),
        about("fixed", Scan(Path("a.nii"))),
    ):
        raise WorkError("mask.nii", "is empty")


@pytest.mark.slow
def test_what_is_no_brain_is_refused_in_these_words(two_brains, tmp_path, capsys):
    noise = tmp_path / "noise.nii.gz"
    data = np.zeros((40, 40, 40), np.float32)
    data[8:32, 10:30, 16:24] = np.random.default_rng(0).uniform(1, 2, (24, 20, 8))
    nib.save(nib.Nifti1Image(data, np.diag([6.0, 4, 8, 1])), noise)
    words = ["register", noise, two_brains[1], "--output", tmp_path / "out", "--method", "affine"]
    words += ["--mm", 4, "--brain-extracted", "--no-cache", "--threads", 1]
    assert main([str(word) for word in words]) == 1
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert f"{noise} (moving): is not aligned to the template (" in last
    assert "is needed" in last
    assert "--moving-mask" in last
    assert "sub-" not in last.replace(str(noise), "")


@pytest.mark.slow
def test_a_newborn_s_brain_is_taken_with_a_warning_that_says_its_size(two_brains, tmp_path):
    """Case 16: 0.62 of an adult's head, refused before."""
    image = nib.load(two_brains[0])
    small = tmp_path / "newborn.nii.gz"
    data = np.asarray(image.dataobj)
    nib.save(nib.Nifti1Image(data, np.diag([0.57, 0.57, 0.57, 1]) @ image.affine), small)
    said: list[str] = []
    given = {"method": "affine", "brain_extracted": True, "threads": 1, "mm": 4.0}
    result = pmrpipe.register(small, two_brains[1], say=said.append, **given)
    (size,) = [line for line in said if "of the template's size" in line]
    assert size.startswith(f"warning: {small} (moving): its brain is 0.5")
    assert "scale_min low" in result.facts["doubtful"]["moving"]
    assert size.partition("(moving): ")[2] in result.facts["warnings"]["moving"]
    assert result.facts["ncc"] > 0.9
