"""Operators that make a registration of others; each is again moving and fixed to `Maps`.

Sources: `Down` and `Then` are those of GradICON (Tian et al., CVPR 2023), `Halfway` that of
ConstrICON (Greer et al., MICCAI 2023). Here the faces of grids coincide when they are resized.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from pmrpipe.methods.steps import Maps
from pmrpipe.spatial.maps import Map, Resized, composed
from pmrpipe.spatial.resize import resize_image


class Down(nn.Module):
    """`step` on images whose sides are divided by `factor` and rounded up; its maps are resized.

    The maps stay functions, which are evaluated where they are asked for: nothing is upsampled.
    """

    def __init__(self, step: nn.Module, factor: int = 2) -> None:
        super().__init__()
        self.step, self.factor = step, factor

    def forward(self, moving: Tensor, fixed: Tensor) -> Maps:
        shape = tuple(fixed.shape[2:])
        small = tuple(-(-n // self.factor) for n in shape)
        maps = self.step(resize_image(moving, small), resize_image(fixed, small))
        back = None if maps.back is None else Resized(maps.back, small, shape)
        return Maps(Resized(maps.there, small, shape), back)


class Then(nn.Module):
    """The steps one after the other: Phi[A, B] ∘ Psi[A∘Phi[A, B], B].

    Each step sees the moving image warped from the original by all before it. The whole is the
    inverse of its own `back` where all steps have one, but exchanging the images does not invert
    it: that is what `Halfway` is for.
    """

    def __init__(self, steps: Sequence[nn.Module]) -> None:
        super().__init__()
        self.steps = nn.ModuleList(steps)

    def forward(self, moving: Tensor, fixed: Tensor) -> Maps:
        first, *others = self.steps
        maps = first(moving, fixed)
        for step in others:
            added = step(maps.there.apply(moving), fixed)
            maps = Maps(composed(maps.there, added.there), _inverse(added.back, maps.back))
        return maps


def _inverse(first: Map | None, then: Map | None) -> Map | None:
    return None if first is None or then is None else composed(first, then)


class Halfway(nn.Module):
    """Consistent steps joined so that the whole is consistent: r ∘ s ∘ r, from the outside in.

    The first step's map r is taken as the root: it brings the moving image half of the way, its
    inverse the fixed image the other half, and the steps after it (s, joined alike) see both
    there. With steps that exchanging the images inverts, exchanging them inverts the whole.

    Raises
    ------
    ValueError : a step gives no inverse (when it is used)
    """

    def __init__(self, steps: Sequence[nn.Module]) -> None:
        super().__init__()
        self.steps = nn.ModuleList(steps)

    def forward(self, moving: Tensor, fixed: Tensor) -> Maps:
        roots: list[tuple[Map, Map]] = []
        seen_moving, seen_fixed = moving, fixed
        there: Map | None = None
        back: Map | None = None
        for step in self.steps:
            if roots:
                seen_moving, seen_fixed = there.apply(moving), back.apply(fixed)  # type: ignore[union-attr]
            maps = step(seen_moving, seen_fixed)
            if maps.back is None:
                raise ValueError("a step of Halfway gives no inverse: take Velocity, for example")
            roots.append((maps.there, maps.back))
            there = maps.there if there is None else composed(there, maps.there)
            back = maps.back if back is None else composed(back, maps.back)
        ways = (composed(*_palindrome([root[way] for root in roots])) for way in (0, 1))
        return Maps(*ways)


def _palindrome(maps: list[Map]) -> list[Map]:
    return [*maps, *reversed(maps[:-1])]
