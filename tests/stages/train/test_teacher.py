"""A network learns what a teacher says."""

from pathlib import Path

import numpy as np
import pytest
import torch

from pmrpipe.base.errors import InputError
from pmrpipe.base.files import read_json, read_tsv
from pmrpipe.images.volume import Grid
from pmrpipe.methods.batch import Batch
from pmrpipe.methods.load import build, load_method
from pmrpipe.methods.refine import Greedy
from pmrpipe.methods.spec import Schedule, spec
from pmrpipe.stages.train.fit import fit
from pmrpipe.study.pack import open_arrays
from pmrpipe.study.target_pack import open_targets, pack_targets
from tests.helpers.packs import KEYS, write_pack

IMITATE = spec(str(Path(__file__).resolve().parents[2] / "helpers" / "imitate.yaml"))
PAIRS = [(m, f) for m in KEYS[:3] for f in KEYS[:3] if m != f]


@pytest.fixture(scope="module")
def lesson(tmp_path_factory):
    """Arrays of four scans, and greedy's fields of the ordered pairs of three."""
    folder = tmp_path_factory.mktemp("lesson")
    arrays = open_arrays(write_pack(folder / "arrays.safetensors"))
    images = {key: arrays.image(key, arrays.grid.shape) for key in KEYS}
    greedy = Greedy(mm=(4.0, 2.0), steps=10)

    def field(moving, fixed):
        deformation = greedy.register(images[moving], images[fixed], arrays.grid)
        return deformation.resampled(grid).millimetres()

    grid = arrays.grid.rescaled(2.0)
    fields = {pair: field(*pair) for pair in PAIRS}
    out = folder / "targets.safetensors"
    pack_targets({p: lambda f=f: f for p, f in fields.items()}, grid, out, "greedy")
    return arrays.path, out, fields


def student(**changes):
    schedule = Schedule(learning_rate=1e-3, max_steps=60, validate_every=15)
    return IMITATE.model_copy(update={"schedule": schedule.model_copy(update=changes)})


def learn(method, lesson, out, **options):
    words = {"train": KEYS[:3], "network_mm": 2.0, "device": "cpu", "targets": lesson[1]}
    fit(method, lesson[0], out, **(words | options))
    return read_tsv(out / "history.tsv")


def test_the_fields_come_back_to_a_hundredth_of_a_millimetre(lesson):
    targets = open_targets(lesson[1])
    assert targets.teacher == "greedy"
    assert list(targets.pairs) == PAIRS
    for pair, field in lesson[2].items():
        np.testing.assert_allclose(targets.field(pair), field, atol=0.01)


def test_it_comes_nearer_to_its_teacher(lesson, tmp_path):
    history = learn(student(), lesson, tmp_path)
    assert history["total"].iloc[-1] < 0.8 * history["total"].iloc[0]
    model = read_json(tmp_path / "model.json")
    assert model["teacher"] == {"method": "greedy", "pairs": 6}


def test_it_learns_from_patches_and_resumes_to_the_byte(lesson, tmp_path):
    change = {"patch": 10, "augmentation": {"flip": True}, "validate_every": 3}
    schedule = Schedule.model_validate(change | {"max_steps": 3})
    short = IMITATE.model_copy(update={"schedule": schedule})
    long = IMITATE.model_copy(update={"schedule": schedule.model_copy(update={"max_steps": 6})})
    learn(short, lesson, tmp_path / "cut")
    learn(long, lesson, tmp_path / "cut")
    learn(long, lesson, tmp_path / "whole")
    cut, whole = (tmp_path / name / "weights.safetensors" for name in ("cut", "whole"))
    assert cut.read_bytes() == whole.read_bytes()


def test_without_labels_validation_sees_the_images(lesson, tmp_path):
    arrays = write_pack(tmp_path / "plain.safetensors", labelled=())
    short = student(max_steps=2, validate_every=2)
    history = learn(short, (arrays, lesson[1]), tmp_path / "fit", validation=KEYS[3:])
    assert history["validation_correlation"].between(0.2, 1).all()


def test_a_student_without_its_teacher_s_results_is_refused(lesson, tmp_path):
    with pytest.raises(InputError, match="imitate: learns from `greedy`, of which there are no"):
        learn(student(), lesson, tmp_path, targets=None)
    with pytest.raises(InputError, match="no such file"):
        learn(student(), lesson, tmp_path, targets=tmp_path / "none")
    with pytest.raises(InputError, match="holds no teacher's fields"):
        learn(student(), lesson, tmp_path, targets=lesson[0])


def test_where_weighs_the_voxels_of_the_loss():
    grid = Grid((12, 12, 12), np.eye(4))
    image = torch.rand(1, 1, *grid.shape, generator=torch.Generator().manual_seed(0))
    method = build(IMITATE, 1.0)
    target = method.deform(image, image, grid)
    shifted = target.displacement.detach().clone()
    shifted[:, :, :6] += 1
    half = torch.zeros_like(image)
    half[:, :, :6] = 1
    moved = type(target)(shifted, grid)
    for where, loss in ((None, 1.5), (half, 3.0), (1 - half, 0.0)):
        total = method.objective(Batch(image, image, grid, moved, where))["total"]
        assert float(total.detach()) == pytest.approx(loss, abs=1e-5)
    with pytest.raises(ValueError, match="without the deformation of a teacher"):
        method.objective(Batch(image, image, grid))


def test_trained_weights_are_loaded_as_any(lesson, tmp_path):
    learn(student(max_steps=1, validate_every=1), lesson, tmp_path)
    path = Path(__file__).resolve().parents[2] / "helpers" / "imitate.yaml"
    method, _ = load_method(str(path), weights=tmp_path, network_mm=2.0)
    assert method.teacher.pairs == 300
