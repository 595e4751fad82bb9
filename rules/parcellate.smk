# Stage parcellate: labels of each scan from the atlases registered to it, and what they measure.


rule fuse:
    # The atlases' warped labels become those of the scan, on its own grid.
    input:
        unpack(by_key(parcellation.reading)),
    output:
        confidence=P.parcellated("{key}", "desc-confidence_map.nii.gz"),
        volumes=P.parcellated("{key}", "volumes.tsv"),
        scores=P.parcellated("{key}", "scores.tsv"),
        page=P.parcellated("{key}", "page.html"),
        dseg=P.parcellated("{key}"),
    log:
        LOGS / "parcellate" / "{key}.log",
    benchmark:
        TIMINGS / "parcellate" / "{key}.tsv"
    conda:
        "../envs/pmrpipe.yaml"
    threads: 1
    resources:
        mem_mb=memory(4000),
        runtime=runtime(60),
    params:
        root=P.root,
        options=said(by_key(parcellation.fusing)),
        labels=PLAN.labels_digest(),
        source=PLAN.digest("fuse"),
    shell:
        "python -m pmrpipe fuse {params.root:q} {params.options} 2> {log:q}"


rule volumes:
    # The tables of all scans in one.
    input:
        lambda wildcards: [
            P.parcellated(key, name)
            for key in parcellation.atlases(PLAN)
            for name in ("volumes.tsv", "scores.tsv")
        ],
    output:
        volumes=P.volumes,
        by_label=P.volumes.with_name("by_label.tsv"),
    log:
        LOGS / "parcellate" / "volumes.log",
    benchmark:
        TIMINGS / "parcellate" / "volumes.tsv"
    conda:
        "../envs/pmrpipe.yaml"
    threads: 1
    resources:
        mem_mb=memory(1000),
        runtime=runtime(10),
    params:
        root=P.root,
        scans=lambda wildcards: list(parcellation.atlases(PLAN)),
        source=PLAN.digest("volumes"),
    shell:
        "python -m pmrpipe volumes {params.root:q} {params.scans} 2> {log:q}"
