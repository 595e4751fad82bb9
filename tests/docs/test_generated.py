"""Tables in the documentation that come from the code are those of the code."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from .generated import GENERATED, floors
from .pages import DOCS, REPO, prose


@pytest.mark.parametrize("page", GENERATED, ids=lambda page: page.name)
def test_a_generated_table_is_up_to_date(page: Path) -> None:
    assert page.read_text(encoding="utf-8") == GENERATED[page]()


def test_every_package_has_a_floor() -> None:
    named = " ".join(floors()).replace("pmrpipe.", "").split()
    folders = {path.parent.name for path in (REPO / "src" / "pmrpipe").glob("*/__init__.py")}
    assert folders <= set(named)


def _table(page: Path, heading: str) -> dict[str, list[str]]:
    """First column: the other cells, of the first table below a text."""
    lines = prose(page).partition(heading)[2].splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("|"))
    rows: dict[str, list[str]] = {}
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        first, *others = (cell.strip().strip("*` ") for cell in line.strip("|").split("|"))
        rows[first] = others
    return rows


PEERS = {
    "affine": ("affine", "affine alone"),
    "syn": ("ANTs SyN (antspyx, as `syn`)", "ANTs SyN"),
    "fireants": ("FireANTs 1.5.0 (greedy, CC 5, scales 4-2-1, 200-100-50)", "FireANTs"),
    "pmr-plus+refine-20": (
        "pmr-plus`, refined** (what `pmrpipe register` does)",
        "pmrpipe register",
    ),
    "pmr-plus+refine-40-e0.5": (
        "pmr-plus`, refined with `--accurate",
        "pmrpipe register --accurate",
    ),
    "convexadam": ("ConvexAdam 0.2.0", None),
    "pmr-plus": ("pmr-plus", "pmrpipe register --refine 0"),
}


def test_the_table_of_peers_and_that_of_the_readme_are_the_means_of_the_rows() -> None:
    rows = pd.read_csv(DOCS / "peers.tsv", sep="\t")
    numbers = ["dice", "folding_percent", "strain", "sdlogj", "seconds"]
    means = rows.groupby("method")[numbers].mean()
    results = _table(DOCS / "results.md", "## 1.")
    readme = _table(REPO / "README.md", "On ten pairs of real brains")
    assert set(means.index) == set(PEERS)
    assert set(readme) == {name for _, name in PEERS.values() if name}
    for method, (long, short) in PEERS.items():
        dice, folding, strain, sdlogj, seconds = means.loc[method]
        cells = [float(cell or "nan") for cell in results[long]]
        told = [round(dice, 3), round(folding, 3), round(strain, 2), round(sdlogj, 2)]
        assert cells[:4] == pytest.approx(told, abs=1e-9, nan_ok=True), method
        assert cells[4] == pytest.approx(seconds, rel=0.005, abs=0.06), method
        if short:
            assert readme[short] == [results[long][n] for n in (0, 2, 3, 4)]


def test_the_table_at_equal_smoothness_is_the_means_of_the_rows() -> None:
    rows = pd.read_csv(DOCS / "frontier.tsv", sep="\t")
    numbers = ["dice", "hd95_mm", "strain", "sdlogj", "ndv_percent"]
    means = rows.groupby(["sweep", "setting"], sort=False)[numbers].mean().to_numpy()
    assert (rows.groupby(["sweep", "setting"]).size() == 10).all()
    lines = prose(DOCS / "results.md").partition("### At equal smoothness")[2].splitlines()
    table = [line for line in lines if line.startswith("|")][2 : 2 + len(means)]
    told = [[float(cell) for cell in line.strip("|").split("|")[2:]] for line in table]
    assert np.abs(np.array(told) - means).max(0) == pytest.approx(0, abs=6e-3)
    assert np.abs(np.array(told) - means)[:, [0, 2, 3]].max() < 6e-4


def test_the_table_of_the_papers_methods_is_that_of_the_summary() -> None:
    rows = pd.read_csv(DOCS / "table1_malf.tsv", sep="\t").set_index(["method", "region"])
    table = _table(DOCS / "results.md", "## 2.")
    regions = [
        "frontal",
        "parietal",
        "occipital",
        "temporal",
        "cingulate",
        "putamen",
        "hippocampus",
    ]
    assert len(table) == len(rows.groupby(level="method"))
    for name, cells in table.items():
        method = name.split(" ")[0]
        whole = rows.loc[(method, "all")]
        interval = f"{whole.dice_mean:.3f} ({whole.dice_low:.3f} to {whole.dice_high:.3f})"
        assert cells[0] == interval
        assert cells[1:8] == [f"{rows.loc[(method, r)].dice_mean:.3f}" for r in regions]
        assert cells[8:10] == [f"{whole.folding_percent:.3f}", f"{whole.sdlogj:.3f}"]
