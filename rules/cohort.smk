# Stage cohort: who is in the study; and the simulated cohort, where the study asks for it.


rule cohort_tables:
    # Lists the scans, their splits and the pairs, for people: no job reads these tables.
    output:
        cohort=report(
            P.cohort,
            caption="../workflow/report/cohort.rst",
            category="Cohort",
        ),
        pairs=P.pairs,
    log:
        LOGS / "cohort" / "cohort.log",
    benchmark:
        TIMINGS / "cohort" / "cohort.tsv"
    conda:
        "../envs/pmrpipe.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=5,
    params:
        # Asking for `output` keeps it out of the record: most keys of a study change no table here.
        study=lambda wildcards, output: PLAN.study_json(),
        tables=lambda wildcards: PLAN.tables_digest(),
        source=PLAN.digest("cohort"),
    shell:
        "python -m pmrpipe cohort {params.study:q}"
        " --cohort-out {output.cohort:q} --pairs-out {output.pairs:q} 2> {log:q}"


if STUDY.reader == "embedded":
    TRUTH = STUDY.input_root / "derivatives" / "truth"

    rule simulate:
        # One simulated head with its label map, true brain mask and true deformation.
        output:
            t1w=STUDY.input_root / "sub-{number}" / "anat" / "sub-{number}_T1w.nii.gz",
            labels=TRUTH / "sub-{number}" / "anat" / "sub-{number}_dseg.nii.gz",
            mask=TRUTH / "sub-{number}" / "anat" / "sub-{number}_desc-brain_mask.nii.gz",
            others=[
                STUDY.input_root / "sub-{number}" / "anat" / f"sub-{{number}}_{contrast}.nii.gz"
                for contrast in STUDY.embedded.contrasts
            ],
        log:
            LOGS / "simulate" / "sub-{number}.log",
        benchmark:
            TIMINGS / "simulate" / "sub-{number}.tsv"
        conda:
            "../envs/pmrpipe.yaml"
        threads: 1
        resources:
            mem_mb=2000,
            runtime=5,
        params:
            root=STUDY.input_root,
            options=commands.line(STUDY.embedded),
            number=lambda wildcards: int(wildcards.number),
            source=PLAN.simulation_digest(),
        shell:
            "python -m pmrpipe simulate {params.root:q} --only {params.number}"
            " {params.options} 2> {log:q}"

    rule simulate_dataset:
        # Description, participants and label table of the simulated dataset.
        output:
            STUDY.input_root / "dataset_description.json",
        log:
            LOGS / "simulate" / "dataset.log",
        benchmark:
            TIMINGS / "simulate" / "dataset.tsv"
        conda:
            "../envs/pmrpipe.yaml"
        threads: 1
        resources:
            mem_mb=1000,
            runtime=5,
        params:
            root=STUDY.input_root,
            options=commands.line(STUDY.embedded),
            labels=PLAN.labels_digest(),
            source=PLAN.simulation_digest(),
        shell:
            "python -m pmrpipe simulate {params.root:q} --dataset-only"
            " {params.options} 2> {log:q}"
