"""What a job of many pairs costs beside the pairs, and what subjects and pairs take on disk.

    python benchmarks/batches.py config/malf.yaml ROOT --method pmr-cc [--pairs 20]

The study has run. Registers, then scores, one pair and many in one job each, in a folder of its
own. Start-up is what one pair takes more than each further one; printed with its share of the
large job, and the megabytes of the files of one subject and of one pair.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

from pmrpipe.study.keys import pair_name
from pmrpipe.study.paths import Results
from pmrpipe.workflow.plan import Plan


def timed(*words: object) -> float:
    """Seconds of one verb."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-m", "pmrpipe", *map(str, words)], check=True)
    return time.perf_counter() - began


def megabytes(*places: Path) -> float:
    files = [path for place in places for path in (place, *place.rglob("*")) if path.is_file()]
    return sum(path.stat().st_size for path in files) / 1e6


def measure(plan: Plan, method: str, pairs: list[tuple[str, str]], folder: Path) -> list[float]:
    """Seconds of registration and of scoring of `pairs` in one job each."""
    results, table = Results(folder, plan.study.grid_mm), folder / f"{len(pairs)}.tsv"
    keys = sorted({key for pair in pairs for key in pair})
    labels = [f"{key}={plan.scans[key].labels}" for key in keys if plan.labelled(key)]
    words = ["--method", method, "--labels", *labels, "--pairs", *(pair_name(*p) for p in pairs)]
    if method in plan.learned:
        words += ["--weights", plan.weights(method)]
        words += ["--network-mm", plan.network_mm(method)] if plan.network_mm(method) else []
    registered = timed("register-pairs", results.root, table, *words)
    named = ["--table", plan.study.labels] if plan.study.labels else []
    out = folder / f"score-{len(pairs)}"
    scored = timed("score-pairs", results.root, table, out, "--method", method, *named)
    return [registered, scored]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("study", type=Path)
    parser.add_argument("root")
    parser.add_argument("--method", default="pmr-cc")
    parser.add_argument("--pairs", type=int, default=20)
    options = parser.parse_args()
    keys = yaml.safe_load(options.study.read_text(encoding="utf-8")) | {"root": options.root}
    plan = Plan.of(keys)
    own, pairs = plan.results, plan.pairs[: options.pairs]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for path in [*own.root.glob("sub-*"), *own.root.glob("tpl-*")]:
            (folder / path.name).symlink_to(path.resolve())
        one, many = (measure(plan, options.method, pairs[:n], folder) for n in (1, len(pairs)))
        pair = megabytes(folder / "register" / options.method / pair_name(*pairs[0]))
    print(f"| stage | job of {len(pairs)} pairs, s | a pair, s | start-up, s | share |")
    print("|---|---|---|---|---|")
    for stage, first, all_of_them in zip(("register", "score"), one, many, strict=True):
        each = (all_of_them - first) / (len(pairs) - 1)
        start = first - each
        share = f"{100 * start / all_of_them:.1f} %"
        print(f"| {stage} | {all_of_them:.1f} | {each:.2f} | {start:.1f} | {share} |")
    subject = pairs[0][0]
    shown = [own.root / subject, own.qc_page(subject), *own.root.glob(f"figures/{subject}_*")]
    print(f"a subject takes {megabytes(*shown):.1f} MB, a pair of {options.method} {pair:.1f} MB")


if __name__ == "__main__":
    main()
