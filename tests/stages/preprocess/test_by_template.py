"""Brain extraction by a head template, on simulated heads of other shape, contrast and pose."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from pmrpipe.base.errors import InputError
from pmrpipe.base.files import read_json
from pmrpipe.cli import main
from pmrpipe.images.volume import Volume, read_image, read_labels, read_mask, write_volume
from pmrpipe.stages.cohort.embedded.dataset import simulate_subject
from pmrpipe.stages.cohort.index import index
from pmrpipe.stages.preprocess.brain import extract_brain
from pmrpipe.stages.preprocess.template_extraction import read_head_template
from pmrpipe.study.config import parse


@pytest.fixture(scope="module")
def heads(tmp_path_factory) -> list[tuple[Path, Path]]:
    """A head and its true brain mask of two subjects: the first serves as template."""
    root = tmp_path_factory.mktemp("heads")
    heads = []
    for number in (1, 6):
        simulate_subject(root, number, mm=5.0)
        name = f"sub-{number:02d}"
        truth = root / "derivatives" / "truth" / name / "anat" / f"{name}_desc-brain_mask.nii.gz"
        heads.append((root / name / "anat" / f"{name}_T1w.nii.gz", truth))
    return heads


def dice(first: np.ndarray, second: np.ndarray) -> float:
    return 2 * (first & second).sum() / (first.sum() + second.sum())


@pytest.fixture(scope="module")
def masked(heads, tmp_path_factory) -> Path:
    """What the verb wrote of the second head."""
    (template, brain), (head, _) = heads
    out = tmp_path_factory.mktemp("out")
    given = [head, out / "mask.nii.gz", out / "brain.nii.gz", "--method", "template"]
    given += ["--head-template", template, "--brain-template", brain]
    assert main(["brain", *map(str, given)]) == 0
    return out


def test_the_verb(masked, heads):
    (template, brain), (head, truth) = heads
    assert dice(read_mask(masked / "mask.nii.gz").data, read_mask(truth).data) > 0.93
    sidecar = read_json(masked / "mask.json")
    assert sidecar["Method"] == "template"
    assert sidecar["Sources"] == [head.name, template.name, brain.name]
    assert len(sidecar["SourcesSHA256"]) == 3


def test_the_same_again_from_python(masked, heads):
    template = read_head_template(*heads[0])
    again = extract_brain(read_image(heads[1][0]), "template", template=template)
    assert again.data.dtype == bool
    np.testing.assert_array_equal(again.data, read_mask(masked / "mask.nii.gz").data)


@pytest.mark.slow
def test_a_head_that_lies_upside_down(heads):
    """The header need not be right."""
    head, truth = read_image(heads[1][0]), read_mask(heads[1][1]).data
    turned = Volume(head.data, np.diag([1.0, -1, -1, 1]) @ head.affine)
    mask = extract_brain(turned, "template", template=read_head_template(*heads[0])).data
    assert dice(mask, truth) > 0.93


def test_the_brain_may_be_probabilities_a_mask_or_cut_out(heads, tmp_path):
    head, mask = read_image(heads[0][0]), read_mask(heads[0][1])
    kinds = {"half": mask.data * 0.5, "mask": mask.data * 1.0, "brain": mask.data * head.data}
    masks = {}
    for name, data in kinds.items():
        write_volume(tmp_path / f"{name}.nii.gz", data.astype(np.float32), mask.affine)
        read = read_head_template(heads[0][0], tmp_path / f"{name}.nii.gz")
        masks[name] = read.probability.data
    np.testing.assert_array_equal(masks["half"], mask.data * 0.5)
    np.testing.assert_array_equal(masks["mask"], mask.data)
    np.testing.assert_array_equal(masks["brain"], mask.data & (head.data > 0))


def test_what_is_missing_or_wrong_is_told(heads, tmp_path):
    head = read_image(heads[1][0])
    with pytest.raises(InputError, match=r"scan\.nii: has no head template"):
        extract_brain(head, "template", name="scan.nii")
    with pytest.raises(InputError, match="same voxel grid"):
        read_head_template(heads[0][0], heads[1][1])
    flat = Volume(np.where(np.indices((30, 30, 30)).sum(0) % 2, 9.0, 8.0), np.diag([4.0, 4, 4, 1]))
    template = read_head_template(*heads[0])
    with pytest.raises(InputError, match=r"scan\.nii: holds no head"):
        extract_brain(flat, "template", template=template, name="scan.nii")


def test_the_configuration_chooses_it_per_subject(tmp_path):
    for name in ("sub-A", "sub-B"):
        (tmp_path / name / "anat").mkdir(parents=True)
        (tmp_path / name / "anat" / f"{name}_T1w.nii.gz").touch()
    one = {"overrides": {"B": {"brain": "template"}}}
    files = {"head_template": {"head": "head.nii.gz", "brain": "brain.nii.gz"}}
    cohort = index(parse({"root": str(tmp_path)} | one | files))
    assert [scan.brain for scan in cohort.scans] == ["deepbet", "template"]
    with pytest.raises(InputError, match=r"sub-B: .*no template; set head_template"):
        index(parse({"root": str(tmp_path)} | one))


@pytest.mark.slow
@pytest.mark.real_data
def test_a_real_head_by_colin27(shared_data):
    """Debian's mricron-data has the head and its brain; the other head has FreeSurfer's labels."""
    folder = Path(os.environ.get("PMRPIPE_MRICRON", "/usr/share/mricron/templates"))
    if not (folder / "ch2bet.nii.gz").exists():
        pytest.skip(f"no ch2bet.nii.gz in {folder}: apt install mricron-data, or PMRPIPE_MRICRON")
    template = read_head_template(folder / "ch2.nii.gz", folder / "ch2bet.nii.gz")
    path = shared_data / "heads/sub-swm/anat/sub-swm_T1w.nii.gz"
    mask = extract_brain(read_image(path), "template", template=template, name=path).data
    labels = read_labels(path.with_name("sub-swm_desc-aparcaseg_dseg.nii.gz")).data > 0
    assert dice(mask, labels) > 0.88
