"""Geodesics of diffeomorphisms: shooting an initial momentum (EPDiff).

d/dt phi_t = v_t o phi_t, v = K m, dm_j/dt = -sum_i d_i(m_j v_i) - sum_i (d_j v_i) m_i. The image
follows as I_t = I_0 o psi_t with psi_t = phi_t^-1. Momenta and velocities are (B, 3, X, Y, Z) along
the array axes, velocities in mm a unit of time; displacements are in voxels of the grid.

Source: Miller, Trouve, Younes, J Math Imaging Vis 24 (2006); Singh et al., ISBI 2013 (vector
momenta). Momenta are carried in Eulerian form by central differences, which conserve the energy
almost by construction, or in the integrated form m_t = |D psi| (D psi)^T (m_0 o psi).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil
from typing import Literal

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from pmrpipe.spatial.integrate import compose
from pmrpipe.spatial.jacobian import gradient, jacobian_determinant
from pmrpipe.spatial.kernels import KernelOnGrid
from pmrpipe.spatial.warp import warp

Scheme = Literal["euler", "rk2", "rk4"]
Form = Literal["eulerian", "map"]
# Momentum, inverse map, and forward map where it is asked for.
_State = tuple[Tensor, Tensor, Tensor | None]
# No geodesic is integrated in more steps than about these.
_MOST_STEPS = 40


@dataclass(frozen=True)
class Shooting:
    """How a geodesic is integrated: `steps` of a unit of time by `scheme`, momenta in `form`."""

    steps: int = 5
    scheme: Scheme = "rk2"
    form: Form = "eulerian"


@dataclass(frozen=True)
class Path:
    """The end of a geodesic.

    inverse : psi_1 - id, voxels: warped(p) = moving(p + inverse(p))
    forward : phi_1 - id, voxels; None unless it was asked for
    momentum : m_1; shooting -m_1 leads back
    energies : <m_t, K m_t> at the start and after every step, (steps + 1, B)
    """

    inverse: Tensor
    forward: Tensor | None
    momentum: Tensor
    energies: Tensor


def shoot(
    momentum: Tensor,
    kernel: KernelOnGrid,
    shooting: Shooting | None = None,
    *,
    both: bool = False,
    recompute: bool = False,
) -> Path:
    """Follow the geodesic that starts at the identity with `momentum` for one unit of time.

    Parameters
    ----------
    momentum : m_0; of a geodesic followed to time T and scaled by S it is S T m_0 (EPDiff is
        homogeneous)
    both : the forward map too
    recompute : save memory in the backward pass: each step is run again there, with the same
        gradient
    """
    plan = shooting or Shooting()
    advance = _eulerian_step if plan.form == "eulerian" else _map_step
    zero = torch.zeros_like(momentum)
    state: _State = (momentum, zero, zero if both else None)
    energies: list[Tensor] = []

    def step(m: Tensor, u: Tensor, w: Tensor | None) -> tuple[_State, Tensor]:
        return advance(m, u, w, momentum, kernel, plan)

    for _ in range(plan.steps):
        done = checkpoint(step, *state, use_reentrant=False) if recompute else step(*state)
        state, energy = done
        energies.append(energy)
    energies.append(kernel.energy(state[0]))
    return Path(state[1], state[2], state[0], torch.stack(energies))


@torch.no_grad()
def steady(
    momentum: Tensor, kernel: KernelOnGrid, shooting: Shooting, drift: float = 0.005
) -> Shooting:
    """The same with so many steps that the energy drifts by less than `drift` of itself.

    More by half at a time, up to forty. Only for momenta in Eulerian form: what the integrated form
    drifts is interpolation, which more steps make worse.
    """
    if shooting.form != "eulerian":
        return shooting
    while shooting.steps < _MOST_STEPS:
        energies = shoot(momentum, kernel, shooting).energies
        # Not finite where the steps are far too long.
        kept = ((energies - energies[0]).abs() <= drift * energies[0]).all()
        if kept.is_meta or bool(kept):
            break
        shooting = replace(shooting, steps=ceil(1.5 * shooting.steps))
    return shooting


def coadjoint(momentum: Tensor, inverse: Tensor, spacing: Sequence[float]) -> Tensor:
    """Ad*: |D psi| (D psi)^T (m_0 o psi), psi = id + `inverse` (voxels)."""
    millimetre = _column(spacing, inverse)
    # D psi in mm: component a along axis b, a displacement of voxels turned to mm.
    slopes = gradient(inverse * millimetre) / millimetre.view(1, 1, 3, 1, 1, 1)
    carried = warp(momentum, inverse)
    turned = carried + (slopes * carried[:, :, None]).sum(1)
    return jacobian_determinant(inverse)[:, None] * turned


def _eulerian_step(
    m: Tensor, u: Tensor, w: Tensor | None, start: Tensor, kernel: KernelOnGrid, plan: Shooting
) -> tuple[_State, Tensor]:
    """The state after the step, and the energy before it."""
    dt = 1.0 / plan.steps

    def slope(momentum: Tensor) -> tuple[Tensor, Tensor]:
        velocity = kernel.smooth(momentum)
        return _epdiff(momentum, velocity, kernel.spacing), velocity

    rate, velocity = slope(m)
    energy = kernel.energy(m, velocity)
    if plan.scheme == "euler":
        return (m + dt * rate, *_carried(u, w, velocity * dt, kernel.spacing)), energy
    middle, velocity = slope(m + dt / 2 * rate)
    if plan.scheme == "rk2":
        end = m + dt * middle
    else:
        third, _ = slope(m + dt / 2 * middle)
        last, _ = slope(m + dt * third)
        end = m + dt / 6 * (rate + 2 * middle + 2 * third + last)
    return (end, *_carried(u, w, velocity * dt, kernel.spacing)), energy


def _map_step(
    m: Tensor, u: Tensor, w: Tensor | None, start: Tensor, kernel: KernelOnGrid, plan: Shooting
) -> tuple[_State, Tensor]:
    """The same; the momentum is always the initial one, carried by the map."""
    dt = 1.0 / plan.steps
    velocity = kernel.smooth(m)
    energy = kernel.energy(m, velocity)
    if plan.scheme != "euler":
        # At the middle of the step: the map there, and the momentum that it carries.
        half, _ = _carried(u, None, velocity * (dt / 2), kernel.spacing)
        velocity = kernel.smooth(coadjoint(start, half, kernel.spacing))
    u, w = _carried(u, w, velocity * dt, kernel.spacing)
    return (coadjoint(start, u, kernel.spacing), u, w), energy


def _carried(
    u: Tensor, w: Tensor | None, move: Tensor, spacing: Sequence[float]
) -> tuple[Tensor, Tensor | None]:
    """Both maps after a step by `move` (mm), taken at the middle of each point's path.

    psi'(x) = psi(x - move(x - move(x) / 2)), phi' = (id + move(id + move / 2)) o phi.
    """
    voxels = move / _column(spacing, move)
    back = -warp(voxels, -voxels / 2, padding="border")
    u = compose(u, back)
    if w is not None:
        w = compose(warp(voxels, voxels / 2, padding="border"), w)
    return u, w


def _epdiff(m: Tensor, v: Tensor, spacing: Sequence[float]) -> Tensor:
    """-ad*_v m by central differences on the periodic grid."""
    rate = torch.zeros_like(m)
    for axis in range(3):
        flux = m * v[:, axis : axis + 1]
        rate = rate - _central(flux, axis, spacing[axis])
        stretched = (_central(v, axis, spacing[axis]) * m).sum(1)
        rate = rate - _only(stretched, axis)
    return rate


def _only(values: Tensor, axis: int) -> Tensor:
    """`values` (B, X, Y, Z) as the component `axis` of a field whose others are zero."""
    none = torch.zeros_like(values)
    return torch.stack([values if a == axis else none for a in range(3)], 1)


def _central(field: Tensor, axis: int, mm: float) -> Tensor:
    dim = axis + 2
    return (field.roll(-1, dim) - field.roll(1, dim)) / (2 * mm)


def _column(spacing: Sequence[float], like: Tensor) -> Tensor:
    return like.new_tensor(list(spacing)).view(1, 3, 1, 1, 1)
