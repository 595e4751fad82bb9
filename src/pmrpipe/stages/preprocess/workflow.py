"""All steps of one scan in one process, as a Nipype workflow."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from pmrpipe.base.errors import InputError, PmrpipeError, WorkError
from pmrpipe.base.files import atomic
from pmrpipe.study.paths import TEMPLATE_KEY, Results
from pmrpipe.study.sidecar import sidecar_path


def run(
    t1w: str | os.PathLike[str],
    results: Results,
    key: str,
    *,
    state: str = "head",
    method: str = "deepbet",
    mask: str | os.PathLike[str] | None = None,
    head_template: str | os.PathLike[str] | None = None,
    brain_template: str | os.PathLike[str] | None = None,
    labels: str | os.PathLike[str] | None = None,
    interpolation: str = "nearest",
    orientation: str | None = None,
    n4: bool = False,
    seed: int = 2019,
    threads: int = 1,
) -> None:
    """Preprocess one scan into its result paths, the same bytes as by the single steps.

    Results appear only when every step has succeeded.

    Raises
    ------
    InputError, WorkError : as the steps
    """
    from pmrpipe.stages.preprocess import steps

    for path in (t1w, mask, head_template, brain_template, labels):
        if path is not None and not Path(path).is_file():
            raise InputError(path, "no such file")
    if not results.template.exists():
        steps.template(results.template, results.preproc(TEMPLATE_KEY), mm=results.mm)
    with tempfile.TemporaryDirectory(prefix="pmrpipe-preprocess-") as folder:
        flow = build(Path(folder), results, key, Path(t1w), mask, labels)
        brain = flow.get_node("brain").inputs
        brain.trait_set(state=state, method=method, n4=n4, threads=threads)
        for name, path in (("head", head_template), ("brain", brain_template)):
            if path is not None:
                brain.trait_set(**{f"{name}_template": _absolute(path)})
        if orientation is not None:
            brain.orientation = orientation
        flow.get_node("affine").inputs.trait_set(seed=seed, threads=threads)
        if labels is not None:
            node = flow.get_node("labels").inputs
            node.interpolation = interpolation
            if orientation is not None:
                node.orientation = orientation
        _execute(flow, key)
        _deliver(Path(folder), results, key)


def build(
    folder: Path,
    results: Results,
    key: str,
    t1w: Path,
    mask: str | os.PathLike[str] | None = None,
    labels: str | os.PathLike[str] | None = None,
) -> Any:
    """The workflow of one scan: brain -> resample -> affine -> whiten, and labels.

    Parameters
    ----------
    folder : fresh base folder; Nipype's cache knows nothing of changes in code
    results : names the outputs, and holds the template
    """
    isolate_nipype()
    from nipype import Node, Workflow

    from pmrpipe.stages.preprocess import interfaces as steps

    template = str(results.template.resolve())
    brain = Node(steps.ExtractBrain(t1w=_absolute(t1w)), name="brain")
    brain.inputs.trait_set(out_mask=results.mask(key).name, out_brain=results.brain(key).name)
    if mask is not None:
        brain.inputs.mask = _absolute(mask)
    resample = Node(steps.ResampleIsotropic(mm=results.mm), name="resample")
    resample.inputs.out_file = results.resampled(key).name
    affine = Node(steps.NormaliseAffine(template=template, subject=key), name="affine")
    xfm = results.affine(key)
    affine.inputs.trait_set(out_mat=xfm.name, out_json=sidecar_path(xfm).name)
    whiten = Node(steps.Whiten(template=template), name="whiten")
    whiten.inputs.out_file = results.preproc(key).name
    flow = Workflow(name="preprocess", base_dir=str(folder))
    flow.config["execution"] = _execution(folder)
    flow.connect(
        [
            (brain, resample, [("out_brain", "brain")]),
            (resample, affine, [("out_file", "brain_iso")]),
            (brain, whiten, [("out_brain", "brain"), ("out_mask", "mask")]),
            (affine, whiten, [("out_mat", "xfm")]),
        ]
    )
    if labels is not None:
        node = Node(steps.ResampleLabels(t1w=_absolute(t1w), template=template), name="labels")
        node.inputs.trait_set(dseg=_absolute(labels), out_file=results.dseg(key).name)
        flow.connect(affine, "out_mat", node, "xfm")
    return flow


def isolate_nipype() -> None:
    """Before Nipype is imported: no telemetry (it would wait for the network), no ~/.nipype."""
    os.environ["NO_ET"] = os.environ["NIPYPE_NO_ET"] = "1"
    if "NIPYPE_CONFIG_DIR" not in os.environ:
        folder = tempfile.mkdtemp(prefix="pmrpipe-nipype-")
        os.environ["NIPYPE_CONFIG_DIR"] = folder
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
    import logging

    import nipype  # noqa: F401 (its import sets its loggers up)

    # A failure is told in one line by whoever called; crash files hold the rest.
    for name in ("nipype.workflow", "nipype.interface", "nipype.utils"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


def _execution(folder: Path) -> dict[str, str]:
    return {
        "stop_on_first_crash": "true",
        "crashfile_format": "txt",
        "crashdump_dir": str(folder / "crash"),
        "check_version": "false",
        "create_report": "false",
        "remove_unnecessary_outputs": "false",
    }


def _execute(flow: Any, key: str) -> None:
    """Run in this process, in a row: whoever started the job owns the parallelism."""
    from pmrpipe.stages.preprocess.interfaces import _StepInterface

    _StepInterface.failures.clear()
    here = os.getcwd()
    try:
        flow.run(plugin="Linear")
    except PmrpipeError:
        raise
    except Exception as error:
        if _StepInterface.failures:
            raise _StepInterface.failures[0] from None
        raise WorkError(key, f"preprocessing failed ({_last_line(error)})") from error
    finally:
        os.chdir(here)


def _last_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__


def _deliver(folder: Path, results: Results, key: str) -> None:
    """Bring the files of all nodes to their places, sidecars before what they describe."""
    targets = [
        results.mask(key),
        results.brain(key),
        results.resampled(key),
        results.affine(key),
        results.preproc(key),
        results.dseg(key),
    ]
    for target in targets:
        for path in (sidecar_path(target), target):
            for found in folder.glob(f"preprocess/*/{path.name}"):
                with atomic(path) as temporary:
                    shutil.copyfile(found, temporary)


def _absolute(path: str | os.PathLike[str]) -> str:
    # Not resolved: a symbolic link keeps its name, which sidecars and suffixes come from.
    return str(Path(path).absolute())
