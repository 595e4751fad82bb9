"""A common space: its template, its grid and its name.

The spaces that come with the package are the YAMLs in `data/spaces`; a YAML or the image of a
template brain of one's own makes another (docs/how-to/space.md).
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from pmrpipe.base.errors import InputError
from pmrpipe.images.volume import Grid, Volume, read_image, read_mask, require_same_grid
from pmrpipe.study.options.common import DEFAULT_SPACE
from pmrpipe.study.space_file import SHIPPED, SpaceFile, Which, read_space_file, space_path

# A derived grid: room around the brain at least, and what its shape at 1 mm is a multiple of, so
# that networks halve it four times.
_MARGIN_MM, _MULTIPLE = 6.0, 16
# Of a brain in [0, 1]: what lies above is brain, where no mask says better.
_INSIDE = 0.05
_LITRES = (0.2, 3.0)
_WHOLE_HEAD = "for a whole head write a YAML that names its mask; `pmrpipe brain` makes one"


class SaysGrid(Protocol):
    """Options that say a voxel size and a space."""

    @property
    def mm(self) -> float: ...

    @property
    def space(self) -> str: ...


@dataclass(frozen=True)
class Space:
    """A space; `folder` is where relative paths of its files are seen from."""

    content: SpaceFile
    folder: Path

    @classmethod
    def load(cls, named: str | os.PathLike[str] = DEFAULT_SPACE) -> Space:
        """The space of a shipped name, a YAML, or the image of a template brain.

        No image is opened.

        Raises
        ------
        InputError : no such space or file; a key of the YAML is wrong
        """
        path = space_path(named)
        return _shipped(path) if path.parent == SHIPPED else cls(read_space_file(path), path.parent)

    @property
    def name(self) -> str:
        """The value of the BIDS entity `space-`."""
        return self.content.name

    @property
    def key(self) -> str:
        """The template's key among those of scans: tpl-NAME."""
        return f"tpl-{self.name}"

    @property
    def citation(self) -> str:
        """What a paper cites; empty where the YAML says none."""
        return self.content.citation

    @property
    def own_files(self) -> list[Path]:
        """Files that belong to the user, in place of a package."""
        named: dict[Any, Any] = self.content.files.model_dump(exclude_none=True)
        return [self.file(which) for which, place in named.items() if isinstance(place, str)]

    def require_files(self) -> None:
        """InputError when a file of the user's is missing."""
        _ = self.own_files

    @property
    def digest(self) -> str:
        """Twelve hexadecimal digits of what the YAML says of template and grid."""
        said = self.content.model_dump_json(exclude={"citation"})
        return hashlib.sha256(said.encode()).hexdigest()[:12]

    def file(self, which: Which) -> Path:
        """Path of the template's brain, head, mask, gm or wm.

        Raises
        ------
        InputError : the space has no such file, or it is missing
        WorkError : the package that carries it is not installed
        """
        place = getattr(self.content.files, which)
        if place is None:
            raise InputError(f"space {self.name}", f"has no {which}", f"name it as files.{which}")
        if not isinstance(place, str):
            return place.find()
        path = self.folder / Path(os.path.expandvars(place)).expanduser()
        if not path.exists():
            raise InputError(path, f"no such file; it is the {which} of space {self.name}")
        return path

    @property
    def source(self) -> Path:
        """The file from which the brain comes: the brain's own, or the head's."""
        return self.file("brain" if self.content.files.brain else "head")

    def grid(self, mm: float = 1.0) -> Grid:
        """Grid of all preprocessed images; at other voxel sizes the same field of view.

        Where the YAML gives none: along RAS, the brain's box in the middle with at least 6 mm
        around it, its shape at 1 mm rounded up to multiples of 16.
        """
        grid = self.content.grid
        if grid is None:
            return _box(_brain(self)).rescaled(mm)
        affine = np.eye(4)
        affine[:3, 3] = grid.origin
        return Grid(grid.shape, affine).rescaled(mm)

    def brain(self, mm: float = 1.0) -> Volume:
        """The template brain on `grid(mm)`, float32 in [0, 1], background 0."""
        return _brain_on_grid(self, mm)

    def mask(self, mm: float = 1.0) -> Volume:
        """The template brain's mask on `grid(mm)`, bool."""
        if self.content.files.mask is None:
            brain = self.brain(mm)
            return Volume(brain.data > _INSIDE, brain.affine)
        inside = read_mask(self.file("mask"))
        share = _on_grid(Volume(inside.data.astype(np.float32), inside.affine), self.grid(mm), mm)
        return Volume(share.data > 0.5, share.affine)

    def tissue(self, which: Which, mm: float = 1.0) -> Volume:
        """Probability of `gm` or `wm` on `grid(mm)`, float32 in [0, 1]."""
        image = _image(self.file(which))
        data = image.data / np.float32(self.content.tissue_scale)
        return _on_grid(Volume(data, image.affine), self.grid(mm), mm)


