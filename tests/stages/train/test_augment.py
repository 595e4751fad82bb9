"""Affine noise on training images, and intensities by quantiles."""

import random
from dataclasses import replace

import pytest
import torch
from pydantic import ValidationError

from pmrpipe.base.errors import InputError
from pmrpipe.methods.load import build_network
from pmrpipe.methods.spec import Augmentation, Input, Schedule, spec
from pmrpipe.spatial.standardise import quantile_scaled
from pmrpipe.stages.train.augment import randomly_contrasted, randomly_moved
from pmrpipe.stages.train.cohorts import TrainingCohort
from pmrpipe.stages.train.fit import fit
from pmrpipe.stages.train.sampler import Sampler
from pmrpipe.study.pack import open_arrays
from tests.helpers.packs import KEYS
from tests.helpers.parts import grid_of

SHAPE = (20, 24, 22)


def brain(seed: int = 0) -> torch.Tensor:
    image = torch.zeros(1, 1, *SHAPE)
    noise = torch.rand(12, 14, 12, generator=torch.Generator().manual_seed(seed))
    image[..., 4:16, 5:19, 5:17] = 0.1 + 0.8 * noise
    return image


def test_affine_noise_moves_each_voxel_by_as_much_as_its_deviation_says() -> None:
    """A ramp of 1 per voxel along x, in the middle: there the translation alone counts."""
    ramp = torch.arange(21.0).view(1, 1, -1, 1, 1).expand(-1, -1, 21, 21, 21)
    torch.manual_seed(0)
    middle = torch.stack([randomly_moved(ramp, 0.05)[0, 0, 10, 10, 10] for _ in range(400)]) - 10
    # A unit is half the image's edge: 0.05 of 10.5 voxels.
    assert float(middle.mean()) == pytest.approx(0, abs=0.1)
    assert float(middle.std()) == pytest.approx(0.05 * 10.5, rel=0.15)
    assert torch.allclose(randomly_moved(ramp, 0.0), ramp, atol=1e-4)


def test_both_images_get_noise_of_their_own(pack) -> None:
    cohort = TrainingCohort("own", open_arrays(pack), KEYS)
    schedule = Schedule(augmentation=Augmentation(affine=0.05, flip=True))
    sampler = Sampler([cohort], cohort.arrays.grid, schedule)

    torch.manual_seed(0)
    batch = sampler.batch(random.Random("0"), torch.device("cpu"))
    torch.manual_seed(0)
    again = sampler.batch(random.Random("0"), torch.device("cpu"))
    assert torch.equal(batch.moving, again.moving)
    plain = Sampler([cohort], cohort.arrays.grid, Schedule()).batch(
        random.Random("0"), torch.device("cpu")
    )
    assert not torch.equal(batch.moving, plain.moving)
    assert not torch.equal(batch.fixed, plain.fixed)


def test_quantiles_become_0_and_1_and_the_background_stays() -> None:
    image = brain()
    scaled = quantile_scaled(image, 0.0, 0.99)
    inside = image > 0
    assert torch.equal(scaled > 0, inside)
    assert float(scaled.max()) == 1
    assert float((scaled[inside] == 1).float().mean()) == pytest.approx(0.01, abs=2e-3)
    # Whitened or not: an affine change of intensities is no matter.
    other = torch.where(inside, 0.3 + 0.5 * image, 0)
    assert torch.allclose(quantile_scaled(other, 0.0, 0.99), scaled, atol=1e-4)
    two = torch.cat([image, brain(1)])
    assert torch.allclose(quantile_scaled(two, 0.0, 0.99)[:1], scaled)
    flat = torch.where(inside, 0.5, 0.0)
    assert quantile_scaled(flat, 0.0, 0.99).isfinite().all()


def test_a_method_sees_quantiles_where_its_yaml_says_so() -> None:
    chosen = spec("faim").model_copy(update={"input": Input(quantiles=(0.0, 0.99))})
    method, plain = (build_network(s, network_mm=1.0) for s in (chosen, spec("faim")))
    image, other = brain(), torch.where(brain() > 0, 0.3 + 0.5 * brain(), 0)
    grid = grid_of(image)
    for built, same in ((method, True), (plain, False)):
        one, two = (built.register(x, brain(2), grid).displacement for x in (image, other))
        assert torch.allclose(one, two, atol=1e-3) == same
    assert torch.equal(method.seen(image, grid), quantile_scaled(image, 0.0, 0.99))


@pytest.mark.parametrize("quantiles", [(0.9, 0.1), (-0.1, 1), (0, 1.1)])
def test_quantiles_out_of_order_are_refused(quantiles) -> None:
    with pytest.raises(ValidationError, match="between 0 and 1"):
        Input(quantiles=quantiles)


def test_a_random_contrast_keeps_places_and_background_and_changes_the_order() -> None:
    """Of many draws some show the inside brighter than its surround, and some darker."""
    image = torch.zeros(1, 1, *SHAPE)
    image[..., 4:16, 5:19, 5:17] = 0.3
    image[..., 8:12, 8:15, 8:14] = 0.8
    torch.manual_seed(1)
    rising = set()
    for _ in range(12):
        changed = randomly_contrasted(image)
        assert torch.equal(changed > 0, image > 0)
        assert float(changed.min()) >= 0
        assert float(changed.max()) <= 1
        rising.add(
            bool(changed[..., 9:11, 10:13, 10:12].mean() > changed[..., 5:7, 6:8, 6:8].mean())
        )
    assert rising == {True, False}


def test_the_similarity_compares_what_the_network_does_not_see(pack) -> None:
    cohort = TrainingCohort("own", open_arrays(pack), KEYS)
    schedule = Schedule(augmentation=Augmentation(contrast=1), symmetric=True)
    batch = Sampler([cohort], cohort.arrays.grid, schedule).batch(
        random.Random("0"), torch.device("cpu")
    )
    plain = Sampler([cohort], cohort.arrays.grid, Schedule(symmetric=True)).batch(
        random.Random("0"), torch.device("cpu")
    )
    assert torch.equal(batch.compared[0], plain.moving)
    assert torch.equal(batch.compared[1], plain.fixed)
    assert not torch.equal(batch.moving, plain.moving)

    method = build_network(spec("pmr-plus"), 16, 0)
    torch.manual_seed(0)
    term = method.objective(replace(batch, alike=None))["image"]
    torch.manual_seed(0)
    assert float(method.objective(batch)["image"].detach()) != float(term.detach())


def test_a_method_that_compares_what_it_sees_learns_no_contrast(pack, tmp_path) -> None:
    change = Augmentation(contrast=0.5)
    other = spec("voxelmorph").model_copy(update={"schedule": Schedule(augmentation=change)})
    with pytest.raises(InputError, match="compare two contrasts"):
        fit(other, pack, tmp_path, train=KEYS)
