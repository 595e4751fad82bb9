"""The script for a GPU runs on a CPU too, so that nothing in it is new on the day of the GPU."""

import csv
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.packs import write_pack

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "gpu.py"


def run(*words):
    command = [sys.executable, str(SCRIPT), *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    folder = tmp_path_factory.mktemp("gpu")
    whole = write_pack(folder / "arrays.safetensors")
    done = run("pack", whole, "sub-01", "sub-02", folder / "pair.safetensors")
    assert done.returncode == 0, done.stderr
    return folder / "pair.safetensors"


def test_every_part_writes_its_rows(pair, tmp_path):
    out = tmp_path / "gpu.tsv"
    words = ("--device", "cpu", "--mm", "1", "--methods", "pmr-plus", "affine")
    done = run("run", pair, out, *words)
    assert done.returncode == 0, done.stderr
    with out.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream, delimiter="\t"))
    measured = {row["what"] for row in rows}
    assert {"copy", "product", "training step", "warp", "composition"} <= measured
    assert {"pair, network alone", "pair, refined to 1 mm", "pair by the method"} <= measured
    same = [row for row in rows if row["what"] == "field against the CPU's, alone"]
    assert float(same[0]["error_max_voxel"]) == 0
    assert all(float(row["seconds"]) > 0 for row in rows if row["what"] == "training step")
    assert "| copy |" in run("table", out).stdout


def test_minutes_that_are_over_keep_what_was_measured(pair, tmp_path):
    out = tmp_path / "gpu.tsv"
    done = run("run", pair, out, "--device", "cpu", "--minutes", "0")
    assert done.returncode == 1
    assert "holds the rows" in done.stderr
    assert len(out.read_text(encoding="utf-8").splitlines()) > 1


def test_no_gpu_is_one_line(pair, tmp_path):
    import torch

    if torch.cuda.is_available():
        pytest.skip("a GPU is visible")
    done = run("run", pair, tmp_path / "gpu.tsv")
    assert done.returncode == 1
    assert done.stderr.strip() == (
        "pmrpipe: device: no GPU is visible (use --device cpu to try the script)"
    )
