"""Both scans preprocessed: from the cache, or each in a process of its own."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np

from pmrpipe.base.digest import digest
from pmrpipe.base.errors import InputError
from pmrpipe.base.files import read_json, sha256
from pmrpipe.base.threads import each
from pmrpipe.images.lesion import lesion_share
from pmrpipe.images.transforms import read_affine
from pmrpipe.images.volume import Grid, Volume, read_image, read_mask
from pmrpipe.native.messages import about
from pmrpipe.native.processes import Job, running_jobs
from pmrpipe.native.request import Request, Say, Scan, Which
from pmrpipe.study.keys import T1W, contrast_of, scan_key
from pmrpipe.study.options.common import DEFAULT_SPACE
from pmrpipe.study.paths import Results
from pmrpipe.study.sidecar import sidecar_path
from pmrpipe.study.space import Space
from pmrpipe.study.space_file import space_path

Done = TypeVar("Done")


@dataclass(frozen=True)
class PreparedScan:
    """A scan as it came, its brain on the template grid, and how the two are related.

    affine : (4, 4), RAS mm, points of the template to points of the scan
    contrast : BIDS suffix
    lesion : share of each voxel of the template grid, (X, Y, Z), or None
    doubtful : what its quality measures say against it, as in qc.tsv
    doubts : the same in sentences
    """

    name: str
    scan: Volume
    preproc: Volume
    affine: np.ndarray
    doubtful: str | None = None
    doubts: tuple[str, ...] = ()
    contrast: str = T1W
    lesion: np.ndarray | None = None


@dataclass(frozen=True)
class Preparation:
    """Everything on which the preprocessed files of a scan depend, but for the code.

    `key` is made of every field, and `job` says every field to the worker: what is computed
    and what it is called cannot part.
    """

    t1w: Path
    mm: float
    space: Path
    state: Literal["head", "brain"]
    method: str
    mask: Path | None
    head_template: Path | None
    brain_template: Path | None
    orientation: str | None
    n4: bool
    seed: int
    contrast: str = T1W
    lesion: Path | None = None

    @property
    def key(self) -> str:
        """Name by content: files by their bytes, whatever they are called."""
        said = {k: _content(v) for k, v in asdict(self).items()}
        text = json.dumps(said, sort_keys=True)
        name = f"sub-{hashlib.sha256(text.encode()).hexdigest()[:20]}"
        return scan_key(name, self.contrast)

    def results(self, cache: Path) -> Results:
        """Where its files lie; the template, which depends on space and voxels, beside them."""
        code = digest("pmrpipe.stages.preprocess.workflow")
        space = Space.load(self.space)
        grid = f"mm-{self.mm!r}"
        if space.name != DEFAULT_SPACE:  # which no other space may be called
            files = [space.digest, *map(sha256, space.own_files)]
            grid += f"_space-{hashlib.sha256(repr(files).encode()).hexdigest()[:12]}"
        return Results(cache / code / grid, self.mm, space)

    def job(self, cache: Path) -> Job:
        """What the worker is told."""
        options = {
            k: _plain(v) for k, v in asdict(self).items() if k not in ("t1w", "mm", "contrast")
        }
        root = str(self.results(cache).root)
        return Job(str(self.t1w), root, self.mm, self.key, {**options, "threads": 1})


def preparation(scan: Scan, request: Request) -> Preparation:
    """How a scan of the request is preprocessed."""
    head_template = brain_template = None
    method = "deepbet"
    if scan.mask is not None:
        method = "mask"
    elif scan.state == "head" and request.templates:
        method, (head_template, brain_template) = "template", request.templates
    options = request.options
    return Preparation(
        scan.path,
        options.mm,
        space_path(options.space),
        scan.state,
        method,
        scan.mask,
        head_template,
        brain_template,
        scan.orientation,
        options.n4,
        options.seed,
        scan.weighting,
        scan.lesion,
    )


def prepare(request: Request, say: Say) -> list[PreparedScan]:
    """Moving and fixed with their preprocessed brains; as `prepare_and`."""
    return prepare_and(lambda: None, request, say)[0]


def prepare_and(
    meanwhile: Callable[[], Done], request: Request, say: Say
) -> tuple[list[PreparedScan], Done]:
    """Moving and fixed with their preprocessed brains, from the cache where they are in it.

    Each is preprocessed in a process of its own, with one thread, which alone makes the affine
    reproducible; ITK here keeps its own number of threads. What they leave behind when they are
    stopped is removed. `meanwhile` is done here while they work, and its result returned too.

    Raises
    ------
    InputError, WorkError : a scan or mask is unusable; a step failed. They name the user's file
    """
    scans = request.scans
    images = {}
    for which, scan in scans.items():
        with about(which, scan, request.flags):
            images[which] = read_image(scan.path, scan.orientation)
    with tempfile.TemporaryDirectory(prefix="pmrpipe-register-") as space:
        cache = Path(space) if request.options.cache is None else request.options.cache
        plans = {which: preparation(scan, request) for which, scan in scans.items()}
        done = _preprocess(request, plans, cache, Path(space), say, meanwhile)
        ready = each(
            lambda which: _prepared(scans[which], images[which], plans[which], cache), scans
        )
        prepared = dict(zip(scans, ready, strict=True))
    lines = (
        f"warning: {scans[which].path}{request.said(which)}: {doubt}"
        for which, scan in prepared.items()
        for doubt in scan.doubts
    )
    for line in dict.fromkeys(lines):  # of one scan that takes both places once
        say(line)
    return list(prepared.values()), done


def _preprocess(
    request: Request,
    plans: dict[Which, Preparation],
    cache: Path,
    space: Path,
    say: Say,
    meanwhile: Callable[[], Done],
) -> Done:
    """Run the jobs whose files are not there yet, one of two that are the same."""
    jobs: dict[Which, Job] = {}
    for which, plan in plans.items():
        if plan.results(cache).preproc(plan.key).exists():
            say(f"{plan.t1w}: preprocessed before")
        elif plan.key not in {job.key for job in jobs.values()}:
            say(f"{plan.t1w}: preprocessing")
            jobs[which] = plan.job(cache)
    with running_jobs(jobs, space) as running:
        done = meanwhile()
        for which, error in running.errors():
            with about(which, request.scans[which], request.flags):
                raise error
    return done


def _prepared(scan: Scan, image: Volume, plan: Preparation, cache: Path) -> PreparedScan:
    results, key = plan.results(cache), plan.key
    white = read_image(results.preproc(key))
    matrix = read_affine(results.affine(key))
    doubtful, doubts = _judge(results, key, white, (image.grid, matrix))
    lesion = None
    if scan.lesion is not None:
        lesion = lesion_share(read_mask(scan.lesion, scan.orientation), white.grid, matrix)
    known = doubtful, tuple(doubts), scan.weighting, lesion
    return PreparedScan(scan.path.name, image, white, matrix, *known)


def _judge(
    results: Results, key: str, white: Volume, place: tuple[Grid, np.ndarray]
) -> tuple[str | None, list[str]]:
    """What the measures of a study's qc.tsv say against a scan: in names, and in sentences."""
    import pandas as pd

    from pmrpipe.stages.qc.measures import doubts, judged, measure, measure_cover

    quality = read_json(sidecar_path(results.affine(key)))["Quality"]
    brain, mask = read_image(results.brain(key)), read_mask(results.mask(key))
    template = read_image(results.preproc(results.space.key))
    alike = template if contrast_of(key) == T1W else None
    measures = measure(brain, mask, quality, white.data, alike)
    measures |= measure_cover(*place, template)
    return judged(pd.DataFrame([measures]))["outlier"].iloc[0], doubts(measures)


def _content(value: Any) -> Any:
    """What a field means: a file is its bytes, and those of the second file of an Analyze pair."""
    if not isinstance(value, Path):
        return value
    try:
        return [sha256(path) for path in Scan(value).files]
    except FileNotFoundError:
        raise InputError(value, "no such file") from None
    except OSError as error:
        raise InputError(value, f"cannot be read ({error.strerror})") from None


def _plain(value: Any) -> Any:
    return str(value.absolute()) if isinstance(value, Path) else value
