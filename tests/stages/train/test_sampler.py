"""What a step sees: cohorts by weight, pairs, targets that follow their images, patches."""

import math
import random
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from pmrpipe.base.errors import InputError
from pmrpipe.images.volume import Grid
from pmrpipe.methods.batch import Batch
from pmrpipe.methods.deformation import ConsistentPair, Deformation
from pmrpipe.methods.geodesic_file import kernel_meta
from pmrpipe.methods.spec import Augmentation, Schedule
from pmrpipe.spatial.kernels import Fluid, KernelOnGrid
from pmrpipe.spatial.smooth import smoothed
from pmrpipe.stages.train.augment import mirrored, patch
from pmrpipe.stages.train.cohorts import TrainingCohort
from pmrpipe.stages.train.images import Held
from pmrpipe.stages.train.sampler import Sampler
from pmrpipe.study.pack import Arrays, open_arrays
from pmrpipe.study.target_pack import Momenta, open_targets, pack_targets
from tests.helpers.packs import KEYS, write_pack

GRID = Grid((14, 12, 10), np.diag([2.0, 2, 2, 1]))


def nobody(count: int, scans: int = 1) -> tuple[Arrays, tuple[str, ...]]:
    keys = tuple(f"sub-{n}_ses-{s}" for n in range(count) for s in range(scans))
    return Arrays(Path("none"), GRID, keys, frozenset(), ()), keys


