# Scans of another contrast than T1w: the rules of a scan, with the contrast in the names of files.
OTHER = "{key}_{contrast}"


if STUDY.preprocessing == "whole":

    use rule preprocess_scan as preprocess_scan_contrast with:
        input:
            unpack(by_key(files.whole_scan)),
            template=P.template,
        output:
            mask=P.mask(OTHER, "{folder}"),
            brain=P.brain(OTHER, "{folder}"),
            resampled=P.resampled(OTHER, "{folder}"),
            mat=P.affine(OTHER, "{folder}"),
            sidecar=P.affine(OTHER, "{folder}").with_suffix(".json"),
            preproc=P.preproc(OTHER, "{folder}"),
        log:
            LOGS / "preprocess" / "{folder}" / f"{OTHER}.log",
        benchmark:
            TIMINGS / "preprocess" / "{folder}" / f"{OTHER}.tsv"

else:

    rule coregister:
        # Rigid transform from the T1w of a session to a scan of another contrast.
        input:
            unpack(by_key(files.coregistration)),
        output:
            mat=P.rigid(OTHER, "{folder}"),
            sidecar=P.rigid(OTHER, "{folder}").with_suffix(".json"),
        log:
            LOGS / "coregister" / "{folder}" / f"{OTHER}.log",
        benchmark:
            TIMINGS / "coregister" / "{folder}" / f"{OTHER}.tsv"
        conda:
            "../envs/pmrpipe.yaml"
        threads: STUDY.threads.affine
        resources:
            mem_mb=memory(2000),
            runtime=runtime(20),
        params:
            key=key_of,
            options=said(by_key(commands.coregister)),
            source=PLAN.digest("coregister"),
        shell:
            "python -m pmrpipe coregister {input.scan:q} {input.brain:q} {input.mask:q} {output.mat:q}"
            " {output.sidecar:q} --subject {params.key} {params.options} 2> {log:q}"

    use rule brain as brain_contrast with:
        output:
            mask=P.mask(OTHER, "{folder}"),
            brain=P.brain(OTHER, "{folder}"),
        log:
            LOGS / "brain" / "{folder}" / f"{OTHER}.log",
        benchmark:
            TIMINGS / "brain" / "{folder}" / f"{OTHER}.tsv"

    use rule resample as resample_contrast with:
        input:
            P.brain(OTHER, "{folder}"),
        output:
            P.resampled(OTHER, "{folder}"),
        log:
            LOGS / "resample" / "{folder}" / f"{OTHER}.log",
        benchmark:
            TIMINGS / "resample" / "{folder}" / f"{OTHER}.tsv"

    use rule affine as affine_contrast with:
        output:
            mat=P.affine(OTHER, "{folder}"),
            sidecar=P.affine(OTHER, "{folder}").with_suffix(".json"),
        log:
            LOGS / "affine" / "{folder}" / f"{OTHER}.log",
        benchmark:
            TIMINGS / "affine" / "{folder}" / f"{OTHER}.tsv"

    use rule whiten as whiten_contrast with:
        output:
            P.preproc(OTHER, "{folder}"),
        log:
            LOGS / "whiten" / "{folder}" / f"{OTHER}.log",
        benchmark:
            TIMINGS / "whiten" / "{folder}" / f"{OTHER}.tsv"


use rule labels as labels_contrast with:
    input:
        unpack(by_key(files.labels)),
    output:
        P.dseg(OTHER, "{folder}"),
    log:
        LOGS / "labels" / "{folder}" / f"{OTHER}.log",
    benchmark:
        TIMINGS / "labels" / "{folder}" / f"{OTHER}.tsv"


use rule qc_page as qc_page_contrast with:
    output:
        page=P.qc_page(OTHER),
        figures=[P.qc_figure(OTHER, name) for name in QC_FIGURES],
        measures=P.qc_measures(OTHER),
    log:
        LOGS / "qc" / f"{OTHER}.log",
    benchmark:
        TIMINGS / "qc" / f"{OTHER}.tsv"
