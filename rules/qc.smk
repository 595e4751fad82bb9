# Stage qc: a quality page of every scan, and the table of all.


rule qc_template:
    # The template's figure, which every page shows in turn with its scan.
    input:
        P.preproc(TEMPLATE),
    output:
        P.qc_figure(TEMPLATE, "template"),
    log:
        LOGS / "qc" / "template.log",
    benchmark:
        TIMINGS / "qc" / "template.tsv"
    conda:
        "../envs/pmrpipe.yaml"
    threads: 1
    resources:
        mem_mb=memory(1500),
        runtime=runtime(5),
    params:
        root=P.root,
        options=commands.line(commands.grid(PLAN)),
        source=PLAN.digest("qc-template"),
    shell:
        "python -m pmrpipe qc-template {params.root:q} {params.options} 2> {log:q}"


rule qc_page:
    # Mask on the native scan, brain on the template, intensities; and the measures.
    input:
        unpack(by_key(files.quality)),
    output:
        page=P.qc_page("{key}"),
        figures=[P.qc_figure("{key}", name) for name in QC_FIGURES],
        measures=P.qc_measures("{key}"),
    log:
        LOGS / "qc" / "{key}.log",
    benchmark:
        TIMINGS / "qc" / "{key}.tsv"
    conda:
        "../envs/pmrpipe.yaml"
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=runtime(10),
    params:
        root=P.root,
        key=key_of,
        options=said(by_key(commands.quality)),
        source=PLAN.digest("qc"),
    shell:
        "python -m pmrpipe qc {input.t1w:q} {params.root:q} --key {params.key}"
        " {params.options} 2> {log:q}"


rule qc_table:
    # Measures of all scans, outliers marked.
    input:
        [P.qc_measures(key) for key in PLAN.scans],
    output:
        report(
            P.qc,
            caption="../workflow/report/qc.rst",
            category="Quality",
        ),
    log:
        LOGS / "qc" / "table.log",
    benchmark:
        TIMINGS / "qc" / "table.tsv"
    conda:
        "../envs/pmrpipe.yaml"
    threads: 1
    resources:
        mem_mb=memory(1000),
        runtime=runtime(10),
    params:
        study=lambda wildcards: PLAN.study_json(),
        scans=list(PLAN.scans),
        source=PLAN.digest("qc-table"),
    shell:
        "python -m pmrpipe qc-table {params.study:q} 2> {log:q}"
