"""What each verb of `pmrpipe` runs: the one table that rules and tests ask.

A rule carries the digest of its verb's work modules, with all that they import, so that a code fix
reruns what it touches. `pmrpipe.cli` is no part of them: it reads arguments and says things.
"""

from __future__ import annotations

WORK: dict[str, tuple[str, ...]] = {
    "run": ("pmrpipe.workflow.run",),
    "bids": ("pmrpipe.workflow.bids_app", "pmrpipe.workflow.run"),
    "cohort": ("pmrpipe.stages.cohort.tables",),
    "label-table": ("pmrpipe.stages.cohort.label_table", "pmrpipe.study.options.listing"),
    "simulate": ("pmrpipe.stages.cohort.embedded", "pmrpipe.study.options.simulation"),
    "space": ("pmrpipe.stages.preprocess.space",),
    "brain": ("pmrpipe.stages.preprocess.brain",),
    "coregister": ("pmrpipe.stages.preprocess.coregister",),
    "resample": ("pmrpipe.stages.preprocess.resample",),
    "affine": ("pmrpipe.stages.preprocess.affine",),
    "whiten": ("pmrpipe.stages.preprocess.whiten",),
    "labels": ("pmrpipe.stages.preprocess.labels",),
    "preprocess": ("pmrpipe.stages.preprocess.workflow",),
    "pack": ("pmrpipe.stages.preprocess.pack",),
    "qc": ("pmrpipe.stages.qc.page", "pmrpipe.study.options.preprocessing"),
    "qc-template": ("pmrpipe.stages.qc.page", "pmrpipe.study.options.preprocessing"),
    "qc-table": ("pmrpipe.stages.qc.table", "pmrpipe.stages.cohort.index"),
    "teach": ("pmrpipe.stages.register.teach",),
    "pack-targets": ("pmrpipe.stages.register.targets",),
    "train": ("pmrpipe.stages.train.job",),
    "ship": ("pmrpipe.stages.train.ship",),
    "change": ("pmrpipe.native.change",),
    "template": ("pmrpipe.stages.template.job",),
    "register": ("pmrpipe.native.registration",),
    "parcellate": ("pmrpipe.native.parcellate",),
    "map": ("pmrpipe.stages.maps.job",),
    "maps-table": ("pmrpipe.stages.maps.table",),
    "fuse": ("pmrpipe.stages.parcellate.job",),
    "volumes": ("pmrpipe.stages.parcellate.job",),
    "register-pairs": ("pmrpipe.stages.register.job",),
    "register-levels": ("pmrpipe.stages.register.level_fields",),
    "apply": ("pmrpipe.stages.register.apply", "pmrpipe.study.options.applying"),
    "shoot": ("pmrpipe.stages.register.shoot",),
    "score-pairs": ("pmrpipe.stages.score.files",),
    "score": ("pmrpipe.stages.score.gather", "pmrpipe.study.options.scoring"),
    "compare-pairs": ("pmrpipe.stages.score.reference_pairs", "pmrpipe.study.options.scoring"),
    "compare-tables": ("pmrpipe.stages.score.reference_tables", "pmrpipe.study.options.scoring"),
    "paper-table": ("pmrpipe.stages.score.paper", "pmrpipe.study.options.scoring"),
    "report": ("pmrpipe.stages.report.job", "pmrpipe.workflow.plan"),
    "check-demo": ("pmrpipe.stages.score.demo",),
    "methods": ("pmrpipe.methods.spec",),
}
