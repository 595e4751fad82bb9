"""Where the seconds of `pmrpipe register` go: two scans as they come, nothing cached.

    python benchmarks/parts.py MOVING FIXED [--brain-extracted] [--repeats 3] [--threads 2]

Each run is a process of its own, whose main calls are timed one by one; medians of the runs, and
the process's largest memory when each part ended. The two scans are preprocessed by processes of
their own meanwhile; the parts of one of these, alone on the machine, follow.
"""

from __future__ import annotations

import argparse
import importlib
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

# Of the process that registers: where a call is looked up, and what it is. The time of an inner
# call is not counted in that of the outer one.
_REGISTER = (
    ("pmrpipe.native.registration", "prepare_and", "reading and judging"),
    ("pmrpipe.native.prepare", "_preprocess", "waiting for preprocessing"),
    ("pmrpipe.native.registration", "ready_method", "torch and weights, meanwhile"),
    ("pmrpipe.methods.network_method", "NetworkMethod.register", "network"),
    ("pmrpipe.methods.pmr_plus", "PMRPlus.start", "network"),
    ("pmrpipe.methods.refine", "refine", "optimisation"),
    ("pmrpipe.methods.deformation", "Deformation.inverse", "inverse"),
    ("pmrpipe.native.registration", "facts_of", "measures"),
    ("pmrpipe.native.registration", "_on_scans", "resampling"),
    ("pmrpipe.native.registration", "write_result", "writing and page"),
)
_PREPROCESS = (
    ("pmrpipe.stages.preprocess.space", "run", "template"),
    ("pmrpipe.stages.preprocess.brain", "run", "extract"),
    ("pmrpipe.stages.preprocess.resample", "run", "resample"),
    ("pmrpipe.stages.preprocess.affine", "run", "affine"),
    ("pmrpipe.images.itk", "load_ants", "antspyx, its import"),
    ("pmrpipe.stages.preprocess.whiten", "run", "whiten"),
)


class Clock:
    """Seconds of timed calls by name, inner calls left out of outer ones; memory at their ends."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.memory: dict[str, int] = {}
        self._inner = [0.0]

    def timed(self, module: str, place: str, name: str) -> None:
        """Replace a function by itself and a clock around it."""
        owner: Any = importlib.import_module(module)
        *outer, last = place.split(".")
        for part in outer:
            owner = getattr(owner, part)
        setattr(owner, last, self.around(getattr(owner, last), name))

    def around(self, function: Callable[..., Any], name: str) -> Callable[..., Any]:
        def timed(*words: Any, **options: Any) -> Any:
            began = time.perf_counter()
            self._inner.append(0.0)
            try:
                return function(*words, **options)
            finally:
                whole = time.perf_counter() - began
                own = whole - self._inner.pop()
                self._inner[-1] += whole
                self.seconds[name] = self.seconds.get(name, 0.0) + own
                self.memory[name] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024

        return timed


def run_once(options: argparse.Namespace) -> dict[str, Any]:
    """One registration, or one preprocessing, in this process."""
    clock = Clock()
    for part in _PREPROCESS if options.part == "preprocess" else _REGISTER:
        clock.timed(*part)
    with tempfile.TemporaryDirectory(prefix="pmrpipe-parts-") as folder:
        work = _preprocess if options.part == "preprocess" else _register
        clock.around(work, "other: start of the program, files")(options, Path(folder))
    return {"seconds": clock.seconds, "memory": clock.memory}


def _register(options: argparse.Namespace, folder: Path) -> None:
    from pmrpipe.native.registration import register

    words = {"brain_extracted": options.brain_extracted, "threads": options.threads}
    register(options.moving, options.fixed, folder, device="cpu", **words)


def _preprocess(options: argparse.Namespace, folder: Path) -> None:
    from pmrpipe.stages.preprocess.workflow import run
    from pmrpipe.study.options.preprocessing import Preprocessing
    from pmrpipe.study.paths import Results

    state = "brain" if options.brain_extracted else "head"
    plan = Preprocessing(mm=1.0, state=state, method="deepbet", threads=1)
    run(options.moving, Results.of(folder, plan), "sub-1", plan)


def measured(options: argparse.Namespace, part: str) -> list[dict[str, Any]]:
    """`repeats` runs, with the seconds of the whole process, start and end included."""
    runs = []
    for _ in range(options.repeats):
        began = time.perf_counter()
        command = [sys.executable, *sys.argv, "--part", part]
        out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        told = json.loads(out.splitlines()[-1])
        runs.append(told | {"whole": time.perf_counter() - began})
    return runs


def table(title: str, runs: Sequence[dict[str, Any]]) -> str:
    whole = statistics.median(run["whole"] for run in runs)
    lines = [f"{title}: {whole:.1f} s", "| part | s | memory so far, MB |", "|---|---|---|"]
    for name in runs[0]["seconds"]:
        seconds = statistics.median(run["seconds"].get(name, 0.0) for run in runs)
        memory = statistics.median(run["memory"].get(name, 0) for run in runs)
        lines.append(f"| {name} | {seconds:.1f} | {memory:.0f} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("moving", type=Path)
    parser.add_argument("fixed", type=Path)
    parser.add_argument("--brain-extracted", action="store_true")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--part", choices=("register", "preprocess"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.part:
        print(json.dumps(run_once(options)))
        return
    print(table("two scans", measured(options, "register")), end="\n\n")
    print(table("one scan preprocessed", measured(options, "preprocess")))


if __name__ == "__main__":
    main()
