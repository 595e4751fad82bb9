# Stage report: one self-contained page.


rule report_page:
    # Summary, figures and pictures of some pairs.
    input:
        SUMMARIES,
        P.summary.with_name("comparison.tsv"),
        [
            P.score(m) / name
            for m in PLAN.methods
            for name in ("by_label.tsv", "by_pair.tsv", "timing.tsv")
        ],
        P.cohort,
        P.pairs,
        P.qc,
        files.registered(PLAN) if STUDY.fields else [],
        [P.levels(m) for m in PLAN.multilevel],
        beside_reference.tables(PLAN),
        [P.training(m) / "history.tsv" for m in PLAN.trained],
    output:
        report(
            P.report,
            caption="../workflow/report/page.rst",
            category="Report",
        ),
    log:
        LOGS / "report" / "report.log",
    benchmark:
        TIMINGS / "report" / "report.tsv"
    conda:
        "../envs/pmrpipe.yaml"
    # Its pictures do not depend on the number.
    threads: 2
    resources:
        mem_mb=memory(3000),
        runtime=runtime(15),
    params:
        study=lambda wildcards: PLAN.study_json(),
        labels=PLAN.labels_digest(),
        source=PLAN.digest("report"),
    shell:
        "python -m pmrpipe report {params.study:q} --threads {threads} 2> {log:q}"
