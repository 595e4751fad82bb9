"""The steps on files: outputs, sidecars, faults, and the Nipype workflow giving the same bytes."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from pmrpipe.base.errors import InputError, WorkError
from pmrpipe.images.transforms import read_affine, write_affine
from pmrpipe.images.volume import read_image, read_labels, write_volume
from pmrpipe.stages.preprocess import affine, brain, labels, resample, space, whiten, workflow
from pmrpipe.stages.preprocess.pack import pack_files
from pmrpipe.study.options.preprocessing import (
    Extraction,
    Gridded,
    Labelling,
    Normalisation,
    Preprocessing,
)
from pmrpipe.study.pack import open_arrays
from pmrpipe.study.paths import Results
from pmrpipe.study.sidecar import sidecar_path
from tests.stages.preprocess.conftest import MM, distance

KEY = "sub-01"
SAME = Preprocessing(mm=MM, state="brain")


def by_steps(root: Path, t1w: Path, dseg: Path) -> Results:
    paths = Results(root, MM)
    space.run(paths.template, paths.preproc(paths.space.key), Gridded(mm=MM))
    options = Extraction(state="brain", method="nonzero")
    brain.run(t1w, paths.mask(KEY), paths.brain(KEY), options)
    resample.run(paths.brain(KEY), paths.resampled(KEY), Gridded(mm=MM))
    xfm = paths.affine(KEY)
    files = paths.resampled(KEY), paths.template, xfm, sidecar_path(xfm)
    affine.run(*files, Normalisation(), subject=KEY)
    whiten.run(paths.brain(KEY), paths.mask(KEY), xfm, paths.template, paths.preproc(KEY))
    labels.run(dseg, t1w, xfm, paths.template, paths.dseg(KEY), Labelling())
    return paths


@pytest.fixture(scope="module")
def done(tmp_path_factory, subject) -> tuple[Results, Path, Path]:
    folder = tmp_path_factory.mktemp("steps")
    t1w, dseg = subject.write(folder)
    return by_steps(folder / "results", t1w, dseg), t1w, dseg


def content(root: Path) -> dict[str, bytes]:
    files = (path for path in root.rglob("*") if path.is_file())
    return {str(path.relative_to(root)): path.read_bytes() for path in files}


def test_outputs(done, subject, template):
    paths, t1w, _ = done
    assert distance(read_affine(paths.affine(KEY)), subject.matrix, template) < 1
    image, labels = read_image(paths.preproc(KEY)), read_labels(paths.dseg(KEY))
    assert image.grid == labels.grid == template.grid
    assert image.data.min() == 0
    assert image.data.max() <= 1
    inside = template.data > 0.2
    assert np.corrcoef(image.data[inside], template.data[inside])[0, 1] > 0.9
    native, mask = read_image(t1w), read_image(paths.mask(KEY))
    assert native.grid == mask.grid == read_image(paths.brain(KEY)).grid
    assert nib.load(paths.mask(KEY)).get_data_dtype() == np.uint8


def test_sidecars(done):
    paths, _, _ = done
    for image in paths.root.rglob("*.nii.gz"):
        sidecar = json.loads(sidecar_path(image).read_text())
        assert sidecar["Sources"]
        assert all("/" not in source for source in sidecar["Sources"])
    sidecar = json.loads(sidecar_path(paths.affine(KEY)).read_text())
    assert "MNI152NLin2009aSym (fixed) to points of the T1w (moving)" in sidecar["Direction"]
    assert sidecar["Frame"].startswith("LPS")
    assert sidecar["Units"] == "mm"
    assert sidecar["Quality"]["mask_dice"] > 0.9
    np.testing.assert_allclose(sidecar["MatrixRAS"], read_affine(paths.affine(KEY)), atol=1e-8)


def test_second_run_gives_the_same_bytes(done, tmp_path):
    paths, t1w, dseg = done
    by_steps(tmp_path, t1w, dseg)
    assert content(tmp_path) == content(paths.root)


def test_workflow_gives_the_same_bytes(done, tmp_path, monkeypatch):
    paths, t1w, dseg = done
    monkeypatch.chdir(tmp_path)
    relative = Path("../") / t1w.relative_to(tmp_path.parent)
    root = tmp_path / "results"
    workflow.run(relative, Results(root, MM), KEY, SAME.model_copy(update={"labels": dseg}))
    assert content(root) == content(paths.root)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["results"]


def test_workflow_ends_in_the_step_s_own_line(done, tmp_path, capfd):
    _, t1w, _ = done
    other = tmp_path / "other.nii.gz"
    write_volume(other, np.ones((5, 5, 5), np.int16), np.eye(4))
    with pytest.raises(InputError, match=r"other\.nii\.gz: shape 5x5x5 differs") as caught:
        workflow.run(
            t1w, Results(tmp_path / "r", MM), KEY, SAME.model_copy(update={"labels": other})
        )
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "r" / KEY).exists()  # nothing half done
    with pytest.raises(InputError, match="no such file"):
        workflow.run(tmp_path / "no.nii.gz", Results(tmp_path / "r", MM), KEY, SAME)
    assert "Traceback" not in capfd.readouterr().err


def test_brain_of_a_brain_is_never_by_deepbet(done, tmp_path):
    _, t1w, _ = done
    brain.run(t1w, tmp_path / "m.nii.gz", tmp_path / "b.nii.gz", Extraction(state="brain"))
    assert json.loads((tmp_path / "m.json").read_text())["Method"] == "nonzero"


def test_given_mask(done, tmp_path):
    paths, t1w, _ = done
    given, out = paths.mask(KEY), tmp_path / "m.nii.gz"
    brain.run(t1w, out, tmp_path / "b.nii.gz", Extraction(method="mask", mask=given))
    np.testing.assert_array_equal(read_labels(out).data, read_labels(given).data)
    assert json.loads((tmp_path / "m.json").read_text())["Sources"] == [t1w.name, given.name]


def test_labels_faults(done, tmp_path):
    paths, t1w, dseg = done
    native, out = read_labels(dseg), tmp_path / "out.nii.gz"

    def refused(data, affine, words: str) -> None:
        write_volume(tmp_path / "bad.nii.gz", data, affine)
        files = tmp_path / "bad.nii.gz", t1w, paths.affine(KEY), paths.template, out
        with pytest.raises(InputError, match=rf"bad\.nii\.gz: {words}"):
            labels.run(*files, Labelling())
        assert not out.exists()

    refused(native.data[1:], native.affine, "shape")
    refused(native.data, native.affine * [1.02, 1, 1, 1], "its affine differs")
    refused(native.data * 0, native.affine, "holds no label")
    refused(native.data * 0.5, native.affine, "holds values that are no integers")


def test_orientation_given_where_headers_have_none(done, tmp_path, subject):
    """Analyze files without orientation, T1w and labels alike."""
    paths, _, _ = done
    for name, volume in (("t1w", subject.brain), ("dseg", subject.labels)):
        data = volume.data * 900 if name == "t1w" else volume.data
        image = nib.AnalyzeImage(data.astype(np.int16), np.diag([4.4, 3.8, 4.0, 1]))
        nib.save(image, tmp_path / f"{name}.hdr")
    given = tmp_path / "t1w.hdr", tmp_path / "m.nii.gz", tmp_path / "b.nii.gz"
    with pytest.raises(InputError, match="states no orientation"):
        brain.run(*given, Extraction(state="brain"))
    brain.run(*given, Extraction(state="brain", orientation="PIR"))
    assert nib.aff2axcodes(read_image(given[2]).affine) == ("P", "I", "R")
    away, out = tmp_path / "away.mat", tmp_path / "out.nii.gz"
    write_affine(away, np.array([[1, 0, 0, 900], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]]))
    given = tmp_path / "dseg.hdr", tmp_path / "t1w.hdr", away, paths.template, out
    with pytest.raises(WorkError, match="no label on the template grid"):
        labels.run(*given, Labelling(orientation="PIR"))


def test_pack(done, tmp_path):
    paths, _, _ = done
    out = tmp_path / "a.safetensors"
    images = {KEY: paths.preproc(KEY), paths.space.key: paths.preproc(paths.space.key)}
    pack_files(images, {KEY: paths.dseg(KEY)}, out, labels=[1, 2])
    packed = open_arrays(out)
    assert list(packed.keys) == sorted(images)
    expected = read_image(paths.preproc(KEY)).data
    stored = packed.image(KEY, expected.shape)[0, 0].numpy()
    np.testing.assert_allclose(stored, expected, atol=1e-5)
    np.testing.assert_array_equal(packed.dseg(KEY)[0, 0], read_labels(paths.dseg(KEY)).data)
    with pytest.raises(InputError, match="shape"):
        pack_files({**images, "sub-02": paths.brain(KEY)}, {}, out)


def test_interfaces_describe_every_trait():
    workflow.isolate_nipype()
    from pmrpipe.stages.preprocess import interfaces

    classes = [c for c in vars(interfaces).values() if hasattr(c, "_step")]
    assert len(classes) == 6
    for interface in classes:
        for spec in (interface.input_spec(), interface.output_spec()):
            for name in spec.copyable_trait_names():
                assert spec.trait(name).desc
