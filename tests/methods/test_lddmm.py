"""LDDMM: a known geodesic is approached at less than its energy, energies fall, paths lead back."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pmrpipe.images.volume import Grid
from pmrpipe.losses.matching import LocalCorrelation, SquaredDifference
from pmrpipe.methods.geodesic import Geodesic, follow
from pmrpipe.methods.lddmm import LDDMM
from pmrpipe.methods.load import build
from pmrpipe.methods.spec import spec
from pmrpipe.spatial.geodesic import Shooting
from pmrpipe.spatial.jacobian import gradient, jacobian_determinant
from pmrpipe.spatial.kernels import Fluid, KernelOnGrid
from pmrpipe.spatial.smooth import smoothed
from pmrpipe.spatial.warp import warp

GRID = Grid((22, 24, 20), np.diag([4.0, 4.0, 4.0, 1.0]))
KERNEL = Fluid(0.5, 0.0, 0.005)
SHOOTING = Shooting(5)


def blobs(seed=0):
    """An image with structure everywhere but at the faces, in [0, 1]."""
    noise = torch.rand(1, 1, *GRID.shape, generator=torch.Generator().manual_seed(seed))
    inside = torch.zeros_like(noise)
    inside[..., 4:-4, 4:-4, 4:-4] = 1
    image = smoothed(noise * inside, 2.0)
    return image / image.max()


@pytest.fixture(scope="module")
def truth():
    """A geodesic that moves points by some 6 mm, with the images at both of its ends."""
    noise = torch.randn(1, 3, *GRID.shape, generator=torch.Generator().manual_seed(1))
    window = torch.zeros(1, 1, *GRID.shape)
    window[..., 6:-6, 6:-6, 6:-6] = 1
    momentum = smoothed(noise * window, 2.0)
    kernel = KernelOnGrid(KERNEL, GRID.shape, GRID.spacing)
    momentum *= 9.0 / kernel.smooth(momentum).norm(dim=1).max()
    deformation = follow(momentum, KERNEL, Shooting(10), GRID)
    moving = blobs()
    return moving, deformation.apply(moving), deformation


def method(**changes):
    plan = {"kernel": KERNEL, "matching": SquaredDifference(0.005), "shooting": SHOOTING}
    levels = {"levels_mm": (8.0, 4.0), "iterations": (10, 15)}
    return LDDMM(**(plan | levels | changes))


def missed(answer, deformation):
    """Mean distance inside the image, as a part of the mean displacement."""
    inside = (slice(None), slice(None), *(slice(5, n - 5) for n in GRID.shape))
    gap = (answer.displacement - deformation.displacement)[inside].norm(dim=1).mean()
    return float(gap / deformation.displacement[inside].norm(dim=1).mean())


def test_a_known_geodesic_is_approached_at_no_more_than_its_energy(truth):
    """Along the isolines of an image a displacement cannot be seen: half of it is found."""
    moving, fixed, deformation = truth
    kernel = KernelOnGrid(KERNEL, GRID.shape, GRID.spacing)
    spent = 0.5 * float(kernel.energy(deformation.parametrisation.momentum))
    answer = method().register(moving, fixed, GRID)
    last = answer.parametrisation.energies[-1]
    assert last["regularity"] < spent
    assert last["matching"] < 0.01 * method().matching(fixed, moving, GRID.spacing)
    assert missed(answer, deformation) < 0.6
    assert float(answer.jacobian().min()) > 0


def test_energies_fall_on_each_level_and_their_terms_add_up(truth):
    moving, fixed, _ = truth
    told = []
    answer = method(tell=lambda *words: told.append(words)).register(moving, fixed, GRID)
    energies = answer.parametrisation.energies
    for level in (8.0, 4.0):
        totals = [row["total"] for row in energies if row["level_mm"] == level]
        assert totals == sorted(totals, reverse=True)
        assert totals[-1] < totals[0]
    for row in energies:
        assert row["total"] == pytest.approx(row["regularity"] + row["matching"], rel=1e-5)
    assert len(told) == len(energies) - 2  # the starts of both levels are no iterations


def test_an_image_to_itself_stays(truth):
    moving = truth[0]
    assert not method().register(moving, moving, GRID).displacement.any()


def test_both_maps_and_the_way_back(truth):
    moving, fixed, _ = truth
    answer = method().register(moving, fixed, GRID)
    everywhere = torch.ones(GRID.shape, dtype=torch.bool)
    assert answer.inverse_consistency(everywhere) < 0.1  # mm, of voxels of 4 mm
    back = answer.inverse()
    assert isinstance(back.parametrisation, Geodesic)
    again = back.parametrisation.at()  # shot anew from -m_1
    gap = (again.displacement - back.displacement).norm(dim=1).max()
    assert float(gap) < 0.15


def test_half_the_time_is_half_the_momentum(truth):
    geodesic = truth[2].parametrisation
    half, scaled = geodesic.at(time=0.5), geodesic.at(scale=0.5)
    assert torch.equal(half.displacement, scaled.displacement)
    assert not geodesic.at(time=0).displacement.any()


def test_local_correlation_sees_through_a_darker_image(truth):
    moving, fixed, deformation = truth
    answer = method(matching=LocalCorrelation(0.2)).register(moving, 0.4 * fixed, GRID)
    assert missed(answer, deformation) < 0.6


def optimality(answer, moving, fixed, sigma):
    """How far K m_0 is from K |D phi_1| (I_0 - I_1 o phi_1) grad I_0 / sigma^2, relatively."""
    geodesic = answer.parametrisation
    phi, kernel = geodesic.forward, KernelOnGrid(KERNEL, GRID.shape, GRID.spacing)
    left = moving - warp(fixed, phi)
    slopes = gradient(moving)[:, 0] / GRID.spacing[0]
    momentum = jacobian_determinant(phi)[:, None] * left * slopes / sigma**2
    own, due = kernel.smooth(geodesic.momentum), kernel.smooth(momentum)
    return float((own - due).norm() / own.norm())


def test_at_its_end_the_momentum_fulfils_the_condition_of_a_minimum(truth):
    """The vector momentum is a scalar times grad I_0, without being told.

    A small sigma would not do: the images differ by what interpolation leaves, over sigma^2.
    """
    moving, fixed, _ = truth
    weak = SquaredDifference(0.3)
    plan = method(levels_mm=(4.0,), iterations=(20,), tolerance=0.0, matching=weak)
    answer = plan.register(moving, fixed, GRID)
    assert optimality(answer, moving, fixed, weak.sigma) < 0.15


def test_a_mirrored_pair_has_the_mirrored_answer(truth):
    moving, fixed, _ = truth
    short = method(iterations=(6, 6), matching=SquaredDifference(0.3))
    plain = short.register(moving, fixed, GRID).displacement
    other = short.register(moving.flip(2), fixed.flip(2), GRID).displacement
    turned = other.flip(2) * torch.tensor([-1.0, 1.0, 1.0]).view(1, 3, 1, 1, 1)
    # Slopes of a trilinear image are one-sided at its voxels, where the descent begins.
    assert float((plain - turned).norm(dim=1).mean()) < 0.05 * float(plain.norm(dim=1).mean())


@pytest.mark.parametrize("name", ["lddmm", "lddmm-cc"])
def test_shipped_ones_build(name):
    built = build(spec(name))
    assert isinstance(built, LDDMM)
    assert built.velocity_mm == 4
