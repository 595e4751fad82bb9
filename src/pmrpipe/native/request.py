"""Two T1w scans as they come: preprocessed, registered, written on their own grids.

`pmrpipe register` and `pmrpipe.register(moving, fixed)` are this module.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pmrpipe.base.errors import InputError, retold
from pmrpipe.base.files import read_json, sha256

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from pmrpipe.images.volume import Grid
    from pmrpipe.methods.spec import MethodSpec
    from pmrpipe.native.registration import NativeRegistration, PreparedScan
    from pmrpipe.study.paths import Results

PAGE = "qc.html"
_DEFAULT = "pmr-plus"
_FILES = {
    "from-moving_to-fixed_mode-image_xfm.nii.gz": "resamples images of the moving scan onto the "
    "fixed scan; all parts in one ITK displacement field",
    "from-fixed_to-moving_mode-image_xfm.nii.gz": "the other direction",
    "space-fixed_desc-moving_T1w.nii.gz": "the moving scan on the fixed scan's grid",
    "space-fixed_desc-moving_dseg.nii.gz": "the moving scan's labels there",
    "space-fixed_desc-jacobian_map.nii.gz": "Jacobian determinant from fixed to moving, affine "
    "included: above 1 where the moving brain is larger",
    "space-fixed_desc-uncertainty_map.nii.gz": "standard deviation, mm, of where the network puts "
    "each point in the moving scan",
    "register.json": "what was done, and the numbers above",
}


@dataclass(frozen=True)
class Scan:
    """A T1w scan and what is known of it.

    state : "head", or "brain" when the brain has been extracted
    mask : an existing brain mask on its grid
    orientation : directions of its voxel axes, where the header states none
    """

    path: Path
    state: Literal["head", "brain"] = "head"
    mask: Path | None = None
    orientation: str | None = None


def default_cache() -> Path:
    """Where preprocessed scans are kept: $PMRPIPE_CACHE, or pmrpipe in the user's cache folder."""
    given = os.environ.get("PMRPIPE_CACHE")
    home = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(given or Path(home) / "pmrpipe").expanduser()


