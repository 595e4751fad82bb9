# Stage maps: local volume of each scan in the template's space, with mask and covariates.


rule map_scan:
    # The smoothed log-Jacobian of one scan.
    input:
        unpack(by_key(mapping.reading)),
    output:
        P.log_jacobian("{key}"),
    log:
        LOGS / "maps" / "{key}.log",
    benchmark:
        TIMINGS / "maps" / "{key}.tsv"
    conda:
        "../envs/pmrpipe.yaml"
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=runtime(10),
    params:
        root=P.root,
        options=said(by_key(mapping.mapping)),
        source=PLAN.digest("map"),
    shell:
        "python -m pmrpipe map {params.root:q} {params.options} 2> {log:q}"


rule maps_table:
    # What statistics begin with: the mask, and the table of files and covariates.
    input:
        unpack(lambda wildcards: mapping.gathered(PLAN)),
    output:
        table=P.maps / "maps.tsv",
        mask=P.maps / "mask.nii.gz",
    log:
        LOGS / "maps" / "table.log",
    benchmark:
        TIMINGS / "maps" / "table.tsv"
    conda:
        "../envs/pmrpipe.yaml"
    threads: 1
    resources:
        mem_mb=memory(1000),
        runtime=runtime(5),
    params:
        root=P.root,
        options=said(lambda wildcards: mapping.table(PLAN)),
        source=PLAN.digest("maps-table"),
    shell:
        "python -m pmrpipe maps-table {params.root:q} {params.options} 2> {log:q}"
