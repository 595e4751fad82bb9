# Look-ups in the plan for inputs, options and resources of the rules, and nothing else: what a job
# reads stands in pmrpipe.workflow.files, what a verb is told in pmrpipe.workflow.commands.
from pmrpipe.workflow import (
    beside_reference,
    commands,
    files,
    longitudinal,
    mapping,
    modality,
    parcellation,
)
from pmrpipe.workflow.mean_brain import MeanBrain


def key_of(wildcards):
    """Key of the scan that a job is about."""
    return scan_key(wildcards.key, wildcards.get("contrast", T1W))


def by_key(ask):
    """What `ask` says of the plan and the wildcards' scan."""
    return lambda wildcards: ask(PLAN, key_of(wildcards))


def by_method(ask):
    """What `ask` says of the plan and the wildcards' method."""

    def said_of(wildcards):
        try:
            return ask(PLAN, wildcards.method)
        except PmrpipeError as error:
            raise WorkflowError(str(error)) from None

    return said_of


def by_batch(ask):
    """What `ask` says of the plan and the wildcards' method and batch."""
    return lambda wildcards: ask(PLAN, wildcards.method, wildcards.batch)


def by_job_of_method(ask):
    """What `ask` says of the plan and the wildcards' method and job."""
    return lambda wildcards: ask(PLAN, wildcards.method, wildcards.job)


def by_subject(ask):
    """What `ask` says of the plan and the wildcards' person."""
    return lambda wildcards: ask(PLAN, wildcards.subject)


def by_t1w(ask):
    """What `ask` says of the plan and the wildcards' T1w scan."""
    return lambda wildcards: ask(PLAN, wildcards.t1w)


def by_job(ask):
    """What `ask` says of the plan and the wildcards' teacher and batch."""
    return lambda wildcards: ask(PLAN, wildcards.teacher, wildcards.batch)


def by_lessons(ask):
    """What `ask` says of the plan, the wildcards' teacher and its number of pairs."""
    return lambda wildcards: ask(PLAN, wildcards.teacher, int(wildcards.lessons))


def said(ask):
    """The options that `ask` makes of wildcards, as words of a shell line."""
    return lambda wildcards: commands.line(ask(wildcards))


def method_digest(verb):
    """Digest of a verb as the wildcards' method runs it."""
    return lambda wildcards: PLAN.method_digest(wildcards.method, verb)


def memory(mb):
    """Memory in MB that grows with each attempt."""
    return lambda wildcards, attempt: round(mb * (1 + attempt) / 2)


def runtime(minutes):
    """Minutes that grow with each attempt."""
    return lambda wildcards, attempt: max(1, round(minutes * attempt))


def training_minutes():
    return 1.5 * (STUDY.training.max_minutes or 120) + 10


def gpus():
    """GPUs that a job of a network asks for."""
    return int(STUDY.device != "cpu")


def kept(path):
    """A list of registered pairs, which goes when their fields go."""
    return path if STUDY.fields else temp(path)


# Named by all who read the summary: of a job that gains an output Snakemake says that its metadata
# are missing, and does not run it for a reason that it would otherwise see.
SUMMARIES = [P.summary, *([P.summary.with_name("seeds.tsv")] if STUDY.seeds else [])]


def paper_table(name):
    """The table's path, once the study is known to fill it; asked only when it is a target."""

    def wanted(wildcards):
        try:
            PLAN.require_paper_table(name)
        except PmrpipeError as error:
            raise WorkflowError(str(error)) from None
        return P.summary.with_name(f"{name}.tsv")

    return wanted


def asked(files_of, remarks_of=lambda plan: ()):
    """The files of a target, once the study is known to make them; `remarks_of` it are told."""

    def wanted(wildcards):
        try:
            paths, remarks = files_of(PLAN), remarks_of(PLAN)
        except PmrpipeError as error:
            raise WorkflowError(str(error)) from None
        note(*remarks)
        return paths

    return wanted