@cache
def _shipped(path: Path) -> Space:
    return Space(read_space_file(path), path.parent)


@lru_cache(maxsize=4)
def _image(path: Path) -> Volume:
    return read_image(path)


@lru_cache(maxsize=2)
def _brain(space: Space) -> Volume:
    """The brain on the template's own grid, float32, about [0, 1].

    Raises
    ------
    InputError : its mask lies on another grid; what is above 0 is no brain
    """
    path, image = space.source, _image(space.source)
    data = image.data
    if space.content.files.mask is not None:
        mask = read_mask(space.file("mask"))
        require_same_grid(mask, image, space.file("mask"), path)
        data = np.where(mask.data, data, np.float32(0))
    bright = data[data > 0]
    if not bright.size:
        raise InputError(path, "holds no value above 0 in the brain", "give another template")
    data = data / np.float32(space.content.scale or np.quantile(bright, 0.999))
    _require_brain(data, image, path)
    return Volume(data, image.affine)


@lru_cache(maxsize=1)
def _brain_on_grid(space: Space, mm: float) -> Volume:
    return _on_grid(_brain(space), space.grid(mm), mm)


def _require_brain(data: np.ndarray, image: Volume, path: Path) -> None:
    litres = float((data > _INSIDE).sum() * np.prod(image.spacing) * 1e-6)
    if not _LITRES[0] <= litres <= _LITRES[1]:
        problem = f"holds {litres:.2f} litres above 0, which is no brain"
        raise InputError(path, problem, _WHOLE_HEAD)


def _on_grid(source: Volume, grid: Grid, mm: float) -> Volume:
    from scipy.ndimage import affine_transform, gaussian_filter

    data, spacing = source.data, np.asarray(source.spacing)
    if (mm > spacing).any():
        # Half a voxel of Gaussian blur against aliasing.
        data = gaussian_filter(data, np.where(mm > spacing, 0.42 * mm / spacing, 0))
    index = np.linalg.inv(source.affine) @ grid.affine
    resampled = affine_transform(data, index[:3, :3], index[:3, 3], grid.shape, order=1)
    return Volume(np.clip(resampled, 0, 1).astype(np.float32), grid.affine)


def _box(brain: Volume) -> Grid:
    """Grid of 1 mm along RAS around a brain on its own grid."""
    voxels = np.argwhere(brain.data > _INSIDE)
    ends = np.stack([voxels.min(0), voxels.max(0)])
    corners = np.array(np.meshgrid(*ends.T)).reshape(3, -1)
    world = brain.affine[:3, :3] @ corners + brain.affine[:3, 3:]
    low, high = world.min(1), world.max(1)
    shape = np.ceil((high - low + 2 * _MARGIN_MM) / _MULTIPLE).astype(int) * _MULTIPLE
    affine = np.eye(4)
    # Half millimetres: the same template shifted by whole ones gets the same voxels.
    affine[:3, 3] = np.round(low + high - shape + 1) / 2
    return Grid(tuple(shape.tolist()), affine)


def template_grid(mm: float = 1.0) -> Grid:
    """Grid of the default space."""
    return Space.load().grid(mm)


def template_brain(mm: float = 1.0) -> Volume:
    """Template brain of the default space."""
    return Space.load().brain(mm)
