"""Accuracy at a smoothness: between neighbours, never beyond the ends; a run that goes on."""

import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.helpers.packs import write_pack

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "frontier.py"


def frontier(*words):
    command = [sys.executable, str(SCRIPT), *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def rows(tmp_path):
    """Three settings of a method, on two pairs each; the last is rougher than the second."""
    path = tmp_path / "rows.tsv"
    table = pd.DataFrame(
        {
            "sweep": "own",
            "setting": [1.0, 1.0, 2.0, 2.0, 3.0, 3.0],
            "moving": ["a", "b"] * 3,
            "fixed": ["b", "a"] * 3,
            "dice": [0.5, 0.7, 0.4, 0.4, 0.1, 0.1],
            "strain": [0.4, 0.4, 0.1, 0.3, 0.3, 0.3],
            "folding_percent": [0] * 6,
        }
    )
    table.to_csv(path, sep="\t", index=False)
    return path


@pytest.mark.parametrize(("strain", "dice"), [(0.3, 0.5), (0.2, 0.4), (0.4, 0.6), (0.5, math.nan)])
def test_what_a_method_reaches_lies_between_its_settings(rows, strain, dice):
    line = frontier("table", rows, "--at", f"strain={strain}").splitlines()[-1]
    assert line == f"own at strain={strain}: Dice {dice:.4f}"


def test_a_run_writes_a_row_for_each_pair_and_goes_on(tmp_path):
    pack, out = write_pack(tmp_path / "arrays.safetensors"), tmp_path / "rows.tsv"
    words = ("run", pack, "sub-01", "sub-02", "--out", out, "--sweep", "pmr-plus", "--threads", "1")
    frontier(*words)
    table = pd.read_csv(out, sep="\t")
    assert list(zip(table["moving"], table["fixed"], strict=True)) == [
        ("sub-01", "sub-02"),
        ("sub-02", "sub-01"),
    ]
    assert table["dice"].between(0.3, 1).all()
    assert table["strain"].gt(0).all()
    assert frontier(*words) == ""
    assert len(pd.read_csv(out, sep="\t")) == 2


PEER = """#!{python}
import json, sys
import nibabel as nib
import numpy as np

name, moving, fixed, out = sys.argv[3:7]
setting = float(sys.argv[sys.argv.index("--setting") + 1])
image = nib.load(fixed)
field = np.zeros((*image.shape, 1, 3), np.float32)
x = np.arange(image.shape[0]) * image.affine[0, 0] + image.affine[0, 3]
# LPS: a stretch along x by the setting.
field[..., 0, 0] = -setting * x[:, None, None]
made = nib.Nifti1Image(field, image.affine)
made.header.set_intent("vector")
nib.save(made, out)
print(json.dumps({{"seconds": 1.0}}))
"""


def test_a_peer_is_swept_through_files_in_its_own_environment(tmp_path):
    """A peer that stretches along x by its setting: the strain is the logarithm of that."""
    python, out = tmp_path / "python", tmp_path / "rows.tsv"
    python.write_text(PEER.format(python=sys.executable))
    python.chmod(0o755)
    pack = write_pack(tmp_path / "arrays.safetensors")
    words = ("run", pack, "sub-01", "sub-02", "--out", out, "--sweep", "convexadam")
    frontier(*words, "--threads", "1", "--peer-python", python)
    table = pd.read_csv(out, sep="\t")
    assert len(table) == 5 * 2
    assert table["strain"].to_numpy() == pytest.approx(np.log1p(table["setting"]), rel=1e-3)
    assert table["sdlogj"].max() < 1e-3
    some = tmp_path / "some.tsv"
    words = (*words[:5], some, *words[6:], "--values", "0.5", "0.2", "--pairs", "1")
    frontier(*words, "--threads", "1", "--peer-python", python)
    assert pd.read_csv(some, sep="\t")["setting"].to_list() == [0.5, 0.2]


def test_the_docs_say_what_the_command_says_at_equal_smoothness():
    docs = SCRIPT.parents[1] / "docs"
    page = (docs / "results.md").read_text(encoding="utf-8").partition("Between neighbouring")[2]
    cells = [line.strip("| ").split(" | ") for line in page.splitlines() if line.startswith("| ")]
    told = {words.lower().replace(" ", "="): dice for _, words, _, dice in cells[1:5]}
    assert len(told) == 4
    at = [word for words in told for word in ("--at", words)]
    out = frontier("table", docs / "frontier.tsv", *at)
    for words, dice in told.items():
        rest = out.partition(f"refined to 1 mm at {words}: Dice ")[2]
        assert float(rest.split()[0]) == pytest.approx(float(dice), abs=6e-4)
