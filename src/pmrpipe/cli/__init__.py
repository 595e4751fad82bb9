"""The `pmrpipe` command: one verb per stage or step; arguments and messages only."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence

from pmrpipe.base.ants_imports import spare_ants_imports
from pmrpipe.base.errors import PmrpipeError

# Words that these verbs do not know are Snakemake's.
_HANDED_ON = ("run", "bids")
# title of a group, verb: (module of this package, line of help). Modules are imported when their
# verb is used.
GROUPS = {
    "two scans and transforms": {
        "register": (
            "register",
            "register two scans as they come, on the fixed scan's own grid",
        ),
        "parcellate": ("parcellate", "label a scan as it comes by a folder of labelled atlases"),
        "change": ("change", "what changed between scans of one person, with its noise"),
        "modalities": ("modalities", "T2w, PDw or FLAIR of one head on the grid of its T1w"),
        "apply": ("apply", "resample an image, or move points, through transforms"),
        "shoot": ("shoot", "follow a geodesic that a registration kept, or the mean of several"),
        "methods": ("methods", "list the methods with their citations"),
    },
    "studies": {
        "run": ("run", "run the workflow: targets and options of snakemake follow"),
        "bids": ("bids", "run the workflow on a BIDS dataset, called as BIDS Apps are"),
        "cohort": ("cohort", "index a study: write cohort.tsv and pairs.tsv"),
        "label-table": ("cohort", "list the labels of some label maps as a table to edit"),
        "preprocess": ("preprocess", "all five steps of one scan in one process"),
        "train": ("train", "train a learned method"),
        "template": ("template", "make an unbiased mean brain of preprocessed scans"),
        "ship": ("train", "put trained weights into the package, as its shipped ones"),
        "report": ("report", "write the report page"),
        "check-demo": ("demo", "judge the embedded cohort's table"),
    },
    "single jobs, as the workflow's rules call them": {
        "simulate": ("cohort", "write the simulated cohort (reader `embedded`)"),
        "space": ("preprocess", "write the template brain on the common grid"),
        "brain": ("preprocess", "extract the brain of one T1w scan"),
        "coregister": ("preprocess", "bring a scan of another contrast to its session's T1w"),
        "resample": ("preprocess", "resample a brain to isotropic voxels"),
        "affine": ("preprocess", "normalise a brain to the template by an affine"),
        "whiten": ("preprocess", "resample to the template grid once and whiten"),
        "labels": ("preprocess", "resample a label map to the template grid once"),
        "pack": ("preprocess", "pack preprocessed scans into arrays for training"),
        "qc": ("qc", "measures, figures and the quality page of one preprocessed scan"),
        "qc-template": ("qc", "the template's figure for the quality pages"),
        "qc-table": ("qc", "gather the measures of all scans, outliers marked"),
        "teach": ("register_pairs", "register training pairs, from which a method learns"),
        "pack-targets": ("register_pairs", "pack the fields of these pairs for training"),
        "register-pairs": ("register_pairs", "register pairs of preprocessed scans"),
        "register-levels": (
            "register_pairs",
            "what each level of a network contributes to some pairs",
        ),
        "score-pairs": ("score", "score registered pairs"),
        "score": ("score", "gather a method's scores, or summarise all methods"),
        "compare-pairs": ("reference", "a method's maps of pairs beside those of a reference"),
        "compare-tables": ("reference", "the tables of all methods beside their reference"),
        "map": ("maps", "local volume of one scan in the template's space"),
        "maps-table": ("maps", "the table of these maps, with covariates, and the mask"),
        "compare-sessions": ("change", "what changed in one person since the first session"),
        "change-table": ("change", "gather what changed in all persons"),
        "overlay": ("modalities", "bring one scan of another contrast onto its T1w's grid"),
        "session-page": ("modalities", "the page of a session's scans on its T1w's grid"),
        "fuse": ("parcellate", "label one scan by the atlases registered to it"),
        "volumes": ("parcellate", "gather the volumes of all labelled scans"),
        "paper-table": ("score", "write a table of the paper: TSV, Markdown and LaTeX"),
    },
}
VERBS = {verb: entry for group in GROUPS.values() for verb, entry in group.items()}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb; 0 = done, 1 = the work failed, 2 = arguments or input are wrong."""
    if arguments is None:  # a process of its own
        spare_ants_imports()
    words = list(sys.argv[1:] if arguments is None else arguments)
    parser, run = _parser(words)
    options, more = parser.parse_known_args(words)
    if more and words[0] not in _HANDED_ON:
        parser.error(f"unrecognized arguments: {' '.join(more)}")
    options.more = more
    if run is None:
        parser.print_help()
        return 2
    # Telemetry of nipype and etelemetry would wait for the network.
    os.environ.setdefault("NO_ET", "1")
    os.environ.setdefault("NIPYPE_NO_ET", "1")
    from pmrpipe.cli.arguments import require_separate

    try:
        require_separate(options)
        with _cleared_on_sigterm(words[0]):
            run(options)
    except PmrpipeError as error:
        print(f"pmrpipe {words[0]}: error: {error}", file=sys.stderr)
        return error.exit_code
    except OSError as error:  # a full disk, a folder that vanished: no fault of the code
        if error.errno is None:
            return _unexpected(words[0], error)
        where = f"{error.filename}: " if error.filename else ""
        print(f"pmrpipe {words[0]}: error: {where}{error.strerror}", file=sys.stderr)
        return 1
    except MemoryError:
        print(f"pmrpipe {words[0]}: error: out of memory; give the job more", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"pmrpipe {words[0]}: interrupted", file=sys.stderr)
        return 130
    except Exception as error:
        return _unexpected(words[0], error)
    return 0


