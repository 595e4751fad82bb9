# Methods beside a reference method, most often their teacher: distances of maps, volumes, overlap.


rule compare_pairs:
    # The maps of one method beside its reference's, pairs of one job.
    input:
        unpack(by_job_of_method(beside_reference.compared)),
    output:
        errors=P.compared("{method}", "{job}") / "errors_by_pair.tsv",
        counts=P.compared("{method}", "{job}") / "counts.tsv",
    log:
        LOGS / "score" / "{method}" / "reference_{job}.log",
    benchmark:
        TIMINGS / "score" / "{method}" / "reference_{job}.tsv"
    conda:
        "../envs/pmrpipe.yaml"
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=runtime(60),
    params:
        root=P.root,
        out=lambda wildcards: P.compared(wildcards.method, wildcards.job),
        options=said(by_job_of_method(beside_reference.comparing)),
        source=PLAN.digest("compare-pairs"),
    shell:
        "python -m pmrpipe compare-pairs {params.root:q} {params.out:q} {params.options} 2> {log:q}"


rule compare_tables:
    # What all jobs found, as tables.
    input:
        unpack(lambda wildcards: beside_reference.gathered(PLAN)),
    output:
        beside_reference.tables(PLAN),
    log:
        LOGS / "score" / "reference.log",
    benchmark:
        TIMINGS / "score" / "reference.tsv"
    conda:
        "../envs/pmrpipe.yaml"
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=runtime(10),
    params:
        root=P.root,
        options=said(lambda wildcards: beside_reference.referring(PLAN)),
        source=PLAN.digest("compare-tables"),
    shell:
        "python -m pmrpipe compare-tables {params.root:q} {params.options} 2> {log:q}"
