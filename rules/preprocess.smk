# Stage preprocess: brain -> resample -> affine -> whiten, and labels; then arrays for training.


rule space:
    # The template brain on the common grid, also whitened like every subject's.
    input:
        P.space.own_files,
    output:
        brain=P.template,
        preproc=P.preproc(TEMPLATE),
    log:
        LOGS / "space" / "space.log",
    benchmark:
        TIMINGS / "space" / "space.tsv"
    conda:
        "../envs/pmrpipe.yaml"
    threads: 1
    resources:
        mem_mb=1500,
        runtime=5,
    params:
        options=commands.line(commands.grid(PLAN)),
        space=P.space.digest,
        source=PLAN.digest("space"),
    shell:
        "python -m pmrpipe space {output.brain:q} {output.preproc:q} {params.options} 2> {log:q}"


if STUDY.preprocessing == "whole":

    rule preprocess_scan:
        # The four steps of a scan in one job: the same bytes, a quarter of the jobs.
        input:
            unpack(by_key(files.raw_scan)),
            template=P.template,
        output:
            mask=P.mask("{key}", "{folder}"),
            brain=P.brain("{key}", "{folder}"),
            resampled=P.resampled("{key}", "{folder}"),
            mat=P.affine("{key}", "{folder}"),
            sidecar=P.affine("{key}", "{folder}").with_suffix(".json"),
            preproc=P.preproc("{key}", "{folder}"),
        log:
            LOGS / "preprocess" / "{folder}" / "{key}.log",
        benchmark:
            TIMINGS / "preprocess" / "{folder}" / "{key}.tsv"
        conda:
            "../envs/pmrpipe.yaml"
        threads: STUDY.threads.affine
        resources:
            mem_mb=memory(5000),
            runtime=runtime(30),
        params:
            root=P.root,
            key=key_of,
            options=said(by_key(commands.preprocess)),
            source=PLAN.digest("preprocess"),
        shell:
            "python -m pmrpipe preprocess {input.t1w:q} {params.root:q} --key {params.key}"
            " {params.options} 2> {log:q}"

else:

    rule brain:
        # Brain mask and brain on the scan's own grid.
        input:
            unpack(by_key(files.raw_scan)),
        output:
            mask=P.mask("{key}", "{folder}"),
            brain=P.brain("{key}", "{folder}"),
        log:
            LOGS / "brain" / "{folder}" / "{key}.log",
        benchmark:
            TIMINGS / "brain" / "{folder}" / "{key}.tsv"
        conda:
            "../envs/pmrpipe.yaml"
        threads: STUDY.threads.brain
        resources:
            mem_mb=memory(5000),
            runtime=runtime(20),
        params:
            options=said(by_key(commands.brain)),
            source=PLAN.digest("brain"),
        shell:
            "python -m pmrpipe brain {input.t1w:q} {output.mask:q} {output.brain:q}"
            " {params.options} 2> {log:q}"

    rule resample:
        # The brain with isotropic voxels, in subject space.
        input:
            P.brain("{key}", "{folder}"),
        output:
            P.resampled("{key}", "{folder}"),
        log:
            LOGS / "resample" / "{folder}" / "{key}.log",
        benchmark:
            TIMINGS / "resample" / "{folder}" / "{key}.tsv"
        conda:
            "../envs/pmrpipe.yaml"
        threads: 1
        resources:
            mem_mb=memory(2000),
            runtime=runtime(10),
        params:
            options=commands.line(commands.voxels(PLAN)),
            source=PLAN.digest("resample"),
        shell:
            "python -m pmrpipe resample {input:q} {output:q} {params.options} 2> {log:q}"

    rule affine:
        # Affine normalisation to the template, with its quality.
        input:
            unpack(by_key(files.normalisation)),
        output:
            mat=P.affine("{key}", "{folder}"),
            sidecar=P.affine("{key}", "{folder}").with_suffix(".json"),
        log:
            LOGS / "affine" / "{folder}" / "{key}.log",
        benchmark:
            TIMINGS / "affine" / "{folder}" / "{key}.tsv"
        conda:
            "../envs/pmrpipe.yaml"
        threads: STUDY.threads.affine
        resources:
            mem_mb=memory(2000),
            runtime=runtime(20),
        params:
            key=key_of,
            options=said(by_key(commands.affine)),
            source=PLAN.digest("affine"),
        shell:
            "python -m pmrpipe affine {input.brain:q} {input.template:q} {output.mat:q}"
            " {output.sidecar:q} --subject {params.key} {params.options} 2> {log:q}"

    rule whiten:
        # T1w from native to the template grid in one resampling, z-scored into [0, 1].
        input:
            unpack(by_key(files.whitening)),
        output:
            P.preproc("{key}", "{folder}"),
        log:
            LOGS / "whiten" / "{folder}" / "{key}.log",
        benchmark:
            TIMINGS / "whiten" / "{folder}" / "{key}.tsv"
        conda:
            "../envs/pmrpipe.yaml"
        threads: 1
        resources:
            mem_mb=memory(2000),
            runtime=runtime(10),
        params:
            options=said(by_key(commands.whiten)),
            source=PLAN.digest("whiten"),
        shell:
            "python -m pmrpipe whiten {input.brain:q} {input.mask:q} {input.xfm:q} {input.template:q}"
            " {output:q} {params.options} 2> {log:q}"


rule labels:
    # Label map from native to the template grid in one resampling.
    input:
        unpack(by_key(files.raw_labels)),
        xfm=P.affine("{key}", "{folder}"),
        template=P.template,
    output:
        P.dseg("{key}", "{folder}"),
    log:
        LOGS / "labels" / "{folder}" / "{key}.log",
    benchmark:
        TIMINGS / "labels" / "{folder}" / "{key}.tsv"
    conda:
        "../envs/pmrpipe.yaml"
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=runtime(10),
    params:
        options=said(by_key(commands.labels)),
        source=PLAN.digest("labels"),
    shell:
        "python -m pmrpipe labels {input.labels:q} {input.t1w:q} {input.xfm:q} {input.template:q}"
        " {output:q} {params.options} 2> {log:q}"


rule pack:
    # Training and validation scans as arrays: all that a training machine needs.
    input:
        files.packing(PLAN),
    output:
        P.arrays,
    log:
        LOGS / "pack" / "pack.log",
    benchmark:
        TIMINGS / "pack" / "pack.tsv"
    conda:
        "../envs/pmrpipe.yaml"
    threads: 1
    resources:
        mem_mb=memory(2000 + 20 * len(PLAN.cohort.of("train", "validation"))),
        runtime=runtime(30),
    params:
        root=P.root,
        options=lambda wildcards: commands.line(commands.pack(PLAN)),
        labels=PLAN.labels_digest("index", "scored"),
        source=PLAN.digest("pack"),
    shell:
        "python -m pmrpipe pack {params.root:q} {output:q} {params.options} 2> {log:q}"
