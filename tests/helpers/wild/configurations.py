"""What can be wrong with a study's file and with the tables that it names.

A corruption of a configuration takes its keys and gives a text. One of a table is a pair of the
file's name and a function of its text; `KEYS` says by what the study names that file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import yaml

Keys = Mapping[str, Any]


def with_keys(**more: object) -> Callable[[Keys], str]:
    return lambda keys: yaml.safe_dump({**keys, **more})


def with_text(change: Callable[[str], str]) -> Callable[[Keys], str]:
    return lambda keys: change(yaml.safe_dump(dict(keys)))


def without(*names: str) -> Callable[[Keys], str]:
    return lambda keys: yaml.safe_dump({k: v for k, v in keys.items() if k not in names})


CONFIGURATIONS: dict[str, Callable[[Keys], str]] = {
    "a typo in a key": with_keys(metods=["affine"]),
    "a typo in a method": with_keys(methods=["afine"]),
    "a text for a list": with_keys(methods="affine"),
    "a list for a text": with_keys(cohort=["wild"]),
    "no method": with_keys(methods=[]),
    "a method twice": with_keys(methods=["affine", "affine"]),
    "a grid of nothing": with_keys(grid_mm=0),
    "a negative grid": with_keys(grid_mm=-8),
    "a grid of words": with_keys(grid_mm="eight"),
    "a grid without end": with_keys(grid_mm=float("inf")),
    "a grid that is no number": with_keys(grid_mm=float("nan")),
    "a decimal comma": with_keys(grid_mm="8,0"),
    "a huge grid": with_keys(grid_mm=800),
    "a negative seed": with_keys(seed=-1),
    "a seed with decimals": with_keys(seed=2.5),
    "a huge seed": with_keys(seed=10**30),
    "threads of nothing": with_keys(threads={"affine": 0}),
    "pairs of nobody": with_keys(pairs={"policy": "to-subject", "subject": "99"}),
    "a policy that there is not": with_keys(pairs={"policy": "everyone"}),
    "a policy without its file": with_keys(pairs={"policy": "file"}),
    "a file of pairs that is not there": with_keys(pairs={"policy": "file", "file": "no.tsv"}),
    "a root that is not there": with_keys(root="data/nowhere"),
    "a root that is a file": with_keys(root="pairs.tsv"),
    "no root": without("root"),
    "labels that are not there": with_keys(labels="no.tsv"),
    "labels that are an image": with_keys(labels="data/sub-01/anat/sub-01_T1w.nii.gz"),
    "a name that leads out": with_keys(cohort="../wild"),
    "a name with a blank": with_keys(cohort="wild one"),
    "an empty name": with_keys(cohort=""),
    "splits beyond all": with_keys(split={"train": 0.8, "test": 0.8}),
    "a negative split": with_keys(split={"test": -0.5}),
    "a subject in two splits": with_keys(split={"train": ["01"], "test": ["01", "02"]}),
    "a split of nobody": with_keys(split={"test": ["98", "99"]}),
    "an empty split": with_keys(split={"test": []}),
    "an exclusion without a reason": with_keys(exclude=["sub-01"]),
    "an exclusion of nobody": with_keys(exclude={"sub-99": "moved"}),
    "a device that there is not": with_keys(device="gpu"),
    "a reader that there is not": with_keys(reader="bidz"),
    "a space that there is not": with_keys(space="MNI"),
    "an orientation that there is not": with_keys(orientation="XYZ"),
    "an override of a typo": with_keys(overrides={"sub-01": {"brian": "mask"}}),
    "an override of a missing mask": with_keys(overrides={"sub-01": {"mask": "no.nii.gz"}}),
    "weights that are not there": with_keys(methods=["pmr"], weights={"pmr": "nowhere"}),
    "weights of a method without": with_keys(weights={"affine": "shipped"}),
    "a tabulator": with_text(lambda text: text + "\tseed: 3\n"),
    "a key twice": with_text(lambda text: text + "grid_mm: 4\n"),
    "an open bracket": with_text(lambda text: text + "methods: [affine\n"),
    "a list in place of keys": lambda keys: "- affine\n- syn\n",
    "an empty file": lambda keys: "",
    "a text in place of keys": lambda keys: "a study\n",
    "a program": with_text(lambda text: text + "seed: !!python/object/apply:os.getpid []\n"),
    "letters of another system": with_text(lambda text: text.replace("wild", "wíld")),
}
HEADING = "index\tname\tregion\tscored\n"


def replaced(old: str, new: str) -> Callable[[str], str]:
    return lambda text: text.replace(old, new)


TABLES: dict[str, tuple[str, Callable[[str], str]]] = {
    "pairs: commas": ("pairs.tsv", replaced("\t", ",")),
    "pairs: no heading": ("pairs.tsv", lambda text: text.partition("\n")[2]),
    "pairs: heading in capitals": ("pairs.tsv", replaced("moving\tfixed", "Moving\tFixed")),
    "pairs: an unknown scan": ("pairs.tsv", lambda text: text + "sub-99\tsub-01\n"),
    "pairs: a scan with itself": ("pairs.tsv", lambda text: text + "sub-01\tsub-01\n"),
    "pairs: a pair twice": ("pairs.tsv", lambda text: text + "sub-01\tsub-02\n"),
    "pairs: half a row": ("pairs.tsv", lambda text: text + "sub-01\n"),
    "pairs: without sub-": ("pairs.tsv", replaced("sub-", "")),
    "pairs: empty": ("pairs.tsv", lambda text: ""),
    "pairs: heading alone": ("pairs.tsv", lambda text: text.partition("\n")[0] + "\n"),
    "pairs: ends of lines of Windows": ("pairs.tsv", replaced("\n", "\r\n")),
    "pairs: a mark of order": ("pairs.tsv", lambda text: "\ufeff" + text),
    "pairs: empty lines": ("pairs.tsv", lambda text: text + "\n\n"),
    "labels: commas": ("labels.tsv", replaced("\t", ",")),
    "labels: no scored": ("labels.tsv", replaced("scored", "used")),
    "labels: yes and no": ("labels.tsv", lambda text: text.replace("\t1\n", "\tyes\n")),
    "labels: a word for a number": ("labels.tsv", lambda text: text + "one\tx\tfrontal\t1\n"),
    "labels: a number twice": ("labels.tsv", lambda text: text + text.splitlines()[1] + "\n"),
    "labels: fractions": ("labels.tsv", lambda text: text + "1.5\tx\tfrontal\t1\n"),
    "labels: a negative number": ("labels.tsv", lambda text: text + "-3\tx\tfrontal\t1\n"),
    "labels: a maybe": ("labels.tsv", lambda text: text + "901\tx\tfrontal\tmaybe\n"),
    "labels: not scored at all": ("labels.tsv", lambda text: text.replace("\t1\n", "\t0\n")),
    "labels: empty": ("labels.tsv", lambda text: ""),
    "labels: heading alone": ("labels.tsv", lambda text: HEADING),
    "labels: background": ("labels.tsv", lambda text: text + "0\tBackground\tn/a\t0\n"),
    "labels: ends of lines of Windows": ("labels.tsv", replaced("\n", "\r\n")),
    "labels: a mark of order": ("labels.tsv", lambda text: "\ufeff" + text),
    "labels: too many columns": ("labels.tsv", lambda text: text + "902\tx\tfrontal\t1\t7\t8\n"),
    "people: no column": ("participants.tsv", replaced("split", "group")),
    "people: an unknown split": ("participants.tsv", replaced("\ttest", "\ttesting")),
    "people: capitals": ("participants.tsv", replaced("\ttest", "\tTest")),
    "people: a name twice": ("participants.tsv", lambda text: text + "sub-01\ttrain\n"),
    "people: an unknown name": ("participants.tsv", lambda text: text + "sub-99\ttest\n"),
    "people: commas": ("participants.tsv", replaced("\t", ",")),
    "people: empty": ("participants.tsv", lambda text: ""),
    "people: half of them": (
        "participants.tsv", lambda text: "\n".join(text.splitlines()[:2]) + "\n"
    ),
    "people: ends of lines of Windows": ("participants.tsv", replaced("\n", "\r\n")),
    "people: a mark of order": ("participants.tsv", lambda text: "\ufeff" + text),
    "people: without sub-": ("participants.tsv", replaced("sub-", "")),
    "labels: semicolons": ("labels.tsv", replaced("\t", ";")),
}  # fmt: skip
