"""What scans, pairs and folders are called: keys, and what they say."""

from __future__ import annotations

import re

from pmrpipe.base.errors import InputError

# Between the name of a method and a further seed that it is trained with.
SEED_MARK = "_seed-"
# Figures of a scan's quality page.
QC_FIGURES = ("mask", "before", "after", "intensities")
# BIDS suffixes. A key without one is of a T1w; the others end with theirs.
CONTRASTS = ("T1w", "T2w", "PDw", "FLAIR", "inplaneT2")
T1W, OTHER_CONTRASTS = CONTRASTS[0], CONTRASTS[1:]
# A scan's place in its dataset, and its key: sub-X[_ses-Y][_run-N], and [_T2w] behind it.
SCAN_PATTERN = r"sub-[A-Za-z0-9]+(_ses-[A-Za-z0-9]+)?(_run-[A-Za-z0-9]+)?"
KEY_PATTERN = rf"{SCAN_PATTERN}(_({'|'.join(OTHER_CONTRASTS)}))?"
FOLDER_PATTERN = r"sub-[A-Za-z0-9]+(/ses-[A-Za-z0-9]+)?"
# Stands for any other contrast in Snakemake's patterns: "{key}_{contrast}".
WILDCARD = "{contrast}"


def subject_of(key: str) -> str:
    """The subject of a scan: sub-X of sub-X_ses-Y_run-N."""
    return str(key).split("_")[0]


def session_of(key: str) -> str | None:
    """The session of a scan: ses-Y of sub-X_ses-Y_run-N; None where its key says none."""
    session = re.search(r"_(ses-[A-Za-z0-9]+)", key)
    return session.group(1) if session else None


def scan_key(scan: str, contrast: str = T1W) -> str:
    """Key of a scan: sub-X[_ses-Y][_run-N] of a T1w, with _CONTRAST behind it of any other."""
    return scan if contrast == T1W else f"{scan}_{contrast}"


def scan_and_contrast(key: str) -> tuple[str, str]:
    """sub-X[_ses-Y][_run-N] and contrast of a key, the inverse of `scan_key`."""
    scan, _, last = key.rpartition("_")
    return (scan, last) if last in OTHER_CONTRASTS or last == WILDCARD else (key, T1W)


def in_contrast(key: str, contrast: str | None) -> str:
    """Key of the same scan in another contrast; None: as it is."""
    return key if contrast is None else scan_key(scan_and_contrast(key)[0], contrast)


def contrast_of(key: str) -> str:
    """Contrast of a scan: T1w unless its key ends with another."""
    return scan_and_contrast(key)[1]


def folder_of(key: str) -> str:
    """Folder of a scan: `sub-X_ses-Y_run-N` lies in `sub-X/ses-Y`; a template in `tpl-NAME`."""
    if key.startswith("tpl-"):
        return key
    match = re.match(r"(sub-[A-Za-z0-9]+)(?:_(ses-[A-Za-z0-9]+))?", key)
    if not match:
        raise ValueError(f"{key} is not of the form sub-X[_ses-Y][_run-N][_CONTRAST]")
    return "/".join(part for part in match.groups() if part)


def resolution(mm: float) -> str:
    """Value of the BIDS entity `res-` for a grid of `mm`: 1, 4, 0p8 ..."""
    return f"{mm:g}".replace(".", "p")


def pair_name(moving: str, fixed: str) -> str:
    """Name of an ordered pair and of its folder."""
    return f"{moving}_to_{fixed}"


def named_pair(name: str) -> tuple[str, str]:
    """Moving and fixed of MOVING_to_FIXED; InputError when it is none."""
    moving, separator, fixed = name.partition("_to_")
    if not separator:
        raise InputError(name, "is no pair", "write MOVING_to_FIXED")
    return moving, fixed
