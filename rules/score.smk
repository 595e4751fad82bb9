# Stage score: overlap, distances and deformation of each pair; tables per method; the summary.


rule score_pairs:
    # Scores of one job's pairs.
    input:
        unpack(by_batch(files.scoring)),
    output:
        by_label=P.scored("{method}", "{batch}") / "by_label.tsv",
        by_pair=P.scored("{method}", "{batch}") / "by_pair.tsv",
        timing=P.scored("{method}", "{batch}") / "timing.tsv",
    log:
        LOGS / "score" / "{method}" / "{batch}.log",
    benchmark:
        TIMINGS / "score" / "{method}" / "{batch}.tsv"
    conda:
        "../envs/pmrpipe.yaml"
    threads: 1
    resources:
        mem_mb=memory(3000),
        runtime=runtime(60),
    params:
        root=P.root,
        out=lambda wildcards: P.scored(wildcards.method, wildcards.batch),
        options=said(by_method(commands.score_pairs)),
        labels=PLAN.labels_digest(),
        source=PLAN.digest("score-pairs"),
    shell:
        "python -m pmrpipe score-pairs {params.root:q} {input.pairs:q} {params.out:q}"
        " {params.options} 2> {log:q}"


rule score_method:
    # The tables of one method, all its pairs together.
    input:
        by_method(files.scored_parts),
        # An `ancient` input would hide from Snakemake every other reason to run this and what follows.
        cohort=P.cohort,
    output:
        by_label=P.score("{method}") / "by_label.tsv",
        by_pair=report(
            P.score("{method}") / "by_pair.tsv",
            caption="../workflow/report/by_pair.rst",
            category="Scores",
            labels={"method": "{method}"},
        ),
        timing=P.score("{method}") / "timing.tsv",
    log:
        LOGS / "score" / "{method}.log",
    benchmark:
        TIMINGS / "score" / "{method}.tsv"
    conda:
        "../envs/pmrpipe.yaml"
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=runtime(10),
    params:
        root=P.root,
        batches=lambda wildcards: list(PLAN.batches(wildcards.method)),
        source=PLAN.digest("score"),
    shell:
        "python -m pmrpipe score {params.root:q} --method {wildcards.method}"
        " --cohort {input.cohort:q} --batches {params.batches} 2> {log:q}"


rule summary:
    # Every method by region, with intervals over subjects.
    input:
        [P.score(m) / name for m in PLAN.methods for name in ("by_pair.tsv", "timing.tsv")],
    output:
        summary=report(
            P.summary,
            caption="../workflow/report/summary.rst",
            category="Scores",
            labels={"table": "summary"},
        ),
        comparison=report(
            P.summary.with_name("comparison.tsv"),
            caption="../workflow/report/comparison.rst",
            category="Scores",
            labels={"table": "comparison"},
        ),
        seeds=SUMMARIES[1:],
    log:
        LOGS / "score" / "summary.log",
    benchmark:
        TIMINGS / "score" / "summary.tsv"
    conda:
        "../envs/pmrpipe.yaml"
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=runtime(10),
    params:
        root=P.root,
        methods=PLAN.methods,
        source=PLAN.digest("score"),
    shell:
        "python -m pmrpipe score {params.root:q} --summary {params.methods} 2> {log:q}"


rule paper_table:
    # A table of the paper, with its published rows: TSV, Markdown and LaTeX.
    input:
        summary=SUMMARIES[0],
        seeds=SUMMARIES[1:],
    output:
        tsv=report(
            P.summary.with_name("{table}.tsv"),
            caption="../workflow/report/paper_table.rst",
            category="Scores",
            labels={"table": "{table}"},
        ),
        md=P.summary.with_name("{table}.md"),
        tex=P.summary.with_name("{table}.tex"),
    log:
        LOGS / "score" / "{table}.log",
    benchmark:
        TIMINGS / "score" / "{table}.tsv"
    wildcard_constraints:
        table="table1|table2|ablation",
    conda:
        "../envs/pmrpipe.yaml"
    threads: 1
    resources:
        mem_mb=memory(1000),
        runtime=runtime(5),
    params:
        cohort=STUDY.cohort,
        methods=PLAN.methods,
        source=PLAN.digest("paper-table"),
    shell:
        "python -m pmrpipe paper-table {wildcards.table} {input.summary:q} {output.tsv:q}"
        " --cohort {params.cohort} 2> {log:q}"
