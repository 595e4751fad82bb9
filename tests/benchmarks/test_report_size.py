"""A large study's page stays small, and is built in a minute."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "report.py"


def measured(*words: str) -> dict[str, float]:
    command = [sys.executable, SCRIPT, "--json", *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
def test_forty_subjects_and_six_methods():
    sizes = measured()
    assert (sizes["pairs"], sizes["methods"]) == (1560, 6)
    # A busy machine stretches the clock.
    assert min(sizes["seconds"], sizes["processor_seconds"]) < 60
    assert sizes["memory_mb"] < 2000
    assert sizes["page_mb"] < 15


@pytest.mark.slow
def test_the_measurement_runs_on_a_small_study():
    sizes = measured("--subjects", "4", "--methods", "2", "--mm", "8")
    assert sizes["pairs"] == 12
    assert 0.1 < sizes["page_mb"] < 15
