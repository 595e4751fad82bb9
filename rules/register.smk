# Stage register: a method on its pairs, the network loaded once per job.


rule register_pairs:
    # Field, warped T1w and warped labels of each pair; the output lists the pairs when all are whole.
    input:
        unpack(registration_inputs),
    output:
        P.registered("{method}", "{batch}"),
    log:
        LOGS / "register" / "{method}" / "{batch}.log",
    benchmark:
        TIMINGS / "register" / "{method}" / "{batch}.tsv"
    conda:
        "../envs/pmrpipe.yaml"
    threads: STUDY.threads.registration
    resources:
        gpu=lambda wildcards: gpus() * int(wildcards.method in PLAN.learned),
        mem_mb=memory(4000),
        runtime=runtime(60),
    params:
        root=P.root,
        options=registration_options,
        source=lambda wildcards: PLAN.method_digest(wildcards.method, "pmrpipe.register.pairs"),
    shell:
        "python -m pmrpipe register-pairs {params.root:q} {output:q} {params.options} 2> {log:q}"
