# Stage modalities: scans of other contrasts on the grid of their session's T1w, and a page of each.


rule overlay:
    # One scan, by the rigid transform through which it was normalised.
    input:
        unpack(by_key(modality.overlaid)),
    output:
        image=P.overlay("{key}_{contrast}", "{t1w}"),
        sidecar=P.overlay("{key}_{contrast}", "{t1w}").with_suffix("").with_suffix(".json"),
    log:
        LOGS / "modalities" / "{t1w}" / "{key}_{contrast}.log",
    benchmark:
        TIMINGS / "modalities" / "{t1w}" / "{key}_{contrast}.tsv"
    conda:
        "../envs/pmrpipe.yaml"
    threads: 1
    resources:
        mem_mb=memory(3000),
        runtime=runtime(10),
    params:
        root=P.root,
        options=said(by_key(modality.overlaying)),
        source=PLAN.digest("overlay"),
    shell:
        "python -m pmrpipe overlay {params.root:q} {params.options} 2> {log:q}"


rule session_page:
    # Each scan in turn with the T1w, and in a checkerboard with it.
    input:
        unpack(by_t1w(modality.shown)),
    output:
        P.modalities("{t1w}", modality.PAGE),
    log:
        LOGS / "modalities" / "{t1w}.log",
    benchmark:
        TIMINGS / "modalities" / "{t1w}.tsv"
    conda:
        "../envs/pmrpipe.yaml"
    threads: 1
    resources:
        mem_mb=memory(3000),
        runtime=runtime(10),
    params:
        root=P.root,
        options=said(by_t1w(modality.page)),
        source=PLAN.digest("session-page"),
    shell:
        "python -m pmrpipe session-page {params.root:q} {params.options} 2> {log:q}"
