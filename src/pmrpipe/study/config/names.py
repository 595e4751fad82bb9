"""Keys of subjects: how a study's names become `sub-X`."""

from __future__ import annotations

import re


def subject_key(name: str) -> str:
    """sub-X for a subject's name in its dataset: letters and digits alone are kept."""
    return "sub-" + re.sub("[^A-Za-z0-9]", "", name)


def with_prefix(name: str) -> str:
    """`sub-X` and everything behind it as it is; else the name as a key, entities kept."""
    if name.startswith("sub-"):
        return name
    entities = re.search(r"(_ses-|_run-|_(T2w|PDw|FLAIR|inplaneT2)$).*$", name)
    end = entities.start() if entities else len(name)
    return subject_key(name[:end]) + name[end:]


def counted(names: list[str]) -> list[str]:
    """Keys of subjects; `S{01..40}` stands for forty of them, and ValueError for `S{40..01}`."""
    keys = []
    for name in names:
        span = re.search(r"\{(\d+)\.\.(\d+)\}", name)
        if span is None:
            keys.append(with_prefix(name))
            continue
        first, last = span.groups()
        if int(last) < int(first):
            raise ValueError(f"{name} counts nobody: the smaller number stands first")
        for number in range(int(first), int(last) + 1):
            digits = str(number).zfill(len(first))
            keys.append(with_prefix(name[: span.start()] + digits + name[span.end() :]))
    return keys
