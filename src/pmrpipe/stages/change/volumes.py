"""Volumes of labels in both scans: the integral of the Jacobian, seen from half-way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pmrpipe.stages.change.symmetric import Flow

COLUMNS = ("label", "volume_first", "volume_second", "percent", "noise_percent", "name", "scan")


def ratios(labels: np.ndarray, flow: Flow) -> dict[int, float]:
    """By label, how many times larger it is in the second scan.

    Parameters
    ----------
    labels : (X, Y, Z) in the half-way space, not negative; 0 is left out
    """
    first, second = flow.jacobians
    flat = labels.ravel()
    sums = [np.bincount(flat, weights=jacobian.ravel()) for jacobian in (first, second)]
    return {int(n): float(sums[1][n] / sums[0][n]) for n in np.unique(flat) if n}


def rows(
    labels: np.ndarray,
    volumes: Mapping[int, float],
    flow: Flow,
    nulls: Sequence[Flow],
    said: Mapping[int, tuple[Any, str]],
    scan: str,
) -> list[dict[str, Any]]:
    """Rows of change.tsv.

    Parameters
    ----------
    labels : (X, Y, Z) in the half-way space
    volumes : mm3 of each label in the first scan
    nulls : flows without change, from which the noise is told
    said : of a label its cell in the column `label`, and its name
    scan : name of the second scan
    """
    grown = ratios(labels, flow)
    without = [ratios(labels, null) for null in nulls]
    out = []
    for label, ratio in grown.items():
        first, (cell, name) = volumes[label], said[label]
        noise = None
        if without:
            noise = 100 * float(np.sqrt(np.mean([(null[label] - 1) ** 2 for null in without])))
        out.append(
            {
                "label": cell,
                "volume_first": round(first, 2),
                "volume_second": round(first * ratio, 2),
                "percent": round(100 * (ratio - 1), 4),
                "noise_percent": None if noise is None else round(noise, 4),
                "name": name,
                "scan": scan,
            }
        )
    return out
