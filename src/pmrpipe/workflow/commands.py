"""What the rules say to the verbs: the options of each job of a study.

Functions of a plan and of a job's wildcards; `line` makes words of a shell line of their answers.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from pathlib import Path

from pydantic import BaseModel

from pmrpipe.stages.cohort.scans import Scan
from pmrpipe.study.keys import SEED_MARK, pair_name
from pmrpipe.study.options.common import default
from pmrpipe.study.options.flags import words
from pmrpipe.study.options.preprocessing import (
    CheckedLabelling,
    Coregistration,
    Extraction,
    Gridded,
    Normalisation,
    Packing,
    Preprocessing,
    Quality,
    Voxels,
    Whitening,
)
from pmrpipe.study.options.registration import LevelFields, Registration, TargetPacking, Teaching
from pmrpipe.study.options.scoring import Scoring
from pmrpipe.study.options.training import Training
from pmrpipe.workflow.plan import Plan


def line(options: BaseModel) -> str:
    """The options as words of a shell line, quoted."""
    return shlex.join(words(options))


def extraction_files(plan: Plan, scan: Scan) -> dict[str, Path]:
    """An existing mask, or the head template and its brain, where they are used."""
    if scan.brain == "mask" and scan.mask is not None:
        return {"mask": scan.mask}
    if scan.brain == "session" and scan.through is not None:
        return {"mask": plan.results.mask(scan.through), "rigid": plan.results.rigid(scan.key)}
    template = plan.study.head_template
    if scan.brain == "template" and template.head and template.brain:
        return {
            "head_template": Path(template.head).expanduser(),
            "brain_template": Path(template.brain).expanduser(),
        }
    return {}


def brain(plan: Plan, key: str) -> Extraction:
    """How the brain of a scan is cut out."""
    return _extraction(plan, plan.scans[key], plan.study.threads.brain)


def _extraction(plan: Plan, scan: Scan, threads: int) -> Extraction:
    said = {
        "state": scan.input_state,
        "method": scan.brain,
        "n4": plan.study.bias_correction == "n4",
        "orientation": scan.orientation,
        "lesion": scan.lesion,
        "threads": threads,
    }
    return Extraction.model_validate(said | extraction_files(plan, scan))


def grid(plan: Plan) -> Gridded:
    """The template grid of a study, and its space."""
    return Gridded(mm=plan.study.grid_mm, space=plan.study.space)


def voxels(plan: Plan) -> Voxels:
    """The voxel size of a study."""
    return Voxels(mm=plan.study.grid_mm)


def affine(plan: Plan, key: str | None = None) -> Normalisation:
    """How brains are brought to the template; a scan of another contrast through its T1w."""
    through = None if key is None else plan.scans[key].through
    files: dict[str, Path | None] = {}
    if key is not None:
        files = {"lesion": plan.scans[key].lesion}
    if key is not None and through is not None:
        files |= {"rigid": plan.results.rigid(key), "t1w_affine": plan.results.affine(through)}
    return Normalisation(seed=plan.study.seed, threads=plan.study.threads.affine, **files)


def whiten(plan: Plan, key: str) -> Whitening:
    """How a brain's intensities are made comparable."""
    return Whitening(lesion=plan.scans[key].lesion)


def coregister(plan: Plan, key: str) -> Coregistration:
    """How a scan of another contrast is brought to the T1w of its session."""
    return Coregistration(
        orientation=plan.scans[key].orientation,
        seed=plan.study.seed,
        threads=plan.study.threads.affine,
    )


def preprocess(plan: Plan, key: str) -> Preprocessing:
    """All four steps of a scan in one job; labels are a job of their own."""
    scan = plan.scans[key]
    extraction = _extraction(plan, scan, plan.study.threads.affine)
    said = dict(affine(plan)) | dict(extraction) | dict(grid(plan))
    if scan.through is not None:
        # The job finds the rigid transform itself, and takes the T1w's files from the results.
        mask = extraction.mask if scan.brain == "mask" else None
        said |= {"through": scan.through, "mask": mask, "rigid": None}
    return Preprocessing(**said)


def labels(plan: Plan, key: str) -> CheckedLabelling:
    """How the label map of a scan is brought to the template grid."""
    return CheckedLabelling(
        interpolation=plan.study.labels_interpolation,
        table=plan.study.labels,
        orientation=plan.label_scan(key).orientation,
    )


def quality(plan: Plan, key: str) -> Quality:
    """How the quality page of a scan is made."""
    return Quality(**dict(grid(plan)), orientation=plan.scans[key].orientation)


def pack(plan: Plan) -> Packing:
    """Which scans become arrays."""
    scans = (*plan.cohort.of("train", "validation"), *plan.cohort.beside)
    keys = tuple(scan.key for scan in scans)
    labelled = tuple(key for key in keys if plan.labelled(key))
    return Packing(
        **dict(grid(plan)),
        table=plan.study.labels,
        keys=keys,
        labelled=labelled,
        train=tuple(scan.key for scan in plan.cohort.of("train")),
        description=description(plan),
    )


