"""Which ordered pairs are registered, and how they are shared out over jobs."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from pathlib import Path

from pmrpipe.base.errors import InputError
from pmrpipe.base.files import read_tsv
from pmrpipe.stages.cohort.contrasts import paired
from pmrpipe.stages.cohort.scans import Cohort, Scan
from pmrpipe.study.config import Pairs, Study
from pmrpipe.study.keys import pair_name
from pmrpipe.study.options.common import DEFAULT_SPACE

Pair = tuple[str, str]
TEMPLATE = f"tpl-{DEFAULT_SPACE}"


def pairs_of(study: Study, cohort: Cohort, template: str = TEMPLATE) -> list[Pair]:
    """The pairs of a study's tested scans; InputError as for `select`."""
    atlases = [scan for scan in cohort.of("train") if scan.labels is not None]
    contrasts = paired(study)
    tested = cohort.of("test")
    return select(tested, study.pairs, study.seed, template, atlases, contrasts)


def select(
    scans: Sequence[Scan],
    policy: Pairs,
    seed: int,
    template: str = TEMPLATE,
    atlases: Sequence[Scan] = (),
    contrasts: tuple[str, str] | None = None,
) -> list[Pair]:
    """Ordered pairs (moving, fixed), sorted: of different subjects, or within them.

    Parameters
    ----------
    template : key of the space's template
    atlases : labelled scans that are no tested ones, for `from-atlases`
    contrasts : of the moving and of the fixed scans; None: any

    Raises
    ------
    InputError : `to-subject` or `file` names a scan that is not tested; no pair is left
    """
    moving, fixed = scans, scans
    if contrasts is not None and policy.policy != "file":
        moving, fixed = ([s for s in scans if s.contrast == wanted] for wanted in contrasts)
    if policy.policy == "from-atlases":
        pairs = [(a.key, s.key) for a in atlases for s in fixed if a.subject != s.subject]
    else:
        pairs = _selected(moving, fixed, policy, seed, template)
    if not pairs:
        raise _no_pair(scans, policy)
    return pairs


def _no_pair(scans: Sequence[Scan], policy: Pairs) -> InputError:
    """Why a policy leaves no pair, and what would give some."""
    subjects = sorted({scan.subject for scan in scans})
    if not scans:
        return InputError("split.test", "no scan is tested", "let `split` leave some to test")
    if policy.policy == "file":
        return InputError(policy.file, "lists no pair", "write rows with moving and fixed")
    if policy.policy == "from-atlases":
        problem = "no training scan has labels to bring to the tested ones"
        return InputError("pairs.policy", problem, "name labels, and atlases in split.train")
    if policy.policy == "within-subject":
        problem = "no tested subject has two scans to pair within it"
        return InputError("pairs.policy", problem, "choose another policy, such as all")
    problem = (
        f"pairs join different subjects, and all tested scans ({len(scans)}) are of {subjects[0]}"
    )
    remedy = "pairs: {policy: to-template} registers each scan to the template"
    if len(scans) > 1:
        remedy = "pairs: {policy: within-subject} joins the scans of one subject"
    return InputError("pairs", problem, remedy)


def _selected(
    moving_scans: Sequence[Scan],
    fixed_scans: Sequence[Scan],
    policy: Pairs,
    seed: int,
    template: str,
) -> list[Pair]:
    keys = [scan.key for scan in moving_scans]
    if policy.policy == "to-template":
        return [(key, template) for key in keys]
    if policy.policy == "file":
        return _from_file(policy.file, {*keys, template})
    if policy.policy == "to-subject":
        goal = _fixed(fixed_scans, policy.subject)
        return [(s.key, goal.key) for s in moving_scans if s.subject != goal.subject]
    if policy.policy == "random":
        drawn = (_partners(scan, fixed_scans, policy.k, seed) for scan in moving_scans)
        return sorted(pair for partners in drawn for pair in partners)
    within = policy.policy == "within-subject"
    return [
        (moving.key, fixed.key)
        for moving in moving_scans
        for fixed in fixed_scans
        if (moving.subject == fixed.subject) == within and moving.key != fixed.key
    ]


def _fixed(scans: Sequence[Scan], subject: str | None) -> Scan:
    for scan in scans:
        if subject is not None and subject.removeprefix("sub-") in (
            scan.key.removeprefix("sub-"),
            scan.subject.removeprefix("sub-"),
        ):
            return scan
    raise InputError("pairs.subject", f"{subject} is not among the tested scans", "correct it")


def _partners(scan: Scan, scans: Sequence[Scan], k: int, seed: int) -> list[Pair]:
    others = [other.key for other in scans if other.subject != scan.subject]
    # Seeded by the scan too: whom it is paired with does not hang on its place in the list.
    draw = random.Random(f"{seed} {scan.key}").sample(others, min(k, len(others)))
    return [(scan.key, fixed) for fixed in draw]


def _from_file(name: str | None, keys: set[str]) -> list[Pair]:
    if name is None:
        raise InputError("pairs.file", "is missing", "name a TSV with columns moving and fixed")
    table = read_tsv(Path(name).expanduser(), required=("moving", "fixed")).astype(str)
    pairs = list(dict.fromkeys(zip(table["moving"], table["fixed"], strict=True)))
    for moving, fixed in pairs:
        for key in (moving, fixed):
            if key not in keys:
                raise InputError(name, f"{key} is not among the tested scans", "correct the row")
        if moving == fixed:
            raise InputError(name, f"pairs {moving} with itself", "remove the row")
    return pairs


def batches(pairs: Sequence[Pair], per_job: int) -> dict[str, list[Pair]]:
    """Share pairs out over jobs, by name, so that a new pair leaves most jobs as they were.

    With `per_job` 1 a job bears its pair's name. Otherwise a pair's job follows from a hash of
    its name, and the number of jobs is a power of two.
    """
    if per_job == 1:
        return {pair_name(*pair): [pair] for pair in pairs}
    count = 1
    while count * per_job < len(pairs):
        count *= 2
    shares: dict[str, list[Pair]] = {}
    for pair in pairs:
        number = int(hashlib.sha256(pair_name(*pair).encode()).hexdigest()[:8], 16) % count
        shares.setdefault(f"{number + 1:04d}of{count:04d}", []).append(pair)
    return dict(sorted(shares.items()))
