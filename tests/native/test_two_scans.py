"""`pmrpipe register` on two simulated heads, oblique and of different orientation, at 4 mm."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import pmrpipe
from pmrpipe.base.errors import InputError, WorkError, retold
from pmrpipe.base.files import read_json, sha256
from pmrpipe.cli import main
from pmrpipe.images.resampling import moved_points, resample, sample_points
from pmrpipe.images.transforms import read_field, read_transform
from pmrpipe.images.volume import read_image, read_labels
from pmrpipe.methods.load import shipped_weights
from pmrpipe.methods.refine import UNCERTAINTY_FACTOR
from pmrpipe.methods.spec import spec
from pmrpipe.methods.weights import WEIGHTS
from pmrpipe.metrics.overlap import label_overlap
from pmrpipe.native.request import Scan
from pmrpipe.stages.cohort.embedded.dataset import simulate_subject

FORWARD = "from-moving_to-fixed_mode-image_xfm.nii.gz"
INVERSE = "from-fixed_to-moving_mode-image_xfm.nii.gz"
WARPED = "space-fixed_desc-moving_T1w.nii.gz"
DSEG = "space-fixed_desc-moving_dseg.nii.gz"


@pytest.fixture(scope="module")
def heads(tmp_path_factory):
    """T1w, mask and labels of two subjects."""
    root = tmp_path_factory.mktemp("heads")
    subjects = []
    for index in (6, 7):
        simulate_subject(root, index, mm=4.0)
        name = f"sub-{index:02d}"
        truth = root / "derivatives" / "truth" / name / "anat"
        subjects.append(
            {
                "t1w": next(root.glob(f"{name}/anat/*_T1w.nii.gz")),
                "mask": next(truth.glob("*mask.nii.gz")),
                "labels": next(truth.glob("*_dseg.nii.gz")),
            }
        )
    return subjects


def arguments(heads, out, *more):
    words = ["register", heads[0]["t1w"], heads[1]["t1w"], "--output", out, "--mm", 4]
    words += ["--moving-mask", heads[0]["mask"], "--fixed-mask", heads[1]["mask"]]
    return [str(word) for word in [*words, "--threads", 1, *more]]


@pytest.fixture(scope="module")
def done(heads, tmp_path_factory):
    """The folder that the verb wrote, by SyN."""
    out = tmp_path_factory.mktemp("done") / "with space ü"
    cache = out.parent / "cache"
    given = arguments(heads, out, "--labels", heads[0]["labels"], "--cache", cache)
    given += ["--method", "syn"]
    assert main(given) == 0
    return out


def test_it_writes_what_it_says(done, heads):
    names = sorted(path.name for path in done.iterdir())
    expected = {FORWARD, INVERSE, WARPED, DSEG, "register.json", "qc.html"}
    sidecars = {name.replace(".nii.gz", ".json") for name in (FORWARD, INVERSE)}
    assert set(names) == expected | sidecars | {"space-fixed_desc-jacobian_map.nii.gz"}
    fixed = read_image(heads[1]["t1w"])
    for name in (FORWARD, WARPED, DSEG):
        grid = read_field(done / name)[1] if name == FORWARD else read_image(done / name).grid
        assert grid == fixed.grid
    facts = read_json(done / "register.json")
    assert facts["method"] == "syn"
    assert facts["ncc"] > facts["ncc_affine"] + 0.03
    assert facts["folding_percent"] == 0
    sidecar = read_json(done / FORWARD.replace(".nii.gz", ".json"))
    assert sidecar["Units"] == "mm"
    assert "points of the fixed scan to points of the moving scan" in sidecar["Direction"]


def test_the_labels_meet(done, heads):
    fixed = read_labels(heads[1]["labels"])
    points = sample_points(fixed.grid)
    before = resample(read_labels(heads[0]["labels"]), points, "nearest")
    dice = [
        np.nanmean(label_overlap(fixed.data, warped).dice)
        for warped in (before, read_labels(done / DSEG).data)
    ]
    assert dice[1] > 0.5
    assert dice[1] > dice[0] + 0.2


def test_ants_gives_the_same_from_the_written_field(done, heads):
    import ants

    for name, source, way in ((WARPED, "t1w", "linear"), (DSEG, "labels", "nearestNeighbor")):
        theirs = ants.apply_transforms(
            ants.image_read(str(heads[1]["t1w"])),
            ants.image_read(str(heads[0][source])),
            [str(done / FORWARD)],
            interpolator=way,
        ).numpy()
        ours = read_image(done / name).data
        if way == "linear":
            assert np.mean(np.abs(ours - theirs) > 1e-3 * np.ptp(ours)) <= 1e-3
        else:
            assert np.mean(ours != np.rint(theirs)) <= 1e-3


def test_there_and_back_is_where_it_began(done, heads):
    mask = read_image(heads[1]["mask"]).data > 0
    points = sample_points(read_image(heads[1]["t1w"]).grid)[mask].T
    links = [read_transform(done / FORWARD), read_transform(done / INVERSE)]
    missed = np.linalg.norm(moved_points(points, links) - points, axis=0)
    assert np.mean(missed) < 0.4  # a tenth of a voxel


def test_the_jacobian_is_the_volume_ratio(done, heads):
    """Its mean over the fixed brain is the moving brain's volume over the fixed one's."""
    volumes = []
    for head in heads:
        mask = read_image(head["mask"])
        volumes.append((mask.data > 0).sum() * abs(np.linalg.det(mask.affine[:3, :3])))
    mask = read_image(heads[1]["mask"]).data > 0
    jacobian = read_image(done / "space-fixed_desc-jacobian_map.nii.gz").data[mask].mean()
    assert jacobian == pytest.approx(volumes[0] / volumes[1], rel=0.05)


def test_from_python_the_same_and_from_the_cache(done, heads):
    said = []
    scans = [Scan(head["t1w"], mask=head["mask"]) for head in heads]
    registration = pmrpipe.register(
        *scans, method="syn", mm=4.0, threads=1, cache=done.parent / "cache", say=said.append
    )
    assert sum("preprocessed before" in line for line in said) == 2
    stored, grid = read_field(done / FORWARD)
    assert grid == registration.fixed_grid
    np.testing.assert_allclose(registration.forward, stored, rtol=0, atol=1 / 2048)
    assert registration.labels is None
    assert callable(pmrpipe.register)


def test_without_a_method_it_is_the_shipped_network_refined(done, heads):
    scans = [Scan(head["t1w"], mask=head["mask"]) for head in heads]
    options = {"mm": 4.0, "threads": 1, "cache": done.parent / "cache"}
    refined, network = (pmrpipe.register(*scans, refine=n, **options) for n in (None, 0))
    assert refined.facts["method"] == "pmr-plus"
    assert refined.facts["refine"] == spec("pmr-plus").refine > 0
    assert refined.facts["weights_sha256"] == sha256(shipped_weights("pmr-plus") / WEIGHTS)
    assert refined.facts["refine_mm"] == 1.0
    assert "refine" not in network.facts
    # On such a grid the network is finer than the optimisation, whose displacements are 8 mm apart.
    assert min(refined.facts["ncc"], network.facts["ncc"]) > network.facts["ncc_affine"]
    assert refined.facts["folding_percent"] == 0
    accurate = pmrpipe.register(*scans, accurate=True, **options).facts
    assert (accurate["refine"], accurate["refine_elastic"]) == (2 * refined.facts["refine"], 0.5)
    assert accurate["ncc"] > refined.facts["ncc"]
    with pytest.raises(InputError, match="accurate: is for instance optimisation"):
        pmrpipe.register(*scans, accurate=True, refine=0, **options)
    with pytest.raises(InputError, match=r"accurate: means refine_elastic 0\.5, and 0\.8 is given"):
        pmrpipe.register(*scans, accurate=True, refine_elastic=0.8, **options)


@pytest.mark.slow
def test_weights_can_be_tuned_to_the_two_scans(done, heads):
    scans = [Scan(head["t1w"], mask=head["mask"]) for head in heads]
    options = {"mm": 4.0, "threads": 1, "cache": done.parent / "cache"}
    tuned = pmrpipe.register(*scans, finetune=2, finetune_rate=1e-4, **options).facts
    assert (tuned["finetune"], tuned["finetune_rate"]) == (2, 1e-4)
    assert tuned["finetune_objective"][1] < tuned["finetune_objective"][0]
    assert "refine" not in tuned


@pytest.mark.slow
def test_brains_are_extracted_by_a_head_template(heads, tmp_path):
    """The fixed head serves as its own template: its brain is the known one."""
    cache = tmp_path / "cache"
    words = [heads[0]["t1w"], heads[1]["t1w"], "--output", tmp_path / "out", "--mm", 4]
    words += ["--head-template", heads[1]["t1w"], "--brain-template", heads[1]["mask"]]
    words += ["--method", "affine", "--threads", 1, "--cache", cache]
    assert main(["register", *map(str, words)]) == 0
    masks = sorted(cache.rglob("*_desc-brain_mask.nii.gz"))
    truth = {read_image(head["mask"]).shape: read_image(head["mask"]).data > 0 for head in heads}
    assert len(masks) == len(truth) == 2
    for path in masks:
        mask = read_image(path).data > 0
        known = truth[mask.shape]
        assert 2 * (mask & known).sum() / (mask.sum() + known.sum()) > 0.9
        assert read_json(path.with_name(path.name.split(".")[0] + ".json"))["Method"] == "template"


def test_the_page_needs_nothing_else(done):
    page = (done / "qc.html").read_text(encoding="utf-8")
    assert page.count("data:image/png;base64,") == 6
    assert "http://" not in page
    assert "https://" not in page
    assert str(done.parent) not in page


@pytest.mark.parametrize(
    ("change", "code", "said"),
    [
        ({"labels": "mask.nii.gz"}, 2, "mask.nii.gz: no such file"),
        ({"method": "pmr"}, 2, "pmr: needs weights"),
        ({"threads": "-2"}, 2, "--threads: should be greater than or equal to 1, got -2"),
        ({"mm": "0"}, 2, "--mm: should be greater than 0"),
        ({"refine": "-5"}, 2, "--refine: should be greater than or equal to 0"),
        ({"refine-mm": "0"}, 2, "--refine-mm: should be greater than 0"),
        ({"uncertainty": "-1"}, 2, "--uncertainty: should be greater than or equal to 0"),
        ({"seed": "-1"}, 2, "--seed: should be greater than or equal to 0"),
        ({"moving-orientation": "RAR"}, 2, "--moving-orientation: "),
        ({"method": "nothing"}, 2, "nothing: is neither a method"),
        ({"method": "syn", "refine": "5"}, 2, "syn: is no network"),
        ({"method": "syn", "finetune": "5"}, 2, "syn: is no network: it has no weights"),
        ({"finetune": "5", "refine": "5"}, 2, "--finetune: both optimise the pair"),
        ({"method": "voxelmorph", "finetune": "5"}, 2, "voxelmorph: needs weights"),
        ({"head-template": "zero.nii.gz"}, 2, "--head-template: goes with brain_template"),
        ({"moving-mask": "zero.nii.gz"}, 2, "zero.nii.gz: is an empty mask"),
        ({"labels": "t1w.nii.gz"}, 2, "t1w.nii.gz: is the scan itself"),
        ({"labels": ""}, 2, "--labels: is an empty path"),
    ],
)
def test_bad_input_ends_in_one_line(heads, tmp_path, monkeypatch, capsys, change, code, said):
    from pmrpipe.images.volume import write_volume

    monkeypatch.chdir(tmp_path)
    mask = read_image(heads[0]["mask"])
    write_volume("zero.nii.gz", np.zeros(mask.shape, np.uint8), mask.affine)
    Path("t1w.nii.gz").symlink_to(heads[0]["t1w"])
    words = [word for key, value in change.items() for word in (f"--{key}", value)]
    assert main(arguments(heads, tmp_path / "out", "--no-cache", *words)) == code
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert last.startswith("pmrpipe register: error: ")
    assert said in last
    assert not list(tmp_path.glob("out/*"))


def test_an_unreadable_scan_and_an_unwritable_folder(heads, tmp_path, capsys):
    broken = tmp_path / "broken.nii.gz"
    broken.write_bytes(heads[0]["t1w"].read_bytes()[:5000])
    words = ["register", str(broken), str(heads[1]["t1w"]), "--output"]
    assert main([*words, str(tmp_path / "out")]) == 2
    assert "broken.nii.gz (moving): is truncated" in capsys.readouterr().err
    (tmp_path / "file").write_text("")
    assert main([*words, str(tmp_path / "file")]) == 2
    assert "file: is no folder" in capsys.readouterr().err


def test_an_error_of_another_process_is_told_again():
    one = retold("pmrpipe preprocess: error: a.nii: is empty; remedy: more", 2)
    assert (type(one), str(one)) == (InputError, "a.nii: is empty; remedy: more")
    other = retold("Killed", 137)
    assert isinstance(other, WorkError)
    assert "137" in str(other)


def test_it_starts_fast_enough_to_ask_for_help():
    command = [sys.executable, "-m", "pmrpipe", "register", "--help"]
    where = str(Path(pmrpipe.__file__).parents[1])
    done = subprocess.run(command, capture_output=True, text=True, env={"PYTHONPATH": where})
    assert "fixed scan" in done.stdout


def test_the_uncertainty_lies_on_the_fixed_scan(heads, done, tmp_path):
    given = arguments(heads, tmp_path, "--refine", 0, "--uncertainty", 3)
    assert main([*given, "--cache", str(done.parent / "cache")]) == 0
    uncertainty = read_image(tmp_path / "space-fixed_desc-uncertainty_map.nii.gz")
    assert uncertainty.grid == read_image(heads[1]["t1w"]).grid
    brain = read_image(heads[1]["mask"]).data > 0
    assert np.mean(uncertainty.data[brain] > 0) > 0.95
    assert np.mean(uncertainty.data[~brain] > 0) < 0.2  # at its edge voxels are shared
    facts = read_json(tmp_path / "register.json")
    assert facts["uncertainty_samples"] == 3
    assert facts["uncertainty_factor"] == spec("pmr-plus").uncertainty_factor


def test_an_optimised_pair_has_the_uncertainty_of_its_optimisation(heads, done, tmp_path):
    given = arguments(heads, tmp_path, "--refine", 4, "--refine-mm", 2, "--uncertainty", 2)
    assert main([*given, "--cache", str(done.parent / "cache")]) == 0
    uncertainty = read_image(tmp_path / "space-fixed_desc-uncertainty_map.nii.gz")
    assert np.mean(uncertainty.data[read_image(heads[1]["mask"]).data > 0] > 0) > 0.95
    assert read_json(tmp_path / "register.json")["uncertainty_factor"] == UNCERTAINTY_FACTOR


def test_what_has_no_posterior_has_no_uncertainty(heads, tmp_path, capsys):
    for words in (
        ["--uncertainty", "3", "--refine", "0", "--finetune", "2"],
        ["--uncertainty", "3", "--method", "affine"],
    ):
        assert main([*arguments(heads, tmp_path / "out"), *words]) == 2
        assert "has no posterior" in capsys.readouterr().err
    assert main([*arguments(heads, tmp_path / "out"), "--refine", "0", "--uncertainty", "1"]) == 2
    assert "at least 2" in capsys.readouterr().err
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir())
