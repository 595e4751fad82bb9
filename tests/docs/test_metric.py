"""docs/how-to/metric.md, followed: a metric in one entry appears in every place."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pmrpipe.base.files import read_tsv

from .clone import cloned
from .pages import DOCS, REPO

_SCORED = """
import sys
from pathlib import Path
from pmrpipe.stages.report.page import build_report
from tests.docs.generated import metric_table
from tests.helpers.synthetic_study import LABELS, METHODS, make_study

results = make_study(Path(sys.argv[1]), methods={"affine": 0, "syn": 0.75}, pictures=False)
build_report(results, results.report, methods=METHODS, title="With a metric", label_table=LABELS)
print(metric_table())
"""


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small study scored and reported by a copy of the package with the metric of the page."""
    clone = cloned(DOCS / "how-to" / "metric.md", tmp_path_factory.mktemp("clone"))
    folder = tmp_path_factory.mktemp("study")
    paths = os.pathsep.join([str(clone / "src"), str(REPO)])
    done = subprocess.run(
        [sys.executable, "-c", _SCORED, str(folder)],
        env={**os.environ, "PYTHONPATH": paths}, cwd=clone, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (folder / "manual.md").write_text(done.stdout, encoding="utf-8")
    return folder


def test_it_is_the_last_column_of_the_pairs(study: Path) -> None:
    by_pair = read_tsv(study / "score" / "syn" / "by_pair.tsv")
    assert by_pair.columns[-1] == "displacement_mm"
    assert (by_pair["displacement_mm"] > 1).all()
    affine = read_tsv(study / "score" / "affine" / "by_pair.tsv")
    assert (affine["displacement_mm"] == 0).all()


def test_the_summary_has_its_mean_over_pairs(study: Path) -> None:
    summary = read_tsv(study / "score" / "summary.tsv").set_index(["method", "region"])
    by_pair = read_tsv(study / "score" / "syn" / "by_pair.tsv")
    mean = pytest.approx(by_pair["displacement_mm"].mean(), rel=1e-5)
    assert summary.columns[-1] == "displacement_mm"
    assert summary.loc[("syn", "all"), "displacement_mm"] == mean


def test_methods_are_compared_in_it(study: Path) -> None:
    comparison = read_tsv(study / "score" / "comparison.tsv")
    parts = [f"displacement_mm_{part}" for part in ("low", "difference", "high")]
    low, difference, high = comparison.loc[0, parts]
    assert 1 < low < difference < high
    assert comparison.columns[-1] == "displacement_mm_significant"


def test_the_page_shows_it(study: Path) -> None:
    page = (study / "report" / "index.html").read_text(encoding="utf-8")
    summary, paired = page.split("<h3>Paired differences</h3>")
    assert '<button type="button">Displacement</button><small>mm' in summary
    assert '<button type="button">Displacement</button><small>mm' in paired
    assert "Accuracy against displacement" in page
    assert "; displacement is the mean length of the displacement in the fixed brain." in page
    assert (study / "report" / "figures" / "dice-displacement.png").exists()


def test_the_manual_names_it(study: Path) -> None:
    manual = (study / "manual.md").read_text(encoding="utf-8")
    row = "| `displacement_mm` | Displacement, mm |  | yes | 1/\\|M\\| · Σ over x∈M of \\|u(x)\\| |"
    assert row in manual
