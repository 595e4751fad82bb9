"""A template by pmrpipe beside one by antspyx, of the same preprocessed brains.

    python benchmarks/template.py config/malf.yaml ROOT --subjects 1000 1002 1006 1007 1009 1010 \\
        1011 1012 --rounds 2 --threads 2 --out rows.tsv [--no-ants]

The study must be preprocessed (target `preprocess`); its section `template` says the rest. Both
sides get the same whitened brains on the template grid, the same number of rounds and threads, and
begin with their mean. Rows: seconds, sharpness (mean gradient magnitude over the brain without its
rim, of the template scaled to a mean of one half there), mean displacement left, and the mean
pairwise Dice of the subjects' labels once each is registered to it; a row `MNI` says the same of
the space's own template, by the same method. antspyx's template is judged by pmrpipe's
registrations to it, too. Template and rounds lie in `template/BENCHMARK` of the study's results,
where a second call finds them.
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

COLUMNS = ("template", "rounds", "seconds", "sharpness", "mean_displacement_mm", "dice")
NAME = "BENCHMARK"


def by_pmrpipe(plan: object, options: object) -> tuple[np.ndarray, np.ndarray, dict]:
    """Template, mask and what was measured."""
    from pmrpipe.images.volume import read_image, read_mask
    from pmrpipe.stages.template.job import make_template
    from pmrpipe.study.template_paths import TemplatePaths

    began = time.perf_counter()
    rows = make_template(plan.results.root, options, print)
    seconds = time.perf_counter() - began
    paths = TemplatePaths.of(plan.results, NAME)
    row = {
        "seconds": seconds,
        "rounds": len(rows) - 1,
        "mean_displacement_mm": rows[-1]["mean_displacement_mm"],
    }
    return read_image(paths.brain).data, read_mask(paths.mask).data, row


def by_ants(images: list[Path], rounds: int, threads: int) -> tuple[np.ndarray, np.ndarray, dict]:
    """The same by antspyx's build_template with its defaults."""
    from pmrpipe.images.itk import load_ants

    ants = load_ants(threads)
    brains = [ants.image_read(str(path)) for path in images]
    began = time.perf_counter()
    template = ants.build_template(image_list=brains, iterations=rounds)
    seconds = time.perf_counter() - began
    data = template.numpy()
    mask = data > 0.25 * np.median(data[data > 0.1])
    return np.where(mask, data, 0), mask, {"seconds": seconds, "rounds": rounds}


def scaled(data: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """With a mean of one half over the brain."""
    return np.where(mask, data * (0.5 / data[mask].mean()), 0)


def pairwise_dice(
    plan: object, options: object, method: object, target: np.ndarray, say: Callable[[str], None]
) -> float:
    """Mean Dice between all subjects, each registered to `target`; labels resampled once."""
    import torch

    from pmrpipe.images.resampling import resample, sample_points
    from pmrpipe.images.transforms import read_affine
    from pmrpipe.images.volume import read_image, read_labels
    from pmrpipe.metrics.overlap import label_overlap
    from pmrpipe.study.labels import scored_labels

    results, maps = plan.results, []
    scored = np.asarray(scored_labels(options.table))
    fixed = torch.from_numpy(np.clip(target, 0, 1).astype(np.float32))[None, None]
    for key, path in options.labels.items():
        say(f"judging by {key}")
        scan = read_image(results.preproc(key))
        with torch.no_grad():
            warp = method.register(torch.from_numpy(scan.data)[None, None], fixed, scan.grid)
        affine, field = read_affine(results.affine(key)), (warp.millimetres(), warp.grid)
        points = sample_points(scan.grid, affine, field)
        maps.append(resample(read_labels(path), points, "nearest"))
    pairs = itertools.combinations(maps, 2)
    return float(np.mean([label_overlap(*pair).only(scored).dice.mean() for pair in pairs]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("study", type=Path)
    parser.add_argument("root")
    parser.add_argument("--subjects", nargs="+", required=True)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--no-ants", action="store_true")
    given = parser.parse_args()

    from pmrpipe.base.files import write_tsv
    from pmrpipe.images.volume import read_image
    from pmrpipe.stages.template.average import sharpness
    from pmrpipe.stages.template.ready import ready
    from pmrpipe.study.config import load
    from pmrpipe.workflow.mean_brain import MeanBrain
    from pmrpipe.workflow.plan import Plan

    study = load(given.study, [f"root={given.root}"])
    section = {"name": NAME, "subjects": given.subjects, "rounds": given.rounds, "tolerance": 0}
    section = study.model_dump()["template"] | section
    changes = {"template": section, "threads": {"registration": given.threads}}
    plan = Plan.of(study.model_dump() | changes)
    options = MeanBrain(plan).options()
    grid = plan.results.space.grid(options.mm)
    images = [plan.results.preproc(key) for key in options.keys]
    makers = {"pmrpipe": lambda: by_pmrpipe(plan, options)}
    if not given.no_ants:
        makers["antspyx"] = lambda: by_ants(images, given.rounds, given.threads)
    method, rows = ready(options).method, []
    for name, make in makers.items():
        data, mask, row = make()
        data = scaled(data, mask)
        row |= {"template": name, "sharpness": sharpness(data, mask, grid)}
        row["dice"] = pairwise_dice(plan, options, method, data, print)
        rows.append(row)
        write_tsv(given.out, pd.DataFrame(rows).reindex(columns=COLUMNS))
    own = read_image(plan.results.preproc(plan.results.space.key)).data
    dice = pairwise_dice(plan, options, method, own, print)
    rows.append({"template": "MNI", "dice": dice, "sharpness": sharpness(own, own > 0, grid)})
    write_tsv(given.out, pd.DataFrame(rows).reindex(columns=COLUMNS))
    print(given.out.read_text())


if __name__ == "__main__":
    main()
