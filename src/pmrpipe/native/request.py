"""What to register, and how: one frozen request, checked before any work."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from pmrpipe.base.device import chosen_device
from pmrpipe.base.errors import InputError
from pmrpipe.base.threads import all_cores
from pmrpipe.study.keys import OTHER_CONTRASTS, T1W
from pmrpipe.study.options.two_scans import TwoScans
from pmrpipe.study.space import Space

Which = Literal["moving", "fixed"]
Say = Callable[[str], None]


@dataclass(frozen=True)
class Scan:
    """A scan and what is known of it.

    state : "head", or "brain" when the brain has been extracted
    mask : an existing brain mask on its grid
    orientation : directions of its voxel axes, where the header states none
    contrast : T1w, T2w, PDw, FLAIR or inplaneT2; None: the BIDS suffix of the file's name, else T1w
    lesion : lesion mask on its grid
    """

    path: Path
    state: Literal["head", "brain"] = "head"
    mask: Path | None = None
    orientation: str | None = None
    contrast: str | None = None
    lesion: Path | None = None

    @property
    def weighting(self) -> str:
        """The contrast that is said, or that the name says."""
        suffix = self.path.name.split(".")[0].rpartition("_")[2]
        return self.contrast or (suffix if suffix in OTHER_CONTRASTS else T1W)

    @property
    def files(self) -> list[Path]:
        """Every file that the scan and its mask consist of: Analyze images have two."""
        others = (self.mask, self.lesion)
        paths = [self.path, *(path for path in others if path is not None)]
        for path in list(paths):
            other = {".hdr": ".img", ".img": ".hdr"}.get(path.suffix)
            if other and path.with_suffix(other).exists():
                paths.append(path.with_suffix(other))
        return paths


AnyScan = str | os.PathLike[str] | Scan


@dataclass(frozen=True)
class Request:
    """Two scans, where the result goes (None: it stays in memory), and the options.

    flags : how the command's options of one scan begin; None: it has none
    """

    moving: Scan
    fixed: Scan
    output: Path | None
    options: TwoScans
    flags: str | None = "--{which}-"

    @property
    def scans(self) -> dict[Which, Scan]:
        return {"moving": self.moving, "fixed": self.fixed}

    def said(self, which: Which) -> str:
        """Behind a file's name: which of two scans it is, where the command has two."""
        return f" ({which})" if self.flags and "{which}" in self.flags else ""

    @property
    def threads(self) -> int:
        return self.options.threads or all_cores()

    @property
    def templates(self) -> tuple[Path, ...]:
        """A whole head and its brain, or nothing."""
        paths = (self.options.head_template, self.options.brain_template)
        return tuple(path for path in paths if path is not None)

    @property
    def inputs(self) -> list[Path]:
        """Every file that is read."""
        labels = [] if self.options.labels is None else [self.options.labels]
        space = self.space.own_files
        return [*self.moving.files, *self.fixed.files, *labels, *self.templates, *space]

    @property
    def space(self) -> Space:
        """The space in which both brains are compared."""
        return Space.load(self.options.space)

    def device(self) -> str:
        """Where networks run: cpu or cuda.

        Raises
        ------
        InputError : cuda is asked for, and there is none
        """
        return chosen_device(self.options.device)


def make_request(
    moving: AnyScan, fixed: AnyScan, output: str | os.PathLike[str] | None, words: Mapping[str, Any]
) -> Request:
    """The request that keyword arguments say.

    Raises
    ------
    InputError : an unknown option, a value outside its range, one template without the other, a
        space that is not there
    """
    options = checked_options(words)
    if (options.head_template is None) != (options.brain_template is None):
        raise InputError("head_template", "goes with brain_template", "give both, or none")
    Space.load(options.space).require_files()
    out = None if output is None else Path(output)
    return Request(_scan(moving, "moving", options), _scan(fixed, "fixed", options), out, options)


def checked_options(words: Mapping[str, Any]) -> TwoScans:
    """The options with their defaults; InputError names the first that is wrong."""
    plain = {k: os.fspath(v) if isinstance(v, os.PathLike) else v for k, v in words.items()}
    try:
        return TwoScans.model_validate(plain)
    except ValidationError as error:
        first = error.errors()[0]
        problem = first["msg"].removeprefix("Value error, ").removeprefix("Input ")
        name = ".".join(map(str, first["loc"]))
        raise InputError(name, f"{problem}, got {first['input']}", "see its help") from None


def _scan(scan: AnyScan, which: str, options: TwoScans) -> Scan:
    if isinstance(scan, Scan):
        return scan
    state: Literal["head", "brain"] = "brain" if options.brain_extracted else "head"
    names = ("mask", "orientation", "contrast", "lesion")
    return Scan(Path(scan), state, *(getattr(options, f"{which}_{name}") for name in names))
