"""Several processes on a CPU train one network (DDP over gloo)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pmrpipe.base.files import read_json, read_tsv
from pmrpipe.images.volume import Grid
from pmrpipe.methods.spec import MethodSpec, spec
from pmrpipe.study.pack import Origin, open_arrays
from pmrpipe.study.pack import pack as write_arrays
from pmrpipe.study.target_pack import pack_targets
from tests.helpers.packs import KEYS, scan

SOURCE = Path(__file__).resolve().parents[3] / "src"
IMITATE = Path(__file__).resolve().parents[2] / "helpers" / "imitate.yaml"


def further_cohort(folder: Path) -> list[str]:
    """Words that name another cohort, of three scans and twice the weight."""
    keys = tuple(f"sub-x{n}" for n in range(3))
    images = {key: scan(10 + n)[0] for n, key in enumerate(keys)}
    path = folder / "other.safetensors"
    write_arrays(images, {}, Grid((24, 20, 28), np.eye(4)), path, origin=Origin("other", keys))
    return ["--cohorts", f"other={path}", "--cohort-weights", "other=2"]


def lessons(pack: Path, folder: Path) -> list[str]:
    """Words that name a teacher's fields of two pairs."""
    grid = open_arrays(pack).grid
    field = np.random.default_rng(0).normal(size=(*grid.shape, 3)).astype(np.float32)
    pairs = [(KEYS[0], KEYS[1]), (KEYS[2], KEYS[0])]
    path = folder / "targets.safetensors"
    pack_targets({pair: lambda: field for pair in pairs}, grid, path, "greedy")
    return ["--targets", str(path)]


def student(small: MethodSpec) -> MethodSpec:
    return spec(str(IMITATE)).model_copy(update={"schedule": small.schedule})


@pytest.mark.slow
@pytest.mark.parametrize("seen", ["own", "cohorts", "targets"])
def test_two_processes_train_together(
    small: MethodSpec, pack: Path, tmp_path: Path, seen: str
) -> None:
    """Twice the pairs a step, one set of files, weights of their own."""
    more = {"cohorts": further_cohort, "targets": lambda folder: lessons(pack, folder)}
    method = tmp_path / "spec.yaml"
    chosen = student(small) if seen == "targets" else small
    method.write_text(chosen.model_dump_json(), encoding="utf-8")
    words = ["--method", str(method), "--train", *KEYS[:3], "--validation", KEYS[3]]
    words += ["--network-mm", "1", "--device", "cpu", "--threads", "1"]
    words += more[seen](tmp_path) if seen in more else []
    environment = {**os.environ, "PYTHONPATH": str(SOURCE), "GLOO_SOCKET_IFNAME": "lo"}
    for devices in (1, 2):
        out = tmp_path / str(devices)
        command = [sys.executable, "-m", "pmrpipe", "train", str(pack), str(out), *words]
        command += ["--devices", str(devices)]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)
        assert done.returncode == 0, done.stderr
        assert done.stderr.count("step 4: objective") == 1
        model = read_json(out / "model.json")
        assert model["devices"] == devices
        assert len(model["cohorts"]) == (2 if seen == "cohorts" else 1)
        assert ("teacher" in model) is (seen == "targets")
        assert read_tsv(out / "history.tsv")["step"].tolist() == [2, 4]
    one, two = ((tmp_path / n / "weights.safetensors").read_bytes() for n in ("1", "2"))
    assert one != two
