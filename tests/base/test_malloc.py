"""Freed blocks are used again."""

from __future__ import annotations

import subprocess
import sys

import pytest

# Pages that the kernel had to bring in while one block was taken, filled and freed ten times.
_FAULTS = """
import resource, sys
import torch
from pmrpipe.base.malloc import keep_freed_memory
if sys.argv[1] == "keep" and not keep_freed_memory(*map(int, sys.argv[2:])):
    sys.exit(3)
for _ in range(20):
    torch.ones(int(20e6))
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    torch.ones(int(20e6))
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(*words: str) -> int:
    done = subprocess.run(
        [sys.executable, "-c", _FAULTS, *words], capture_output=True, text=True, check=False
    )
    if done.returncode == 3:
        pytest.skip("this C library has no mallopt")
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


def test_freed_blocks_are_not_given_back():
    plain = faults("plain")
    if plain < 1000:
        pytest.skip("this allocator keeps big blocks by itself")
    assert faults("keep") < plain / 50
    assert faults("keep", "40") > plain / 2, "80 MB are more than the 40 that are kept"
