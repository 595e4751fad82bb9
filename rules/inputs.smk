# Named inputs and options of the rules: look-ups in the plan, nothing else.


def memory(mb):
    """Memory in MB that grows with each attempt."""
    return lambda wildcards, attempt: round(mb * (1 + attempt) / 2)


def runtime(minutes):
    """Minutes that grow with each attempt."""
    return lambda wildcards, attempt: max(1, round(minutes * attempt))


def raw_scan(wildcards):
    """The scan as it comes, and the files that its brain extraction needs."""
    scan = PLAN.scans[wildcards.key]
    return {"t1w": scan.t1w} | extraction_files(scan)


def extraction_files(scan):
    """An existing mask, or the head template and its brain, where they are used."""
    if scan.brain == "mask":
        return {"mask": scan.mask}
    if scan.brain == "template":
        template = STUDY.head_template
        return {
            "head_template": Path(template.head).expanduser(),
            "brain_template": Path(template.brain).expanduser(),
        }
    return {}


def raw_labels(wildcards):
    """The label map as it comes, and the scan that it belongs to."""
    scan = PLAN.scans[wildcards.key]
    return {"labels": scan.labels, "t1w": scan.t1w}


def brain_options(wildcards):
    return shown(*extraction(wildcards.key), "--threads", STUDY.threads.brain)


def scan_options(wildcards):
    return shown(*extraction(wildcards.key), "--threads", STUDY.threads.affine)


def extraction(key):
    """How the brain of a scan is extracted."""
    scan = PLAN.scans[key]
    files = [
        word
        for name, path in extraction_files(scan).items()
        for word in (f"--{name.replace('_', '-')}", path)
    ]
    n4 = ["--n4"] if STUDY.bias_correction == "n4" else []
    return ["--state", scan.input_state, "--method", scan.brain, *files, *n4, *orientation(scan)]


def orientation(scan):
    return ["--orientation", scan.orientation] if scan.orientation else []


def label_options(wildcards):
    return shown(
        "--interpolation",
        STUDY.labels_interpolation,
        "--table",
        STUDY.labels,
        *orientation(PLAN.scans[wildcards.key]),
    )


def qc_inputs(wildcards):
    """A scan as it came, and what preprocessing made of it."""
    key = wildcards.key
    return {
        "t1w": PLAN.scans[key].t1w,
        "derivatives": [P.mask(key), P.brain(key), P.affine(key), P.preproc(key)],
        "template": [P.preproc(TEMPLATE_KEY), P.qc_figure(TEMPLATE_KEY, "template")],
    }


def shown(*words):
    """Words of a command line, quoted."""
    return " ".join(shlex.quote(str(word)) for word in words)


def preprocessed(keys):
    """Images and, where there are any, labels of scans on the template grid."""
    return [P.preproc(key) for key in keys] + [P.dseg(key) for key in keys if PLAN.labelled(key)]


def preprocessed_files(*splits):
    """The same for splits; for every scan when none is named."""
    scans = PLAN.cohort.of(*splits) if splits else PLAN.scans.values()
    return preprocessed([scan.key for scan in scans])


def pack_options():
    keys = [scan.key for scan in PLAN.cohort.of("train", "validation")]
    labelled = [key for key in keys if PLAN.labelled(key)]
    table = ["--table", STUDY.labels] if STUDY.labels else []
    return shown("--mm", STUDY.grid_mm, *table, "--keys", *keys, "--labelled", *labelled)


def training_minutes():
    return 1.5 * (STUDY.training.max_minutes or 120) + 10


def training_inputs(wildcards):
    """The arrays, and the weights that training begins with, if any."""
    init = PLAN.init(wildcards.method)
    begun = {"init": init / "weights.safetensors"} if init else {}
    return {"arrays": P.arrays} | begun


def training_options(wildcards):
    init = PLAN.init(wildcards.method)
    train, validation = (
        [scan.key for scan in PLAN.cohort.of(split)] for split in ("train", "validation")
    )
    schedule = [
        item
        for name, value in STUDY.training.model_dump(exclude_none=True).items()
        for item in (f"--{name.replace('_', '-')}", value)
    ]
    return shown(
        "--method",
        PLAN.spec_argument(wildcards.method),
        "--seed",
        PLAN.seed(wildcards.method),
        "--threads",
        STUDY.threads.training,
        "--device",
        STUDY.device,
        "--devices",
        STUDY.devices,
        *network_mm(wildcards.method),
        *schedule,
        *(["--init", init] if init else []),
        "--train",
        *train,
        "--validation",
        *validation,
    )


def network_mm(method):
    mm = PLAN.network_mm(method)
    return ["--network-mm", mm] if mm else []


