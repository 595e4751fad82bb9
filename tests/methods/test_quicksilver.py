"""Quicksilver: what it predicts is shot, corrected and refined; it learns a teacher's momenta."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pmrpipe.base.errors import InputError
from pmrpipe.images.volume import Grid
from pmrpipe.losses.matching import SquaredDifference
from pmrpipe.methods.batch import Batch
from pmrpipe.methods.geodesic import Geodesic, follow, momentum_of, white_on
from pmrpipe.methods.load import build
from pmrpipe.methods.protocols import LearnsMomenta, Probabilistic, RefinesItself
from pmrpipe.methods.quicksilver import ProbabilisticQuicksilver, Quicksilver
from pmrpipe.methods.spec import Stage, spec
from pmrpipe.networks.quicksilver import QuicksilverUNet
from pmrpipe.spatial.geodesic import Shooting
from pmrpipe.spatial.kernels import Fluid, KernelOnGrid
from pmrpipe.spatial.smooth import smoothed

GRID = Grid((17, 16, 15), np.diag([8.0, 8.0, 8.0, 1.0]))
KERNEL = Fluid(1.5, 0.0, 0.03, 2)
NAMES = ["", "-lpp", "-lpc", "-lpc2", "-lpc3", "-prob", "-t2w", "-published"]


class Fixed(torch.nn.Module):
    """Says the same of every patch: (x, y, z) at every voxel."""

    def __init__(self, *value: float) -> None:
        super().__init__()
        self.value = torch.nn.Parameter(torch.tensor(value).view(1, 3, 1, 1, 1))

    def forward(self, moving, fixed):
        return self.value.expand(moving.shape[0], 3, *moving.shape[2:])


def blobs(seed=0):
    noise = torch.rand(1, 1, *GRID.shape, generator=torch.Generator().manual_seed(seed))
    inside = torch.zeros_like(noise)
    inside[..., 3:-3, 3:-3, 3:-3] = 1
    image = smoothed(noise * inside, 1.6)
    return image / image.max()


def method(network, **more):
    kind = more.pop("kind", Quicksilver)
    return kind(network, kernel=KERNEL, shooting=Shooting(3), **more)


def momentum(seed=1, most=8.0):
    """Random and smooth, whose velocity is `most` mm at its largest."""
    noise = torch.randn(1, 3, *GRID.shape, generator=torch.Generator().manual_seed(seed))
    inside = torch.zeros(1, 1, *GRID.shape)
    inside[..., 5:-5, 5:-5, 5:-5] = 1
    field = smoothed(noise * inside, 1.5)
    grid = KernelOnGrid(KERNEL, GRID.shape, GRID.spacing)
    return field * most / grid.smooth(field).norm(dim=1).max()


def white_of(momentum):
    return white_on(momentum, KERNEL, GRID, GRID)


def test_the_prediction_is_shot_in_units_of_the_scale():
    answer = method(Fixed(1.0, 0.0, -2.0), scale=1e-3).register(blobs(), blobs(1), GRID)
    assert isinstance(answer.parametrisation, Geodesic)
    said = torch.tensor([1e-3, 0.0, -2e-3]).view(1, 3, 1, 1, 1).expand(1, 3, *GRID.shape)
    said = momentum_of(said, KERNEL, GRID)
    torch.testing.assert_close(answer.parametrisation.momentum, said)
    shot = follow(said, KERNEL, Shooting(3), GRID)
    torch.testing.assert_close(answer.displacement, shot.displacement)


def test_a_correction_that_says_nothing_leaves_the_prediction():
    images = blobs(), blobs(1)
    alone = method(Fixed(1.0, 0.0, 0.0), scale=1e-3).register(*images, GRID)
    corrected = method(
        Fixed(1.0, 0.0, 0.0), correction=Fixed(0.0, 0.0, 0.0), corrections=3, scale=1e-3
    ).register(*images, GRID)
    assert torch.equal(alone.displacement, corrected.displacement)


def test_corrections_add_up_and_without_a_network_of_their_own_the_prediction_s_is_taken():
    images = blobs(), blobs(1)
    twice = method(Fixed(1.0, 0.0, 0.0), correction=Fixed(0.5, 0.0, 0.0), corrections=2)
    assert torch.equal(
        twice.white(*images, GRID), torch.tensor([2.0, 0, 0]).view(1, 3, 1, 1, 1).expand(
            1, 3, *GRID.shape
        )
    )  # fmt: skip
    lpp = method(Fixed(1.0, 0.0, 0.0), corrections=1)
    assert float(lpp.white(*images, GRID).detach().mean()) == pytest.approx(2 / 3)


def test_the_correction_sees_the_target_pulled_back_along_the_path():
    """With the true momentum the pulled-back target is the moving image again."""
    moving, true = blobs(), momentum()
    fixed = follow(true, KERNEL, Shooting(3), GRID).apply(moving)
    pulled, wrong = (
        method(Fixed(0.0, 0.0, 0.0))._pulled_back(fixed, white_of(m), GRID) for m in (true, -true)
    )
    before, after, off = ((image - moving).square().mean() for image in (fixed, pulled, wrong))
    assert float(after) < 0.3 * float(before)
    assert float(off) > float(before)


def test_the_objective_is_the_distance_to_the_teacher_s_white_variable():
    network = method(Fixed(0.0, 0.0, 0.0), scale=0.1, patches=7)
    target = torch.tensor([0.2, -0.1, 0.0]).view(1, 3, 1, 1, 1).expand(1, 3, *GRID.shape)
    batch = Batch(blobs(), blobs(1), GRID, {"white": target})
    assert float(network.objective(batch)["total"].detach()) == pytest.approx(3.0)
    with pytest.raises(ValueError, match="without the white variable"):
        network.objective(Batch(blobs(), blobs(1), GRID))


def test_the_correction_learns_after_the_prediction_what_that_one_misses():
    corrected = method(
        Fixed(0.5, 0.0, 0.0), correction=Fixed(0.0, 0.2, 0.0), corrections=1, scale=0.1
    )
    target = torch.tensor([0.2, -0.1, 0.0]).view(1, 3, 1, 1, 1).expand(1, 3, *GRID.shape)
    batch = Batch(blobs(), blobs(1), GRID, {"white": target})
    learned = {}
    for stage in (Stage(steps=1), Stage(begin=0.5)):
        corrected.enter(stage)
        corrected.zero_grad()
        total = corrected.objective(batch)["total"]
        total.backward()
        grads = [part.value.grad is not None for part in (corrected.network, corrected.correction)]
        learned[stage.steps] = float(total.detach()), grads
        said = corrected.white(blobs(), blobs(1), GRID)[0, :, 8, 8, 8]
        assert said.tolist() == pytest.approx([0.05 if stage.steps else 0.1, 0.0, 0.0])
    assert learned[1] == (pytest.approx(2.5), [True, False])
    # It began with the weights of the prediction.
    assert learned[None] == (pytest.approx(1.0 + 1.0), [False, True])


def test_a_run_that_resumes_does_not_begin_the_correction_again():
    def fresh():
        return method(Fixed(0.5, 0.0, 0.0), correction=Fixed(0.0, 0.2, 0.0), corrections=1)

    interrupted, resumed = fresh(), fresh()
    interrupted.enter(Stage(steps=1))
    interrupted.enter(Stage(begin=0.5))
    with torch.no_grad():
        interrupted.correction.value.add_(0.25)
    resumed.enter(Stage(steps=1))
    resumed.load_state_dict(interrupted.state_dict())
    resumed.enter(Stage(begin=0.5))
    said = resumed.correction.value.flatten().tolist()
    assert said == pytest.approx([0.75, 0.25, 0.25])


def test_stages_that_it_does_not_have_are_refused():
    for stage in (Stage(steps=2), Stage(regularisers=["smooth"]), Stage(coarser=2)):
        with pytest.raises(InputError, match="asks for more than steps, of which there are 1"):
            method(Fixed(0.0, 0.0, 0.0)).enter(stage)


def test_steps_of_training_bring_it_nearer_to_the_teacher():
    torch.manual_seed(0)
    network = method(QuicksilverUNet(2), scale=0.1, patches=2)
    target = torch.full((1, 3, *GRID.shape), 0.1)
    batch = Batch(blobs(), blobs(1), GRID, {"white": target})
    optimiser = torch.optim.Adam(network.parameters(), 2e-2)
    totals = []
    for _ in range(12):
        total = network.objective(batch)["total"]
        optimiser.zero_grad()
        total.backward()
        optimiser.step()
        totals.append(float(total.detach()))
    assert totals[-1] < 0.8 * totals[0]


def test_draws_follow_the_generator_and_differ():
    torch.manual_seed(0)
    network = method(
        QuicksilverUNet(2, dropout=0.3), kind=ProbabilisticQuicksilver, scale=0.05
    ).eval()
    posterior = network.posterior(blobs(), blobs(1), GRID)
    generator = torch.Generator().manual_seed(3)
    first, second = posterior.draw(generator), posterior.draw(generator)
    assert not torch.allclose(first, second, atol=1e-6)
    assert torch.equal(posterior.draw(torch.Generator().manual_seed(3)), first)
    assert float(posterior.deviation(3, seed=1).max()) > 0
    plain = network.register(blobs(), blobs(1), GRID).displacement
    assert torch.equal(plain, network.register(blobs(), blobs(1), GRID).displacement)


def test_refined_it_begins_at_the_prediction_and_lowers_the_energy():
    moving, true = blobs(), momentum()
    fixed = follow(true, KERNEL, Shooting(3), GRID).apply(moving)
    network = method(Fixed(0.0, 0.0, 0.0), matching=SquaredDifference(0.02))
    network.white = lambda *_: white_of(0.5 * true)
    answer = network.refined(4, 8.0).register(moving, fixed, GRID)
    rows = answer.parametrisation.energies
    grid = KernelOnGrid(KERNEL, GRID.shape, GRID.spacing)
    spent = 0.5 * float(grid.energy(0.5 * true))
    assert rows[0]["regularity"] == pytest.approx(spent, rel=1e-3)
    assert rows[-1]["total"] < rows[0]["total"]
    assert len(rows) <= 5


def test_a_momentum_on_a_coarser_grid_moves_alike():
    true = momentum()
    fine = Grid((34, 32, 30), np.diag([4.0, 4.0, 4.0, 1.0]))
    there = momentum_of(white_on(true, KERNEL, GRID, fine), KERNEL, fine)
    ends = [follow(m, KERNEL, Shooting(3), g) for m, g in ((true, GRID), (there, fine))]
    gap = ends[0].displacement * 8 - ends[1].resampled(GRID).displacement * 8
    most = float((ends[0].displacement * 8).norm(dim=1).max())
    assert float(gap.norm(dim=1).max()) < 0.15 * most
    same = momentum_of(white_on(true, KERNEL, GRID, GRID), KERNEL, GRID)
    torch.testing.assert_close(same, true, rtol=1e-3, atol=1e-4 * float(true.abs().max()))


def test_images_smaller_than_a_patch_are_refused_in_one_line():
    small = Grid((14, 20, 20), np.diag([8.0, 8.0, 8.0, 1.0]))
    image = torch.rand(1, 1, *small.shape)
    with pytest.raises(InputError, match="14x20x20 voxels on the network's grid"):
        method(Fixed(0.0, 0.0, 0.0)).register(image, image, small)


@pytest.mark.parametrize("name", NAMES)
def test_shipped_ones_build_and_have_their_teacher_s_kernel(name):
    chosen = spec(f"quicksilver{name}")
    with torch.device("meta"):
        built = build(chosen)
    assert isinstance(built, LearnsMomenta)
    assert isinstance(built, RefinesItself)
    assert chosen.refines_itself
    assert isinstance(built, Probabilistic) == chosen.posterior == (name == "-prob")
    assert built.kernel == build(spec("lddmm")).kernel


def test_those_that_share_weights_have_the_networks_of_their_owner():
    for name in NAMES:
        chosen = spec(f"quicksilver{name}")
        if chosen.shares is None:
            assert chosen.teacher is not None
            continue
        with torch.device("meta"):
            own, owner = (build(spec(n)).state_dict() for n in (chosen.name, chosen.shares))
        assert {k: v.shape for k, v in own.items()} == {k: v.shape for k, v in owner.items()}


def test_paths_are_followed_on_a_coarser_grid_to_the_same_end():
    """The grid of the velocities halves; what is moved and the momentum's energy stay."""
    fine = Grid((34, 32, 30), np.diag([4.0, 4.0, 4.0, 1.0]))
    there = white_on(momentum(), KERNEL, GRID, fine)
    image = torch.nn.functional.interpolate(blobs(), fine.shape)
    ends = []
    for mm in (None, 8.0):
        network = method(Fixed(0.0, 0.0, 0.0), velocity_mm=mm)
        network.white = lambda *_: there
        ends.append(network.register(image, image, fine))
    assert ends[1].grid == fine.rescaled(8.0)
    gap = ends[0].displacement * 4 - ends[1].resampled(fine).displacement * 4
    most = float((ends[0].displacement * 4).norm(dim=1).max())
    assert float(gap.norm(dim=1).max()) < 0.1 * most
    pulled = [method(Fixed(0.0, 0.0, 0.0), velocity_mm=mm)._pulled_back(image, there, fine)
              for mm in (None, 8.0)]  # fmt: skip
    changed = (pulled[0] - image).square().mean()
    assert float((pulled[0] - pulled[1]).square().mean()) < 0.02 * float(changed)


def test_outside_both_brains_there_is_no_momentum():
    image = torch.zeros(1, 1, 34, 32, 30)
    image[..., 2:18, 3:18, 4:19] = 1
    fine = Grid((34, 32, 30), np.diag([4.0, 4.0, 4.0, 1.0]))
    said = method(Fixed(1.0, 0.0, 0.0), scale=2.0).white(image, image, fine)
    inside = torch.zeros(34, 32, 30, dtype=torch.bool)
    inside[2:18, 3:18, 4:19] = True
    assert torch.equal(said[0, 0] == 2, inside)
    assert not said[0, 0][~inside].any()
    empty = torch.zeros_like(image)
    assert not method(Fixed(1.0, 0.0, 0.0)).white(empty, empty, fine).any()
