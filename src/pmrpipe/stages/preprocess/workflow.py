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
from pmrpipe.stages.preprocess import space
from pmrpipe.study.options.common import Options
from pmrpipe.study.options.preprocessing import (
    Coregistration,
    Extraction,
    Labelling,
    Normalisation,
    Preprocessing,
    Voxels,
    Whitening,
)
from pmrpipe.study.paths import Results
from pmrpipe.study.sidecar import sidecar_path


def run(t1w: str | os.PathLike[str], results: Results, key: str, options: Preprocessing) -> None:
    """Preprocess one scan into its result paths, the same bytes as by the single steps.

    Results appear only when every step has succeeded.

    Raises
    ------
    InputError, WorkError : as the steps
    """
    others = (
        options.mask,
        options.head_template,
        options.brain_template,
        options.labels,
        options.lesion,
    )
    for path in (t1w, *others):
        if path is not None and not Path(path).is_file():
            raise InputError(path, "is a folder" if Path(path).is_dir() else "no such file")
    if not results.template.exists():
        space.run(results.template, results.preproc(results.space.key), options)
    with tempfile.TemporaryDirectory(prefix="pmrpipe-preprocess-") as folder:
        _execute(build(Path(folder), results, key, Path(t1w), options), key)
        _deliver(Path(folder), results, key)


def build(folder: Path, results: Results, key: str, t1w: Path, options: Preprocessing) -> Any:
    """The workflow of one scan: brain -> resample -> affine -> whiten, and labels.

    Parameters
    ----------
    folder : fresh base folder; Nipype's cache knows nothing of changes in code
    results : names the outputs, and holds the template
    """
    isolate_nipype()
    from nipype import Node, Workflow

    from pmrpipe.stages.preprocess import interfaces as steps

    def node(step: type, name: str, model: type[Options] | None = None, **files: Any) -> Node:
        return Node(step(**files, **(_traits(options, model) if model else {})), name=name)

    template, scan, xfm = str(results.template.resolve()), _absolute(t1w), results.affine(key)
    brain = node(steps.ExtractBrain, "brain", Extraction, t1w=scan)
    brain.inputs.trait_set(out_mask=results.mask(key).name, out_brain=results.brain(key).name)
    resample = node(steps.ResampleIsotropic, "resample", Voxels)
    resample.inputs.out_file = results.resampled(key).name
    affine = node(steps.NormaliseAffine, "affine", Normalisation, template=template, subject=key)
    affine.inputs.trait_set(out_mat=xfm.name, out_json=sidecar_path(xfm).name)
    whiten = node(steps.Whiten, "whiten", Whitening, template=template)
    whiten.inputs.out_file = results.preproc(key).name
    flow = Workflow(name="preprocess", base_dir=str(folder))
    flow.config["execution"] = _execution(folder)
    flow.connect(
        [
            (brain, resample, [("out_brain", "brain")]),
            (resample, affine, [("out_file", "brain")]),
            (brain, whiten, [("out_brain", "brain"), ("out_mask", "mask")]),
            (affine, whiten, [("out_mat", "xfm")]),
        ]
    )
    if options.through is not None:
        _through(flow, results, key, scan, options)
    if options.labels is not None:
        files = {"t1w": scan, "template": template, "dseg": _absolute(options.labels)}
        labels = node(steps.ResampleLabels, "labels", Labelling, **files)
        labels.inputs.out_file = results.dseg(key).name
        flow.connect(affine, "out_mat", labels, "xfm")
    return flow


def _through(flow: Any, results: Results, key: str, scan: str, options: Preprocessing) -> None:
    """The rigid transform to the session's T1w, which mask and affine go through."""
    from nipype import Node

    from pmrpipe.stages.preprocess import interfaces as steps

    assert options.through is not None
    t1w, xfm = options.through, results.rigid(key)
    files = {"scan": scan, "subject": key, "out_mat": xfm.name, "out_json": sidecar_path(xfm).name}
    own = {
        "t1w_brain": _absolute(results.brain(t1w)),
        "t1w_mask": _absolute(results.mask(t1w)),
    }
    step = steps.Coregister(**files, **own, **_traits(options, Coregistration))
    rigid = Node(step, name="coregister")
    flow.get_node("affine").inputs.t1w_affine = _absolute(results.affine(t1w))
    flow.connect(rigid, "out_mat", flow.get_node("affine"), "rigid")
    if options.method == "session":
        flow.get_node("brain").inputs.mask = own["t1w_mask"]
        flow.connect(rigid, "out_mat", flow.get_node("brain"), "rigid")


def _traits(options: Preprocessing, model: type[Options]) -> dict[str, Any]:
    """What is said of the options of one step."""
    values = {name: getattr(options, name) for name in model.model_fields}
    return {
        name: _absolute(value) if isinstance(value, Path) else value
        for name, value in values.items()
        if value is not None
    }


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
        results.rigid(key),
        results.affine(key),
        results.preproc(key),
        results.dseg(key),
    ]
    for target in targets:
        for path in (sidecar_path(target), target):
            for source in folder.glob(f"preprocess/*/{path.name}"):
                with atomic(path) as temporary:
                    shutil.copyfile(source, temporary)


def _absolute(path: str | os.PathLike[str]) -> str:
    # Not resolved: a symbolic link keeps its name, which sidecars and suffixes come from.
    return str(Path(path).absolute())
