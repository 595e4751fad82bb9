# Scans of another contrast than T1w: the rules of a scan, with the contrast in the names of files.
OTHER = "{key}_{contrast}"


if STUDY.preprocessing == "whole":

    use rule preprocess_scan as preprocess_scan_contrast with:
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
        input:
            brain=P.resampled(OTHER, "{folder}"),
            template=P.template,
        output:
            mat=P.affine(OTHER, "{folder}"),
            sidecar=P.affine(OTHER, "{folder}").with_suffix(".json"),
        log:
            LOGS / "affine" / "{folder}" / f"{OTHER}.log",
        benchmark:
            TIMINGS / "affine" / "{folder}" / f"{OTHER}.tsv"

    use rule whiten as whiten_contrast with:
        input:
            brain=P.brain(OTHER, "{folder}"),
            mask=P.mask(OTHER, "{folder}"),
            xfm=P.affine(OTHER, "{folder}"),
            template=P.template,
        output:
            P.preproc(OTHER, "{folder}"),
        log:
            LOGS / "whiten" / "{folder}" / f"{OTHER}.log",
        benchmark:
            TIMINGS / "whiten" / "{folder}" / f"{OTHER}.tsv"


use rule labels as labels_contrast with:
    input:
        unpack(by_key(files.raw_labels)),
        xfm=P.affine(OTHER, "{folder}"),
        template=P.template,
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