def _unexpected(verb: str, error: Exception) -> int:
    """The traceback of a fault in the code, then one line: logs always end in one."""
    traceback.print_exception(error)
    what = " ".join(f"{type(error).__name__}: {error}".split())
    print(
        f"pmrpipe {verb}: error: unexpected {what}; please report it with the log", file=sys.stderr
    )
    return 1


@contextlib.contextmanager
def _cleared_on_sigterm(verb: str) -> Iterator[None]:
    """A polite kill ends as Ctrl-C does: temporary files and started processes are cleared."""
    # Lightning saves the state of a training, and would call another handler first.
    if verb == "train" or threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, _terminated)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _terminated(number: int, frame: object) -> None:
    raise SystemExit(128 + number)


def _parser(words: list[str]) -> tuple[argparse.ArgumentParser, Callable | None]:
    from pmrpipe.base.version import VERSION

    parser = argparse.ArgumentParser(
        prog="pmrpipe",
        description="From raw T1w brain MRI to registered brains and a Dice table.",
        epilog=_listing(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"pmrpipe {VERSION}")
    # Without a help of its own: the groups are listed below.
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", help="one of those listed below")
    run = None
    for verb, (module, text) in VERBS.items():
        sub = verbs.add_parser(verb, description=text[0].upper() + text[1:] + ".")
        if words and words[0] == verb:
            from pmrpipe.cli.arguments import add_overwrite

            name = verb.replace("-", "_")
            code = importlib.import_module(f"pmrpipe.cli.{module}")
            getattr(code, f"add_{name}")(sub)
            add_overwrite(sub)
            run = getattr(code, f"run_{name}")
    return parser, run


def _listing() -> str:
    """The verbs by group, one a line."""
    width = max(map(len, VERBS))
    lines = []
    for title, group in GROUPS.items():
        lines += [f"{title}:", *(f"  {verb:{width}}  {text}" for verb, (_, text) in group.items())]
        lines.append("")
    return "\n".join([*lines, "`pmrpipe VERB --help` lists the options of a verb."])
