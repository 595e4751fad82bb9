# Stage template: the unbiased mean brain of the study's scans, which later studies name as a space.
# No part of the default target: `snakemake template` makes it, where the study names one.

MEAN_BRAIN = MeanBrain(PLAN)


if STUDY.template.name:
    try:
        MEAN_BRAIN.options()
    except PmrpipeError as error:
        raise WorkflowError(str(error)) from None

    rule make_template:
        # All rounds in one job: each keeps its files, and a run that was killed goes on there.
        input:
            MEAN_BRAIN.inputs(),
        output:
            MEAN_BRAIN.outputs(),
        log:
            LOGS / "template" / f"{STUDY.template.name}.log",
        benchmark:
            TIMINGS / "template" / f"{STUDY.template.name}.tsv"
        conda:
            "../envs/pmrpipe.yaml"
        threads: STUDY.threads.registration
        resources:
            gpu=gpus(),
            mem_mb=memory(6000),
            runtime=runtime(240),
        params:
            root=P.root,
            options=commands.line(MEAN_BRAIN.options()),
            source=MEAN_BRAIN.digest("template"),
        shell:
            "python -m pmrpipe template {params.root:q} {params.options} 2> {log:q}"
