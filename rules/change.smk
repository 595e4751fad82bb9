# Stage change: what changed in each person since the first session, and the table of all.


rule compare_sessions:
    # Every later session of a person against the first, half-way between them.
    input:
        unpack(by_subject(longitudinal.reading)),
    output:
        table=P.changed("{subject}", longitudinal.TABLE),
        facts=P.changed("{subject}", longitudinal.FACTS),
        page=P.changed("{subject}", longitudinal.PAGE),
    log:
        LOGS / "change" / "{subject}.log",
    benchmark:
        TIMINGS / "change" / "{subject}.tsv"
    conda:
        "../envs/pmrpipe.yaml"
    threads: STUDY.threads.registration
    resources:
        mem_mb=memory(4000),
        runtime=runtime(60),
    params:
        root=P.root,
        options=said(by_subject(longitudinal.comparing)),
        labels=PLAN.labels_digest("index", "name"),
        source=PLAN.digest("compare-sessions"),
    shell:
        "python -m pmrpipe compare-sessions {params.root:q} {params.options} 2> {log:q}"


rule change_table:
    # The tables of all persons in one.
    input:
        lambda wildcards: longitudinal.gathered(PLAN),
    output:
        P.changes,
    log:
        LOGS / "change" / "table.log",
    benchmark:
        TIMINGS / "change" / "table.tsv"
    conda:
        "../envs/pmrpipe.yaml"
    threads: 1
    resources:
        mem_mb=memory(1000),
        runtime=runtime(5),
    params:
        root=P.root,
        scans=lambda wildcards: longitudinal.firsts(PLAN),
        source=PLAN.digest("change-table"),
    shell:
        "python -m pmrpipe change-table {params.root:q} {params.scans} 2> {log:q}"