def description(plan: Plan) -> Path | None:
    """What the dataset says of itself; the simulated one states no licence."""
    path = plan.study.input_root / "dataset_description.json"
    return path if plan.study.reader != "embedded" and path.is_file() else None


def targets(plan: Plan, method: str) -> Path | None:
    """The packed fields of a method's teacher, if it has one."""
    taught = plan.teaching.of(method)
    return plan.results.targets(*taught) if taught else None


def teach(plan: Plan, teacher: str, batch: str) -> Teaching:
    """How a teacher registers a job's pairs of training scans."""
    run = plan.teaching.teachers[teacher]
    return Teaching(
        **dict(grid(plan)),
        method=run.argument,
        weights=run.weights,
        network_mm=run.network_mm,
        threads=plan.study.threads.registration,
        # Classical methods run on the CPU whatever the study says.
        device=plan.study.device if run.weights else "auto",
        seed=plan.study.seed,
        pairs=tuple(pair_name(*pair) for pair in plan.teaching.batches(teacher)[batch]),
    )


def pack_targets(plan: Plan, teacher: str, count: int) -> TargetPacking:
    """Which fields of a teacher are packed for the students that want so many."""
    pairs = tuple(pair_name(*pair) for pair in plan.teaching.pairs(teacher, count))
    return TargetPacking(**dict(grid(plan)), teacher=teacher, pairs=pairs)


def train(plan: Plan, method: str) -> Training:
    """How a network is trained; the job's memory is said by the rule."""
    study = plan.study
    return Training(
        **dict(study.training),
        method=plan.spec_argument(method),
        seed=plan.seed(method),
        threads=study.threads.training,
        device=study.device,
        devices=study.devices,
        network_mm=plan.network_mm(method),
        init=plan.init(method),
        cohorts=plan.further_arrays,
        cohort_weights={name: cohort.weight for name, cohort in study.cohorts.items()},
        targets=targets(plan, method),
        train=tuple(scan.key for scan in plan.cohort.of("train")),
        validation=tuple(scan.key for scan in plan.cohort.of("validation")),
    )


def register_pairs(plan: Plan, method: str, batch: str) -> Registration:
    """How a job registers its pairs."""
    study, learned, steps = plan.study, method in plan.learned, plan.refinement(method)
    tuned = plan.finetuning(method)
    scans = {key: plan.scans[key] for key in plan.batch_keys(method, batch)}
    uncertain = method in plan.uncertain
    return Registration(
        **dict(grid(plan)),
        method=plan.spec_argument(method),
        name=method if steps or tuned or SEED_MARK in method else None,
        weights=plan.weights(method) if learned else None,
        network_mm=plan.network_mm(method),
        threads=study.threads.registration,
        # Classical methods run on the CPU whatever the study says.
        device=study.device if learned else "auto",
        seed=study.seed,
        interpolation=study.labels_interpolation,
        refine=steps,
        # Said only where it counts, so that a new value reruns refined rows alone.
        refine_mm=study.refine_mm if steps else default(Registration, "refine_mm"),
        refine_elastic=study.refine_elastic if steps else default(Registration, "refine_elastic"),
        finetune=tuned,
        finetune_rate=study.finetune_rate if tuned else default(Registration, "finetune_rate"),
        uncertainty=study.uncertainty if uncertain else 0,
        uncertainty_table=plan.results.uncertain(method, batch) if uncertain else None,
        labels={key: scan.labels for key, scan in scans.items() if scan.labels},
        label_scans=_label_scans(plan, scans),
        lesions={key: scan.lesion for key, scan in scans.items() if scan.lesion},
        orientations={key: scan.orientation for key, scan in scans.items() if scan.orientation},
        pairs=tuple(pair_name(*pair) for pair in plan.batches(method)[batch]),
    )


def _label_scans(plan: Plan, keys: Iterable[str]) -> dict[str, str]:
    """Scans whose labels lie on the grid of another one, and that one."""
    owners = {key: plan.label_scan(key).key for key in keys if plan.labelled(key)}
    return {key: owner for key, owner in owners.items() if owner != key}


def register_levels(plan: Plan, method: str) -> LevelFields:
    """How the fields of a network's levels are written."""
    return LevelFields(
        **dict(grid(plan)),
        method=plan.spec_argument(method),
        name=method if SEED_MARK in method else None,
        weights=plan.weights(method),
        network_mm=plan.network_mm(method),
        threads=plan.study.threads.registration,
        device=plan.study.device,
    )


def score_pairs(plan: Plan, method: str) -> Scoring:
    """How registered pairs of a method are scored."""
    return Scoring(
        **dict(grid(plan)),
        method=method,
        interpolation=plan.study.labels_interpolation,
        table=plan.study.labels,
        discard_fields=not plan.study.fields,
    )