def registration_inputs(wildcards):
    """Whitened images of a job's scans, native labels and affines, and the weights."""
    keys = PLAN.batch_keys(wildcards.method, wildcards.batch)
    labelled = [key for key in keys if PLAN.labelled(key)]
    found = {
        "images": [P.preproc(key) for key in keys],
        "labels": [PLAN.scans[key].labels for key in labelled],
        "xfms": [P.affine(key) for key in labelled],
        "template": [P.template, P.preproc(TEMPLATE_KEY)],
    }
    if wildcards.method in PLAN.learned:
        found["weights"] = PLAN.weights(wildcards.method) / "weights.safetensors"
    return found


def gpus():
    """GPUs that a job of a network asks for."""
    return int(STUDY.device != "cpu")


def registration_options(wildcards):
    keys = PLAN.batch_keys(wildcards.method, wildcards.batch)
    labels = [f"{key}={PLAN.scans[key].labels}" for key in keys if PLAN.labelled(key)]
    codes = [f"{k}={PLAN.scans[k].orientation}" for k in keys if PLAN.scans[k].orientation]
    pairs = [pair_name(*pair) for pair in PLAN.batches(wildcards.method)[wildcards.batch]]
    learned = (
        ["--weights", PLAN.weights(wildcards.method), "--device", STUDY.device]
        if wildcards.method in PLAN.learned
        else []
    )
    return shown(
        "--method",
        PLAN.spec_argument(wildcards.method),
        "--mm",
        STUDY.grid_mm,
        "--interpolation",
        STUDY.labels_interpolation,
        "--seed",
        STUDY.seed,
        "--threads",
        STUDY.threads.registration,
        *learned,
        *network_mm(wildcards.method),
        "--labels",
        *labels,
        "--orientations",
        *codes,
        *renamed(wildcards.method),
        *uncertainty(wildcards),
        "--pairs",
        *pairs,
    )


def uncertainty(wildcards):
    """Samples of the posterior, and where their maps are listed."""
    if wildcards.method not in PLAN.uncertain:
        return []
    listed = P.uncertain(wildcards.method, wildcards.batch)
    return ["--uncertainty", STUDY.uncertainty, "--uncertainty-table", listed]


def level_weights(wildcards):
    return PLAN.weights(wildcards.method) / "weights.safetensors"


def level_options(wildcards):
    return shown(
        "--method",
        PLAN.spec_argument(wildcards.method),
        "--mm",
        STUDY.grid_mm,
        "--weights",
        PLAN.weights(wildcards.method),
        *network_mm(wildcards.method),
        *(["--name", wildcards.method] if SEED_MARK in wildcards.method else []),
        "--threads",
        STUDY.threads.registration,
        "--device",
        STUDY.device,
    )


def renamed(method):
    """The name of a row that is not the method's own, and its instance optimisation."""
    steps = PLAN.refinement(method)
    name = ["--name", method] if steps or SEED_MARK in method else []
    refine = ["--refine", steps, "--refine-mm", STUDY.refine_mm] if steps else []
    return [*name, *refine]


def kept(path):
    """A list of registered pairs, which goes when their fields go."""
    return path if STUDY.fields else temp(path)


def registered_files():
    """The lists of registered pairs of every method, and of the maps of uncertainty."""
    registered = [P.registered(m, batch) for m in PLAN.methods for batch in PLAN.batches(m)]
    return registered + [P.uncertain(m, b) for m in PLAN.uncertain for b in PLAN.batches(m)]


def scoring_inputs(wildcards):
    keys = PLAN.batch_keys(wildcards.method, wildcards.batch)
    return {"pairs": P.registered(wildcards.method, wildcards.batch), "fixed": preprocessed(keys)}


def scoring_options(wildcards):
    table = ["--table", STUDY.labels] if STUDY.labels else []
    return shown(
        "--method",
        wildcards.method,
        "--mm",
        STUDY.grid_mm,
        "--interpolation",
        STUDY.labels_interpolation,
        *table,
        *([] if STUDY.fields else ["--discard-fields"]),
    )


def scored_parts(wildcards):
    """The tables of every job of a method."""
    return [
        P.scored(wildcards.method, batch) / name
        for batch in PLAN.batches(wildcards.method)
        for name in ("by_label.tsv", "by_pair.tsv", "timing.tsv")
    ]


def paper_table(name):
    """The table's path, once the study is known to fill it; asked only when it is a target."""

    def wanted(wildcards):
        try:
            PLAN.require_paper_table(name)
        except PmrpipeError as error:
            raise WorkflowError(str(error)) from None
        return P.summary.with_name(f"{name}.tsv")

    return wanted
