"""Step networks whose maps are held inversely consistent, all of it from the YAML's parts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from pmrpipe.base.errors import InputError
from pmrpipe.images.volume import Grid
from pmrpipe.losses.consistency import Regulariser
from pmrpipe.losses.similarity import Similarity
from pmrpipe.methods.batch import Batch
from pmrpipe.methods.deformation import ConsistentPair, Deformation
from pmrpipe.methods.network_method import NetworkMethod
from pmrpipe.methods.operators import Then
from pmrpipe.methods.steps import Registration
from pmrpipe.spatial.maps import Map
from pmrpipe.spatial.precision import mixed
from pmrpipe.spatial.resize import resize_image

if TYPE_CHECKING:
    from pmrpipe.methods.spec import Stage


class Consistent(NetworkMethod):
    """A step, or steps joined by operators, its similarity and its regularisers.

    Where the steps do not give the inverse by construction, the way back is what they say of the
    exchanged images, in the same batch, and a regulariser has to hold both together.

    Parameters
    ----------
    steps : moving and fixed to `Maps`: a `Step`, `Then`, `Halfway` or `Down`
    similarity : of an image and the one warped onto it; both directions are added
    regularisers : by name, each a penalty on the maps of both directions
    one_way : twice the similarity of the way there in place of both, as ConstrICON has it
    """

    def __init__(
        self,
        steps: Registration,
        similarity: Similarity,
        regularisers: Mapping[str, Regulariser] | None = None,
        one_way: bool = False,
        network_mm: float | None = None,
    ) -> None:
        super().__init__(network_mm)
        self.steps, self.similarity, self.one_way = steps, similarity, one_way
        self.regularisers = dict(regularisers or {})
        self.counted, self.coarser = list(self.regularisers), 1

    def enter(self, stage: Stage) -> None:
        """Use so many steps, regularisers and voxels as a stage of the schedule says.

        Raises
        ------
        InputError : the method lacks a step or a regulariser that the stage names
        """
        strange = set(stage.regularisers or ()) - set(self.regularisers)
        if strange:
            known = ", ".join(self.regularisers) or "none"
            problem = f"names regularisers that the method lacks: {', '.join(sorted(strange))}"
            raise InputError("schedule.stages", problem, f"the method has: {known}")
        self._use(stage.steps)
        all_of_them = list(self.regularisers)
        self.counted = all_of_them if stage.regularisers is None else stage.regularisers
        self.coarser = stage.coarser

    def _use(self, number: int | None) -> None:
        """So many steps of the outermost `Then`: without changing the map no other can grow."""
        joined = next((part for part in self.steps.modules() if isinstance(part, Then)), None)
        there = len(joined.steps) if joined is not None else 0
        if number is not None and number > there:
            problem = f"asks for {number} steps, and the method's `Then` has {there}"
            raise InputError("schedule.stages", problem, "write a smaller number, or leave it out")
        if joined is not None:
            joined.active = number

    def maps(self, moving: Tensor, fixed: Tensor) -> tuple[Map, Map]:
        """Both directions, in voxels of the images' grid; networks run in `precision`."""
        with mixed(moving.device, self.precision):
            if self.steps.consistent:
                maps = self.steps(moving, fixed)
                if maps.back is not None:
                    return maps.there, maps.back
            both, pairs = self.steps.both(moving, fixed).there, moving.shape[0]
        return both.take(slice(0, pairs)), both.take(slice(pairs, 2 * pairs))

    def deform(self, moving: Tensor, fixed: Tensor, grid: Grid) -> Deformation:
        """The map on the grid, and the method's own way back with it."""
        there, back = (m.on(grid.shape, fixed.device) for m in self.maps(moving, fixed))
        return Deformation(there, grid, ConsistentPair(back))

    def objective(self, batch: Batch) -> dict[str, Tensor]:
        """Dissimilarity both ways, and each regulariser under its name."""
        moving, fixed = (self._seen(image) for image in (batch.moving, batch.fixed))
        there, back = self.maps(moving, fixed)
        terms = {"image": self.similarity(fixed, there.apply(moving))}
        if self.one_way:
            terms["image_back"] = terms["image"]
        else:
            terms["image_back"] = self.similarity(moving, back.apply(fixed))
        for name in self.counted:
            terms[name] = self.regularisers[name](there, back, fixed)
        return terms | {"total": torch.stack(list(terms.values())).sum()}

    def _seen(self, image: Tensor) -> Tensor:
        return resize_image(image, [-(-n // self.coarser) for n in image.shape[2:]])
