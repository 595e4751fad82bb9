"""Operators that make a registration of others; each is again moving and fixed to `Maps`.

Sources: `Down` and `Then` are those of GradICON (Tian et al., CVPR 2023), `Halfway` that of
ConstrICON (Greer et al., MICCAI 2023). Here the faces of grids coincide when they are resized.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from pmrpipe.methods.steps import Maps, Registration
from pmrpipe.spatial.maps import Map, Resized, composed
from pmrpipe.spatial.resize import resize_image


class Down(Registration):
    """`step` on images whose sides are divided by `factor` and rounded up; its maps are resized.

    The maps stay functions, which are evaluated where they are asked for: nothing is upsampled.
    """

    def __init__(self, step: nn.Module, factor: int = 2) -> None:
        super().__init__()
        self.step, self.factor = step, factor

    @property
    def consistent(self) -> bool:
        return _consistent([self.step])

    def forward(self, moving: Tensor, fixed: Tensor) -> Maps:
        return self._resized(self.step(*self._small(moving, fixed)), fixed)

    def both(self, moving: Tensor, fixed: Tensor) -> Maps:
        return self._resized(both_ways(self.step, *self._small(moving, fixed)), fixed)

    def _shape(self, image: Tensor) -> tuple[int, ...]:
        return tuple(-(-n // self.factor) for n in image.shape[2:])

    def _small(self, *images: Tensor) -> list[Tensor]:
        return [resize_image(image, self._shape(image)) for image in images]

    def _resized(self, maps: Maps, image: Tensor) -> Maps:
        small, shape = self._shape(image), tuple(image.shape[2:])
        back = None if maps.back is None else Resized(maps.back, small, shape)
        return Maps(Resized(maps.there, small, shape), back)


class Then(Registration):
    """The steps one after the other: Phi[A, B] ∘ Psi[A∘Phi[A, B], B].

    Each step sees the moving image warped from the original by all before it. The whole is the
    inverse of its own `back` where all steps have one, but exchanging the images does not invert
    it: that is what `Halfway` is for.

    The first `active` steps are used; None: all. A step that joins in later changes nothing as
    long as it is the identity.
    """

    def __init__(self, steps: Sequence[nn.Module]) -> None:
        super().__init__()
        self.steps = nn.ModuleList(steps)
        self.active: int | None = None

    def used(self) -> list[nn.Module]:
        """The steps in use, in their order."""
        return list(self.steps)[: self.active]

    @property
    def consistent(self) -> bool:
        return _consistent(self.used())

    def forward(self, moving: Tensor, fixed: Tensor) -> Maps:
        return self._after(self.used()[0](moving, fixed), moving, fixed)

    def both(self, moving: Tensor, fixed: Tensor) -> Maps:
        maps = both_ways(self.used()[0], moving, fixed)
        return self._after(maps, torch.cat([moving, fixed]), torch.cat([fixed, moving]))

    def _after(self, maps: Maps, moving: Tensor, fixed: Tensor) -> Maps:
        for step in self.used()[1:]:
            added = step(maps.there.apply(moving), fixed)
            maps = Maps(composed(maps.there, added.there), _inverse(added.back, maps.back))
        return maps


def both_ways(step: nn.Module, moving: Tensor, fixed: Tensor) -> Maps:
    """As `Registration.both`, of any step."""
    if isinstance(step, Registration):
        return step.both(moving, fixed)
    return step(torch.cat([moving, fixed]), torch.cat([fixed, moving]))


def _consistent(steps: Sequence[nn.Module]) -> bool:
    return all(isinstance(step, Registration) and step.consistent for step in steps)


def _inverse(first: Map | None, then: Map | None) -> Map | None:
    return None if first is None or then is None else composed(first, then)


class Halfway(Registration):
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

    @property
    def consistent(self) -> bool:
        return True

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
