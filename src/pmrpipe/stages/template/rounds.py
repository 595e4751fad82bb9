"""Rounds of registering all scans to their mean; each round's files are kept and used again.

Every file of a round says in its sidecar what it was made of (`Recipe`, a digest). A run that was
killed goes on where it was, with the same bytes; what a changed option or scan touches is made
again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pmrpipe.base.device import memory_told
from pmrpipe.base.errors import InputError
from pmrpipe.base.files import read_json, sha256, write_json
from pmrpipe.images.resampling import Field, resample, sample_points
from pmrpipe.images.transforms import read_field, write_field
from pmrpipe.images.volume import (
    Grid,
    Volume,
    read_image,
    read_mask,
    require_same_grid,
    write_volume,
)
from pmrpipe.spatial.integrate import compose
from pmrpipe.spatial.resize import resize_image
from pmrpipe.stages.template.average import robust_mean, sharpened, sharpness
from pmrpipe.stages.template.balance import correction, length_mm, to_millimetres, to_voxels
from pmrpipe.stages.template.ready import Ready
from pmrpipe.study.keys import contrast_of, scan_and_contrast, scan_key, subject_of
from pmrpipe.study.options.template import TemplateMaking
from pmrpipe.study.paths import Results
from pmrpipe.study.sidecar import sidecar_path
from pmrpipe.study.template_paths import TemplatePaths

COLUMNS = ("round", "mean_displacement_mm", "taken_back_mm", "sharpness", "change")
_RECIPE = "Recipe"


@dataclass(frozen=True)
class Balanced:
    """Fields (X, Y, Z, 3), RAS mm, from the template to each scan, their mean taken back.

    taken_back_mm, left_mm : mean length over the brain of the mean displacement, before and after
    """

    grid: Grid
    psi: torch.Tensor
    taken_back_mm: float
    left_mm: float

    def field(self, raw: np.ndarray) -> Field:
        """The field that begins at the balanced template, of one that a registration gave."""
        inner = compose(to_voxels(raw, self.grid.affine), self.psi)
        return to_millimetres(inner, self.grid.affine), self.grid


@dataclass(frozen=True)
class TemplateRounds:
    """The rounds of one template."""

    results: Results
    paths: TemplatePaths
    options: TemplateMaking
    ready: Ready
    say: Callable[[str], None]

    def run(self) -> list[dict[str, Any]]:
        """Rows of rounds.tsv, round 0 first; the last one's template is the result."""
        rows = [self._begin()]
        for number in range(1, self.options.rounds + 1):
            for key in self.options.keys:
                self._register(number, key)
            rows.append(self._average(number))
            row = rows[-1]
            self.say(
                f"round {number}: sharpness {row['sharpness']:.4f}, change {row['change']:.4f}, "
                f"mean displacement {row['mean_displacement_mm']:.3f} mm"
            )
            if row["change"] < self.options.tolerance:
                break
        return rows

    def fields(self, number: int) -> Iterator[tuple[str, Field]]:
        """Balanced fields of a round, one after the other."""
        balanced = self._balanced(number)
        for key in self.options.keys:
            yield key, balanced.field(read_field(self.paths.round_field(number, key))[0])

    def along(self, number: int, contrast: str, mask: np.ndarray) -> np.ndarray:
        """Robust mean (X, Y, Z) in [0, 1] of another contrast, along the fields of a round."""
        values = [
            self._values(scan_key(key, contrast), field, mask)
            for key, field in self.fields(number)
            if scan_key(key, contrast) in self.options.along
        ]
        return self._robust(values, mask)

    # -- round 0 ------------------------------------------------------------------------------
    def _begin(self) -> dict[str, Any]:
        recipe = self._recipe("begin", self._scans(), self._initial(), self._averaging())
        return self._kept_or_made(0, recipe, self._first)

    def _first(self) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
        initial_path = self.options.initial
        if initial_path is None:
            data, mask = self._mean(lambda: ((key, None) for key in self.options.keys))
            return data, mask, {}
        image, grid = read_image(initial_path), self.results.space.grid(self.options.mm)
        if image.grid != grid:
            require_same_grid(image, grid, initial_path, f"space {self.results.space.name}")
        return np.clip(image.data, 0, 1), image.data > 0, {}

    # -- a round ------------------------------------------------------------------------------
    def _register(self, number: int, key: str) -> None:
        """The field of a scan to the template of the round before, unless it is there."""
        before, out = self.paths.round_template(number - 1), self.paths.round_field(number, key)
        scan = self.results.preproc(key)
        recipe = self._recipe("field", self.ready.identity, sha256(scan), sha256(before))
        if _is_made(out, recipe):
            return
        self.say(f"round {number}: registering {key}")
        moving, fixed = read_image(scan), read_image(before)
        require_same_grid(moving, fixed, scan, before)
        source, target = (
            torch.from_numpy(image.data)[None, None].to(self.ready.device)
            for image in (moving, fixed)
        )
        with torch.no_grad(), memory_told(key, "raise refine_mm, or use device: cpu"):
            deformation = self.ready.method.register(source, target, fixed.grid)
        _announce(out, recipe)
        write_field(out, deformation.millimetres(), deformation.grid)

    def _average(self, number: int) -> dict[str, Any]:
        sources = [sha256(self.paths.round_field(number, key)) for key in self.options.keys]
        before = sha256(self.paths.round_template(number - 1))
        recipe = self._recipe("average", sources, before, self._scans(), self._averaging())
        return self._kept_or_made(number, recipe, lambda: self._averaged(number))

    def _averaged(self, number: int) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
        balanced = self._balanced(number)
        data, mask = self._mean(lambda: self.fields(number))
        before = read_image(self.paths.round_template(number - 1)).data
        return data, mask, {
            "mean_displacement_mm": round(balanced.left_mm, 5),
            "taken_back_mm": round(balanced.taken_back_mm, 5),
            "change": round(float(np.abs(data - before)[mask].mean()), 6),
        }  # fmt: skip

    def _balanced(self, number: int) -> Balanced:
        """What takes the mean of a round's fields back."""
        total, grid = None, None
        for key in self.options.keys:
            field, own = read_field(self.paths.round_field(number, key))
            grid = grid or own
            total = field.astype(np.float64) if total is None else total + field
        assert total is not None
        assert grid is not None
        mean = to_voxels(total / len(self.options.keys), grid.affine)
        mask = read_mask(self.paths.round_mask(number - 1)).data.astype(np.float32)
        inside = resize_image(torch.from_numpy(mask)[None, None], grid.shape)[0, 0] > 0.5
        psi = correction(mean, grid.spacing)
        left = compose(mean, psi)
        lengths = (float(length_mm(u, grid.spacing)[inside].mean()) for u in (mean, left))
        return Balanced(grid, psi, *lengths)

    # -- the mean -----------------------------------------------------------------------------
    def _mean(
        self, fields: Callable[[], Iterator[tuple[str, Field | None]]]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Robust mean (X, Y, Z) in [0, 1] of the warped scans, and where most of them are."""
        grid = self.results.space.grid(self.options.mm)
        share = np.zeros(grid.shape, np.float32)
        for key, field in fields():
            inside = Volume((self._scan(key).data > 0).astype(np.float32), grid.affine)
            share += resample(inside, sample_points(grid, field=field)) > 0.5
        mask = share > len(self.options.keys) / 2
        values = [self._values(key, field, mask) for key, field in fields()]
        return self._robust(values, mask), mask

    def _robust(self, values: list[np.ndarray], mask: np.ndarray) -> np.ndarray:
        """The average of values (V,) in the mask, sharpened; 0 outside."""
        data = np.zeros(mask.shape, np.float32)
        data[mask] = robust_mean(np.stack(values), self.options.average)
        return sharpened(data, mask, self.options.sharpen)

    def _values(self, key: str, field: Field | None, mask: np.ndarray) -> np.ndarray:
        """A scan (V,) at the voxels of the mask, cubic; NaN where its brain does not reach."""
        scan = self._scan(key)
        points = sample_points(scan.grid, field=field)[mask]
        inside = Volume((scan.data > 0).astype(np.float32), scan.affine)
        values = np.clip(resample(scan, points, "bspline"), 0, 1)
        return np.where(resample(inside, points) > 0.5, values, np.nan).astype(np.float32)

    def _scan(self, key: str) -> Volume:
        return read_image(self.results.preproc(key))

    # -- what is kept -------------------------------------------------------------------------
    def _kept_or_made(
        self,
        number: int,
        recipe: str,
        make: Callable[[], tuple[np.ndarray, np.ndarray, dict[str, Any]]],
    ) -> dict[str, Any]:
        """The row of a round whose template is there, or is made now."""
        out, about = self.paths.round_template(number), "Round"
        if not _is_made(out, recipe):
            data, mask, row = make()
            grid = self.results.space.grid(self.options.mm)
            row["sharpness"] = round(sharpness(data, mask, grid), 6)
            _announce(out, recipe, **{about: row})
            write_volume(self.paths.round_mask(number), mask, grid.affine)
            write_volume(out, data, grid.affine)
        return {"round": number, **read_json(sidecar_path(out))[about]}

    def _scans(self) -> list[list[str]]:
        return [[key, sha256(self.results.preproc(key))] for key in self.options.keys]

    def _initial(self) -> str | None:
        initial_path = self.options.initial
        if initial_path is None:
            return None
        if not initial_path.is_file():
            raise InputError(initial_path, "no such file; it is the template to begin with")
        return sha256(initial_path)

    def _averaging(self) -> list[Any]:
        return [self.options.average, self.options.sharpen]

    def _recipe(self, *parts: Any) -> str:
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _is_made(path: Path, recipe: str) -> bool:
    about = sidecar_path(path)
    return path.exists() and about.exists() and read_json(about).get(_RECIPE) == recipe


def _announce(path: Path, recipe: str, **more: Any) -> None:
    """The sidecar before its file, and no older file beside it."""
    path.unlink(missing_ok=True)
    write_json(sidecar_path(path), {_RECIPE: recipe, **more})


def require_scans(results: Results, keys: Sequence[str], along: Sequence[str] = ()) -> None:
    """Raises InputError for fewer than two subjects, or a scan that is not preprocessed.

    For a scan that comes along without its T1w, or alone in its contrast, too.
    """
    if len({subject_of(key) for key in keys}) < 2:
        raise InputError("keys", "a template needs two subjects at least", "name more of them")
    if len({contrast_of(key) for key in keys}) > 1:
        raise InputError("keys", "the scans have several contrasts", "name those of one")
    for key in along:
        if scan_and_contrast(key)[0] not in keys:
            problem = f"the T1w of {key} is not among the keys"
            raise InputError("along", problem, "name it there, or leave the scan out")
        if len({subject_of(k) for k in along if contrast_of(k) == contrast_of(key)}) < 2:
            problem = f"{contrast_of(key)}: two subjects at least must have one"
            raise InputError("along", problem, "name more of them, or leave the contrast out")
    for key in (*keys, *along):
        if not results.preproc(key).exists():
            raise InputError(results.preproc(key), "no such file", "preprocess the scan first")