def register(
    moving: str | os.PathLike[str] | Scan,
    fixed: str | os.PathLike[str] | Scan,
    output: str | os.PathLike[str] | None = None,
    *,
    method: str | None = None,
    weights: str | os.PathLike[str] | None = None,
    refine: int | None = None,
    refine_mm: float = 1.0,
    uncertainty: int = 0,
    labels: str | os.PathLike[str] | None = None,
    interpolation: Literal["nearest", "genericLabel"] = "nearest",
    n4: bool = False,
    head_template: str | os.PathLike[str] | None = None,
    brain_template: str | os.PathLike[str] | None = None,
    mm: float = 1.0,
    cache: str | os.PathLike[str] | None = None,
    seed: int = 2019,
    threads: int | None = None,
    device: str = "auto",
    say: Callable[[str], None] = lambda text: None,
) -> NativeRegistration:
    """Register two T1w scans as they come, and write the result to `output` if it is given.

    Parameters
    ----------
    moving, fixed : files, or a `Scan` where more is known
    method : name or YAML; by default the one that `weights` are of, else `pmr-plus`
    weights : folder with weights.safetensors and model.json, for a network; by default those
        that come with pmrpipe
    refine : most steps of instance optimisation after a network, on each of its levels; by
        default what the method's YAML says
    refine_mm : voxel size of the finest of these levels: 2 is faster and smoother, 1 more accurate
    uncertainty : samples of a network's posterior for a map of its standard deviation; 0: no map.
        Instance optimisation has no posterior: it goes with `refine=0`
    labels : label map of the moving scan
    n4 : correct the bias of both brains before they are registered
    head_template, brain_template : a whole head and its brain (cut out, mask or probability), with
        which brains are extracted by ANTs in place of the network deepbet
    mm : voxel size of the template grid on which they are registered
    cache : folder where preprocessed scans are kept by content; None keeps nothing
    threads : by default all cores; only 1 gives the same bytes on every run for `syn`

    Raises
    ------
    InputError, WorkError : a file, mask or label map is unusable; a step failed
    """
    # Before ITK is loaded, which fixes its threads once.
    threads = threads or len(os.sched_getaffinity(0))
    os.environ["ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"] = str(threads)
    scans = [s if isinstance(s, Scan) else Scan(Path(s)) for s in (moving, fixed)]
    out = None if output is None else Path(output)
    steps = {"refine": refine, "refine_mm": refine_mm}
    found, spec, facts = _method(method, weights, steps, seed, _device(device), threads, say)
    uncertain = _uncertain(found, spec, facts, uncertainty, seed) if uncertainty else None
    native = None if labels is None else _labels(Path(labels), scans[0])
    if (head_template is None) != (brain_template is None):
        raise InputError("head_template", "goes with brain_template", "give both, or none")
    templates = [Path(path) for path in (head_template, brain_template) if path is not None]
    options = {"n4": n4, "seed": seed}
    with tempfile.TemporaryDirectory(prefix="pmrpipe-register-") as space:
        kept = Path(space) if cache is None else Path(cache)
        prepared = _prepared(scans, kept, Path(space), mm, options, templates, say)
    from pmrpipe.native.registration import register_native

    say(f"registering by {spec.name}")
    result = register_native(
        *prepared,
        found,
        labels=native,
        interpolation=interpolation,
        uncertain=uncertain,
        device=_device(device),
    )
    result.facts.update(facts, mm=mm, n4=n4, threads=threads)
    if out is not None:
        say(f"writing {out}")
        write_result(result, out)
    return result


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Of several runs that write to `folder` at once, one after the other."""
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # file systems without locks
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def write_result(result: NativeRegistration, out: Path) -> None:
    """Write all files and the page to `out`, in place of what an older registration left there."""
    from pmrpipe.native.page import write_pair_page

    with _alone(out):
        for name in (PAGE, *_FILES):
            (out / name).unlink(missing_ok=True)
        written = [path.name for path in result.write(out)]
        facts, shown = result.facts, result.on_template
        folded = f"{facts['folding_percent']:.3g} %"
        write_pair_page(
            out / PAGE,
            (shown.moving, shown.fixed, shown.warped),
            shown.grid,
            shown.field,
            title=f"{facts['moving']} to {facts['fixed']}",
            facts=[
                ("Method", facts["method"]),
                ("Similarity (NCC), affine", f"{facts['ncc_affine']:.3f}"),
                ("Similarity (NCC), registered", f"{facts['ncc']:.3f}"),
                ("Folded voxels", folded),
                ("SDlogJ", f"{facts['sdlogj']:.3f}"),
                ("Seconds", f"{facts['seconds']:.1f}"),
            ],
            files={name: _FILES[name] for name in written},
        )


def _device(device: str) -> str:
    import torch

    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return device


def _method(
    name: str | None,
    weights: Any,
    steps: dict[str, Any],
    seed: int,
    device: str,
    threads: int,
    say: Callable[[str], None],
) -> tuple[Any, MethodSpec, dict[str, Any]]:
    """The method, its specification, and what register.json says of it."""
    import torch

    from pmrpipe.methods.spec import load_method, shipped_weights
    from pmrpipe.methods.weights import MODEL, WEIGHTS

    torch.set_num_threads(threads)
    mm, facts = None, {}
    if weights is None:
        name = name or _DEFAULT
        weights = shipped_weights(name)
    if weights is not None:
        model = read_json(Path(weights) / MODEL)
        name, mm = name or model.get("method"), model.get("network_mm")
    found, method = load_method(
        name,
        weights=None if weights is None else Path(weights),
        network_mm=mm,
        seed=seed,
        device=device,
    )
    if weights is not None:
        facts = {"weights_sha256": sha256(Path(weights) / WEIGHTS), "network_mm": mm}
    refine = found.refine if steps["refine"] is None else steps["refine"]
    if refine:
        if not found.learned:
            raise InputError(name, "is no network", "--refine is for learned methods")
        from pmrpipe.methods.refine import Refined, Refinement

        def tell(step: int, most: int) -> None:
            if step % max(1, most // 4) == 0:
                say(f"refining: {step} of at most {most} steps")

        plan = Refinement(steps=refine).down_to(steps["refine_mm"])
        method, facts = Refined(method, plan, tell), facts | steps | {"refine": refine}
    return method, found, {"method": found.name, "citation": found.citation, **facts}


def _uncertain(
    method: Any, spec: MethodSpec, facts: dict[str, Any], samples: int, seed: int
) -> Callable[[Sequence[Tensor], Grid], np.ndarray]:
    """What maps the uncertainty of a pair; `facts` learn of it."""
    from pmrpipe.stages.register.uncertainty import deviation_map

    if samples < 2:
        raise InputError("uncertainty", "one sample has no deviation", "give at least 2")
    if not getattr(method, "probabilistic", False):
        problem = "has no posterior" + (" when refined" if "refine" in facts else "")
        raise InputError(spec.name, problem, "take a network with --refine 0")
    factor = spec.uncertainty_factor
    facts.update(uncertainty_samples=samples, uncertainty_factor=factor)
    return lambda images, grid: factor * deviation_map(method, images, grid, samples, seed)


def _labels(path: Path, scan: Scan) -> Any:
    from pmrpipe.images.volume import read_grid, read_labels, require_same_grid

    labels = read_labels(path, scan.orientation)
    require_same_grid(labels, read_grid(scan.path, scan.orientation), path, scan.path)
    if not labels.data.any():
        raise InputError(path, "holds no label", "give a label map, or none")
    return labels


def _prepared(
    scans: Sequence[Scan],
    cache: Path,
    space: Path,
    mm: float,
    options: Mapping[str, Any],
    templates: Sequence[Path],
    say: Callable[[str], None],
) -> list[PreparedScan]:
    """The scans with their preprocessed brains, from the cache where they have been there before.

    Each is preprocessed in a process of its own, with one thread, which alone makes the affine
    reproducible; ITK here keeps its own number of threads. What they leave in `space` when they are
    stopped is removed with it.
    """
    from pmrpipe.images.transforms import read_affine
    from pmrpipe.images.volume import read_image
    from pmrpipe.native.registration import PreparedScan

    images = [read_image(scan.path, scan.orientation) for scan in scans]
    used = [templates if scan.state == "head" and scan.mask is None else () for scan in scans]
    places = [_place(*both, cache, mm, options) for both in zip(scans, used, strict=True)]
    running = {}
    for scan, shown, (results, key) in zip(scans, used, places, strict=True):
        if results.preproc(key).exists():
            say(f"{scan.path}: preprocessed before")
        elif key not in running:
            say(f"{scan.path}: preprocessing")
            running[key] = _start(scan, shown, results, key, space, options)
    try:
        for process in running.values():
            told = process.communicate()[1]
            if process.returncode:
                raise retold(told.strip().rpartition("\n")[2], process.returncode)
    finally:
        for process in running.values():
            process.kill()
            process.wait()
    return [
        PreparedScan(
            scan.path.name,
            image,
            read_image(results.preproc(key)),
            read_affine(results.affine(key)),
            _doubtful(scan, results, key, say),
        )
        for scan, image, (results, key) in zip(scans, images, places, strict=True)
    ]


def _doubtful(scan: Scan, results: Results, key: str, say: Callable[[str], None]) -> str | None:
    """What the measures of a study's qc.tsv say against a scan; a warning tells it."""
    import pandas as pd

    from pmrpipe.images.volume import read_image, read_mask
    from pmrpipe.stages.qc.measures import judged, measure
    from pmrpipe.study.sidecar import sidecar_path

    quality = read_json(sidecar_path(results.affine(key)))["Quality"]
    brain, mask = read_image(results.brain(key)), read_mask(results.mask(key))
    said = judged(pd.DataFrame([measure(brain, mask, quality)]))["outlier"].iloc[0]
    if said is not None:
        say(f"warning: {scan.path}: {said} (docs/quality.md); look whether the result is right")
    return said


