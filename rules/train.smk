# Stage train: one network per learned method, from the packed arrays alone.


if PLAN.teaching.teachers:

    wildcard_constraints:
        teacher="|".join(PLAN.teaching.teachers),
        lessons="[0-9]+",

    rule teach:
        # A teacher's fields of training pairs; the output lists the pairs when all are whole.
        input:
            unpack(by_job(files.teaching)),
        output:
            P.taught("{teacher}", "{batch}"),
        log:
            LOGS / "teach" / "{teacher}" / "{batch}.log",
        benchmark:
            TIMINGS / "teach" / "{teacher}" / "{batch}.tsv"
        # Training waits for it.
        priority: 3
        conda:
            "../envs/pmrpipe.yaml"
        threads: STUDY.threads.registration
        resources:
            gpu=lambda wildcards: gpus() * bool(PLAN.teaching.teachers[wildcards.teacher].weights),
            mem_mb=memory(4000),
            runtime=runtime(60),
        params:
            root=P.root,
            options=said(by_job(commands.teach)),
            source=lambda wildcards: PLAN.teaching.digest(wildcards.teacher, "teach"),
        shell:
            "python -m pmrpipe teach {params.root:q} {output:q} {params.options} 2> {log:q}"

    rule pack_targets:
        # A teacher's fields as one file: with the arrays all that a training machine needs.
        input:
            by_lessons(files.taught),
        output:
            P.targets("{teacher}", "{lessons}"),
        log:
            LOGS / "teach" / "{teacher}" / "pack_pairs-{lessons}.log",
        benchmark:
            TIMINGS / "teach" / "{teacher}" / "pack_pairs-{lessons}.tsv"
        priority: 3
        conda:
            "../envs/pmrpipe.yaml"
        threads: 1
        resources:
            mem_mb=memory(2000),
            runtime=runtime(30),
        params:
            root=P.root,
            options=said(by_lessons(commands.pack_targets)),
            source=PLAN.digest("pack-targets"),
        shell:
            "python -m pmrpipe pack-targets {params.root:q} {output:q} {params.options} 2> {log:q}"


rule train_method:
    # Resumes from its last checkpoint; writes weights, model.json and history.tsv at its end.
    input:
        unpack(by_method(files.training)),
    output:
        weights=P.training("{method}") / "weights.safetensors",
        model=P.training("{method}") / "model.json",
        history=report(
            P.training("{method}") / "history.tsv",
            caption="../workflow/report/history.rst",
            category="Training",
            labels={"method": "{method}"},
        ),
    log:
        LOGS / "train" / "{method}.log",
    benchmark:
        TIMINGS / "train" / "{method}.tsv"
    # Longest, and much waits for it.
    priority: 2
    conda:
        "../envs/pmrpipe.yaml"
    threads: STUDY.threads.training * (1 if gpus() else STUDY.devices)
    resources:
        gpu=gpus() * STUDY.devices,
        mem_mb=memory(6000),
        runtime=runtime(training_minutes()),
    params:
        folder=lambda wildcards: P.training(wildcards.method),
        options=said(by_method(commands.train)),
        source=method_digest("train"),
    shell:
        "python -m pmrpipe train {input.arrays:q} {params.folder:q} {params.options} "
        "--memory-mb {resources.mem_mb} 2> {log:q}"
