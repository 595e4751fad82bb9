# Stage register: a method on its pairs, the network loaded once per job; what its levels do.


rule register_pairs:
    # Field, warped T1w and warped labels of each pair; the output lists the pairs when all are whole.
    input:
        unpack(by_batch(files.registration)),
    output:
        pairs=kept(P.registered("{method}", "{batch}")),
    log:
        LOGS / "register" / "{method}" / "{batch}.log",
    benchmark:
        TIMINGS / "register" / "{method}" / "{batch}.tsv"
    # Before scores and quality pages, which fill the cores while the last pair runs.
    priority: 1
    conda:
        "../envs/pmrpipe.yaml"
    threads: STUDY.threads.registration
    resources:
        gpu=lambda wildcards: gpus() * int(wildcards.method in PLAN.learned),
        mem_mb=memory(4000),
        runtime=runtime(60),
    params:
        root=P.root,
        options=said(by_batch(commands.register_pairs)),
        source=method_digest("register-pairs"),
    shell:
        "python -m pmrpipe register-pairs {params.root:q} {output.pairs:q} {params.options} 2> {log:q}"


if PLAN.uncertain:

    # Its pairs get a map of the displacement's standard deviation too, listed in a second file.
    use rule register_pairs as register_pairs_uncertain with:
        output:
            pairs=kept(P.registered("{method}", "{batch}")),
            uncertainty=P.uncertain("{method}", "{batch}"),
        wildcard_constraints:
            method="|".join(PLAN.uncertain),

    ruleorder: register_pairs_uncertain > register_pairs


rule level_fields:
    # The deformation that each level alone contributes, of the pairs that the report shows.
    input:
        P.score("{method}") / "by_pair.tsv",
        weights=by_method(files.weights),
    output:
        directory(P.levels("{method}")),
    log:
        LOGS / "register" / "{method}" / "levels.log",
    benchmark:
        TIMINGS / "register" / "{method}" / "levels.tsv"
    conda:
        "../envs/pmrpipe.yaml"
    threads: STUDY.threads.registration
    resources:
        gpu=gpus(),
        mem_mb=memory(4000),
        runtime=runtime(15),
    params:
        root=P.root,
        options=said(by_method(commands.register_levels)),
        source=method_digest("register-levels"),
    shell:
        "python -m pmrpipe register-levels {params.root:q} {params.options} 2> {log:q}"
