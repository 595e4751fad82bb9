# Stage train: one network per learned method, from the packed arrays alone.


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