def _start(
    scan: Scan,
    templates: Sequence[Path],
    results: Results,
    key: str,
    space: Path,
    options: Mapping[str, Any],
) -> subprocess.Popen[str]:
    """`pmrpipe preprocess` of one scan."""
    words = ["--key", key, "--state", scan.state, "--mm", results.mm]
    words += ["--seed", options["seed"], *(["--n4"] if options["n4"] else [])]
    if scan.mask is not None:
        words += ["--method", "mask", "--mask", scan.mask]
    elif templates:
        head, brain = templates
        words += ["--method", "template", "--head-template", head, "--brain-template", brain]
    if scan.orientation is not None:
        words += ["--orientation", scan.orientation]
    command = [sys.executable, "-m", "pmrpipe", "preprocess", scan.path, results.root, *words]
    package = str(Path(__file__).resolve().parents[2])
    known = os.environ.get("PYTHONPATH")
    environment = {
        **os.environ,
        "TMPDIR": str(space),
        "PYTHONPATH": os.pathsep.join([package, *([known] if known else [])]),
    }
    return subprocess.Popen(
        [str(word) for word in command], env=environment, stderr=subprocess.PIPE, text=True
    )


def _place(
    scan: Scan, templates: Sequence[Path], cache: Path, mm: float, options: Mapping[str, Any]
) -> tuple[Results, str]:
    """Where the scan's files lie: named by its content, what is done to it, and by which code."""
    from pmrpipe.base.digest import digest
    from pmrpipe.study.paths import Results

    said = {
        "state": scan.state,
        "orientation": scan.orientation,
        "files": [sha256(path) for path in (*_files(scan), *templates)],
        **options,
    }
    content = hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()
    return Results(cache / digest("pmrpipe.stages.preprocess.workflow"), mm), f"sub-{content[:16]}"


def _files(scan: Scan) -> list[Path]:
    """Every file that the scan consists of: Analyze images have two."""
    paths = [scan.path] if scan.mask is None else [scan.path, scan.mask]
    for path in list(paths):
        other = {".hdr": ".img", ".img": ".hdr"}.get(path.suffix)
        if other and path.with_suffix(other).exists():
            paths.append(path.with_suffix(other))
    return paths
