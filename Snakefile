# Configuration, stages and named targets. `snakemake --cores 8` runs the embedded cohort;
# `snakemake --cores 8 --configfile config/bids.yaml --config root=/data/mine` your own.
import os

from snakemake.utils import min_version

min_version("9.0")


# A study's file stands alone: it does not inherit the embedded cohort's keys.
if not workflow.overwrite_configfiles:
    CONFIGURATION = "config/config.yaml"
    if not os.path.exists(CONFIGURATION):
        # Outside a clone: the one that lies beside this file.
        beside = workflow.current_basedir.join(CONFIGURATION)
        CONFIGURATION = beside.get_path_or_uri(secret_free=False)

    configfile: CONFIGURATION


include: "rules/common.smk"
include: "rules/inputs.smk"
include: "rules/cohort.smk"
include: "rules/preprocess.smk"
include: "rules/qc.smk"


if PLAN.contrasts - {T1W}:

    include: "rules/contrasts.smk"


include: "rules/train.smk"
include: "rules/register.smk"
include: "rules/template.smk"
include: "rules/score.smk"
include: "rules/parcellate.smk"
include: "rules/maps.smk"
include: "rules/change.smk"
include: "rules/modalities.smk"


if beside_reference.tables(PLAN):

    include: "rules/reference.smk"


include: "rules/report.smk"


localrules:
    all,
    preprocess,
    qc,
    train,
    register,
    template,
    score,
    parcellate,
    maps,
    reference,
    change,
    modalities,
    table1,
    table2,
    ablation,
    report,


rule all:
    default_target: True
    input:
        P.cohort,
        P.pairs,
        P.qc,
        P.report,


rule preprocess:
    input:
        files.preprocessed_splits(PLAN),


rule qc:
    input:
        P.qc,


rule train:
    input:
        [P.training(m) / "weights.safetensors" for m in PLAN.trained],


rule register:
    input:
        files.registered(PLAN),


rule template:
    input:
        asked(lambda plan: MEAN_BRAIN.outputs()),


rule score:
    input:
        SUMMARIES,


rule parcellate:
    input:
        asked(parcellation.wanted),


rule maps:
    input:
        asked(mapping.wanted),


rule reference:
    input:
        asked(beside_reference.wanted),


rule change:
    input:
        asked(longitudinal.wanted, longitudinal.remarks),


rule modalities:
    input:
        asked(modality.wanted),


# The paper's tables: docs/metrics.md.
rule table1:
    input:
        paper_table("table1"),


rule table2:
    input:
        paper_table("table2"),


rule ablation:
    input:
        paper_table("ablation"),


rule report:
    input:
        P.report,


onsuccess:
    from pmrpipe.base.files import remove_unfinished
    from pmrpipe.workflow.provenance import write_provenance
    from pmrpipe.workflow.notices import doubtful

    write_provenance(PLAN, sys.argv)
    remove_unfinished(P.root, before=STARTED)
    for line in doubtful(P, PLAN.methods):
        print(line, file=sys.stderr)


onerror:
    from pmrpipe.workflow.failures import explanations

    runs = [log] if isinstance(log, str) else log
    for line in explanations(P.root / "logs", STARTED, map(Path, runs)):
        print(line, file=sys.stderr)
