"""The page of one parcellation: outlines of the labels, where atlases disagree, volumes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pmrpipe.base.files import write_text
from pmrpipe.drawing import html, pictures, style
from pmrpipe.drawing.views import views_of
from pmrpipe.images.volume import Volume

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Shown:
    """On the template grid: brain in [0, 1], labels, and the share of votes that each won."""

    brain: Volume
    labels: np.ndarray
    confidence: np.ndarray


def write_page(
    out: Path,
    scan: str,
    shown: Shown,
    volumes: pd.DataFrame,
    facts: Mapping[str, Any],
    files: Mapping[str, str],
    warnings: Sequence[str] = (),
    licence: str | None = None,
) -> None:
    """Write a self-contained page.

    Parameters
    ----------
    volumes : rows of volumes.tsv
    facts : `atlases`, `method` and `fusion`, which stand at the top
    files : names of the files beside the page, and what each is
    licence : of the atlases
    """
    content = html.render(
        Path(__file__).parent / "page.html",
        title=f"Labels of {scan}",
        facts=_top(shown, volumes, facts),
        warnings=warnings,
        files=files,
        licence=licence,
        rows=volumes.astype(object).where(volumes.notna(), None).to_dict("records"),
        **_drawn(shown),
    )
    write_text(out, content)


def _drawn(shown: Shown) -> dict[str, Any]:
    brain = shown.brain.data
    views = views_of(
        (brain, brain, brain),
        shown.brain.grid,
        None,
        (None, shown.labels, None),
        lambda numbers: numbers,
        uncertainty=1 - shown.confidence,
    )
    with style.drawing():
        drawn = pictures.draw(views)
    panels = {name: style.data_uri(png, "png") for name, png in drawn.panels.items()}
    return {"panels": panels, "size": drawn.size}


def _top(shown: Shown, volumes: pd.DataFrame, facts: Mapping[str, Any]) -> list[tuple[str, str]]:
    share = float(shown.confidence[shown.labels > 0].mean()) if shown.labels.any() else 0.0
    there = volumes["label"].notna() & (volumes["volume_mm3"] > 0)
    return [
        ("Atlases", str(len(facts["atlases"]))),
        ("Method", str(facts["method"])),
        ("Fusion", str(facts["fusion"])),
        ("Labels found", str(int(there.sum()))),
        ("Mean share of votes", f"{share:.2f}"),
        ("Intracranial volume, ml", f"{volumes['icv_mm3'].iloc[0] / 1000:.0f}"),
    ]