def noise(channels: int, seed: int, size: float = 1.0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return smoothed(size * torch.randn(1, channels, *GRID.shape, generator=generator), 1.0)


def taught_batch() -> Batch:
    pair = ConsistentPair(noise(3, 4, 3.0))
    target = Deformation(noise(3, 3, 3.0), GRID, pair)
    return Batch(noise(1, 1).abs(), noise(1, 2).abs(), GRID, target)


def test_every_cohort_is_drawn_by_its_weight_whatever_its_size():
    weights, sizes = (1.0, 2.0, 0.5), (40, 3, 7)
    cohorts = [
        TrainingCohort(str(n), *nobody(size, scans=2), weight)
        for n, (weight, size) in enumerate(zip(weights, sizes, strict=True))
    ]
    sampler, steps = Sampler(cohorts, GRID, Schedule()), 10_000
    drawn = Counter()
    for step in range(steps):
        cohort, (moving, fixed) = sampler.draw_pair(random.Random(f"1 {step}"))
        drawn[cohort.name] += 1
        assert moving.split("_")[0] != fixed.split("_")[0]
        assert {moving, fixed} <= set(cohort.train)
    for n, weight in enumerate(weights):
        share = weight / sum(weights)
        deviation = (steps * share * (1 - share)) ** 0.5
        assert abs(drawn[str(n)] - steps * share) < 3 * deviation


def test_one_cohort_leaves_the_draws_as_they_were():
    cohort = TrainingCohort("own", *nobody(5))
    one, two = random.Random(3), random.Random(3)
    moving = two.choice(cohort.train)
    fixed = two.choice([key for key in cohort.train if key != moving])
    assert Sampler([cohort], GRID, Schedule()).draw_pair(one)[1] == (moving, fixed)


def test_a_mirrored_target_says_the_same_of_mirrored_images():
    batch = taught_batch()
    turned = mirrored(batch)
    for one, two in (
        (batch.target.apply(batch.moving), turned.target.apply(turned.moving)),
        (batch.target.inverse().apply(batch.fixed), turned.target.inverse().apply(turned.fixed)),
    ):
        assert torch.allclose(one.flip(2), two, atol=1e-5)
    again = mirrored(turned)
    assert torch.equal(again.target.displacement, batch.target.displacement)


def test_a_patch_is_one_place_of_everything_and_its_grid_says_which():
    batch = taught_batch()
    cut = patch(batch, 6, random.Random(0))
    start = np.linalg.solve(GRID.affine, cut.grid.affine[:, 3])[:3].round().astype(int)
    cube = tuple(slice(first, first + 6) for first in start)
    assert torch.equal(cut.moving, batch.moving[:, :, *cube])
    assert torch.equal(cut.fixed, batch.fixed[:, :, *cube])
    assert torch.equal(cut.target.displacement, batch.target.displacement[:, :, *cube])
    back = batch.target.inverse().displacement[:, :, *cube]
    assert torch.equal(cut.target.inverse().displacement, back)
    assert cut.target.grid == cut.grid == Grid((6, 6, 6), cut.grid.affine)


@pytest.mark.parametrize("voxel", [(0, 0, 0), (13, 11, 9), (7, 3, 5)])
def test_no_patch_is_background_alone(voxel):
    moving = torch.zeros(1, 1, *GRID.shape)
    moving[0, 0, *voxel] = 1
    batch = Batch(moving, torch.zeros_like(moving), GRID)
    places = set()
    for seed in range(50):
        cut = patch(batch, 4, random.Random(seed))
        assert cut.moving.sum() == 1
        places.add(tuple(cut.grid.affine[:3, 3]))
    assert len(places) == 1 if voxel != (7, 3, 5) else len(places) > 5


def test_a_patch_of_an_empty_image_is_still_a_patch():
    nothing = torch.zeros(1, 1, *GRID.shape)
    assert patch(Batch(nothing, nothing, GRID), 4, random.Random(0)).fixed.shape[2:] == (4, 4, 4)


@pytest.fixture
def targets(tmp_path):
    grid = open_arrays(write_pack(tmp_path / "arrays.safetensors")).grid
    rng = np.random.default_rng(0)
    pairs = [(KEYS[0], KEYS[1]), (KEYS[1], KEYS[2])]
    fields = {pair: rng.normal(size=(*grid.shape, 3)).astype(np.float32) for pair in pairs}
    out = tmp_path / "targets.safetensors"
    pack_targets({p: lambda f=f: f for p, f in fields.items()}, grid, out, "greedy")
    return open_targets(out), fields


def own(tmp_path, train=KEYS[:3]):
    return TrainingCohort("own", open_arrays(tmp_path / "arrays.safetensors"), train)


def test_only_the_teacher_s_pairs_are_drawn_each_with_its_own_field(tmp_path, targets):
    packed, fields = targets
    cohort = own(tmp_path)
    sampler = Sampler([cohort], cohort.arrays.grid, Schedule(), targets=packed)
    seen = set()
    for seed in range(20):
        batch = sampler.batch(random.Random(seed), torch.device("cpu"))
        said = batch.target.millimetres()
        (pair,) = [p for p, field in fields.items() if np.allclose(field, said, atol=0.01)]
        moving = cohort.arrays.image(pair[0], cohort.arrays.grid.shape)
        assert torch.equal(batch.moving, moving)
        seen.add(pair)
    assert seen == set(fields)


def test_patches_flips_and_both_ways_go_together(tmp_path, targets):
    cohort = own(tmp_path)
    schedule = Schedule(patch=8, symmetric=True, augmentation=Augmentation(flip=True))
    sampler = Sampler([cohort], cohort.arrays.grid, schedule, targets=targets[0])
    batch = sampler.batch(random.Random(1), torch.device("cpu"))
    assert batch.moving.shape == batch.fixed.shape == (2, 1, 8, 8, 8)
    assert batch.target.displacement.shape == (2, 3, 8, 8, 8)
    assert torch.equal(batch.moving[:1], batch.fixed[1:])


@pytest.mark.parametrize("patch", [None, 8])
def test_with_a_teacher_the_brain_of_each_fixed_image_counts(tmp_path, targets, patch):
    cohort = own(tmp_path)
    schedule = Schedule(symmetric=True, augmentation=Augmentation(flip=True), patch=patch)
    taught = Sampler([cohort], cohort.arrays.grid, schedule, targets=targets[0])
    alone = Sampler([cohort], cohort.arrays.grid, schedule)
    batch = taught.batch(random.Random(1), torch.device("cpu"))
    assert torch.equal(batch.where, (batch.fixed > 0).float())
    assert 0 < batch.where.mean() < 1
    assert alone.batch(random.Random(1), torch.device("cpu")).where is None


def test_what_cannot_be_drawn_is_refused(tmp_path, targets):
    cohort = own(tmp_path)
    grid = cohort.arrays.grid
    with pytest.raises(InputError, match="patch of 24 voxels does not fit into a grid of 24x20x28"):
        Sampler([cohort], grid, Schedule(patch=24))
    with pytest.raises(InputError, match="pairs of sub-03, not of training scans"):
        Sampler([own(tmp_path, KEYS[:2])], grid, Schedule(), targets=targets[0])
    with pytest.raises(InputError, match="knows pairs of the cohort `own` alone"):
        Sampler([cohort, cohort], grid, Schedule(), targets=targets[0])


def test_what_does_not_fit_is_read_again():
    full, small = Held(needed=10, budget=10), Held(needed=10, budget=9)
    for held in (full, small):
        for value in (0, 1):
            held.get("a", torch.device("cpu"), lambda value=value: torch.full((1,), value))
    assert float(full.kept["a"]) == 0
    assert small.kept == {}


KERNEL = Fluid(1.5, 0.0, 0.03, 2)


def momentum_targets(tmp_path, kernel=KERNEL):
    """Targets of a teacher that shoots, on a grid twice as coarse as that of the images."""
    grid = open_arrays(write_pack(tmp_path / "arrays.safetensors")).grid
    coarse = grid.rescaled(2.0)
    pairs = [(KEYS[0], KEYS[1]), (KEYS[1], KEYS[2])]
    rng = np.random.default_rng(1)
    values = {p: 1e-4 * rng.normal(size=(3, *coarse.shape)).astype(np.float32) for p in pairs}
    momenta = Momenta(
        {p: lambda v=v: v for p, v in values.items()},
        {p: float(np.abs(v).max()) for p, v in values.items()},
        coarse,
        kernel_meta(kernel),
    )
    fields = {p: lambda: np.zeros((*grid.shape, 3), np.float32) for p in pairs}
    out = tmp_path / "momenta.safetensors"
    pack_targets(fields, grid, out, "lddmm", momenta)
    return open_targets(out), values


def test_momenta_are_read_as_they_were_packed_however_small(tmp_path):
    packed, values = momentum_targets(tmp_path)
    for pair, momentum in values.items():
        back, grid = packed.momentum(pair)
        assert grid == packed.grid.rescaled(2.0)
        assert np.abs(back - momentum).max() < 1e-3 * np.abs(momentum).max()


def test_a_network_that_learns_momenta_gets_them_on_its_own_grid(tmp_path):
    packed, values = momentum_targets(tmp_path)
    cohort = own(tmp_path)
    grid = cohort.arrays.grid
    sampler = Sampler([cohort], grid, Schedule(), targets=packed, kernel=KERNEL)
    batch = sampler.batch(random.Random(0), torch.device("cpu"))
    white = batch.target["white"]
    assert white.shape == (1, 3, *grid.shape)
    spent = float(white.square().sum()) * math.prod(grid.spacing)
    coarse = packed.grid.rescaled(2.0)
    there = KernelOnGrid(KERNEL, coarse.shape, coarse.spacing)
    known = [float(there.energy(torch.from_numpy(v)[None])) for v in values.values()]
    # White noise loses some of its energy between voxels; the path is of the same size.
    assert any(0.3 < spent / energy < 1.2 for energy in known)
    flipped = mirrored(batch).target["white"]
    assert torch.equal(flipped[:, 0].flip(1), -white[:, 0])
    assert torch.equal(flipped[:, 1].flip(1), white[:, 1])


def test_in_a_random_contrast_the_momentum_is_that_of_the_images_as_they_were(tmp_path):
    packed, _ = momentum_targets(tmp_path)
    cohort = own(tmp_path)
    schedules = [Schedule(augmentation={"contrast": share}) for share in (0, 1)]
    plain, changed = (
        Sampler([cohort], cohort.arrays.grid, schedule, targets=packed, kernel=KERNEL).batch(
            random.Random(0), torch.device("cpu")
        )
        for schedule in schedules
    )
    assert torch.equal(changed.target["white"], plain.target["white"])
    assert torch.equal(changed.alike[0], plain.moving)
    assert not torch.equal(changed.moving, plain.moving)


def test_a_network_is_shown_another_contrast_and_taught_of_the_teacher_s_scans(tmp_path, targets):
    path = tmp_path / "arrays.safetensors"
    write_pack(path, keys=(*KEYS, *(f"{key}_T2w" for key in KEYS[:2])))
    cohort = TrainingCohort("own", open_arrays(path), KEYS[:2])
    grid, (packed, fields) = cohort.arrays.grid, targets
    pair = (KEYS[0], KEYS[1])
    packed = replace(packed, pairs=(pair,))
    sampler = Sampler([cohort], grid, Schedule(), targets=packed, contrasts=("T2w", None))
    batch = sampler.batch(random.Random(0), torch.device("cpu"))
    assert torch.equal(batch.moving, cohort.arrays.image(f"{KEYS[0]}_T2w", grid.shape))
    assert torch.equal(batch.fixed, cohort.arrays.image(KEYS[1], grid.shape))
    assert np.allclose(batch.target.millimetres(), fields[pair], atol=0.01)
    whole = replace(cohort, train=KEYS[:3])
    with pytest.raises(InputError, match=f"lacks {KEYS[2]}_T2w, which the network is to be shown"):
        Sampler([whole], grid, Schedule(), targets=packed, contrasts=("T2w", None))


def test_momenta_of_another_kernel_or_none_are_refused(tmp_path, targets):
    cohort = own(tmp_path)
    grid = cohort.arrays.grid
    with pytest.raises(InputError, match="holds no momenta: `greedy` does not shoot"):
        Sampler([cohort], grid, Schedule(), targets=targets[0], kernel=KERNEL)
    packed, _ = momentum_targets(tmp_path, Fluid())
    with pytest.raises(InputError, match="whose kernel is not the network's"):
        Sampler([cohort], grid, Schedule(), targets=packed, kernel=KERNEL)
