"""Memory that is not there is told in one line."""

import pytest
import torch

from pmrpipe.base.device import memory_told
from pmrpipe.base.errors import WorkError


def test_what_was_asked_for_and_what_needs_less_are_in_the_line():
    with pytest.raises(WorkError) as told, memory_told("sub-01 to sub-02", "raise network_mm"):
        torch.empty(2**50)  # four petabytes
    assert str(told.value) == (
        "sub-01 to sub-02: ran out of memory, asking for 4503599.6 GB; raise network_mm"
    )


def test_the_words_of_a_gpu_are_understood():
    words = "CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0 has a total capacity of 10 GiB"
    with pytest.raises(WorkError) as told, memory_told("a", "b"):
        raise torch.OutOfMemoryError(words)
    assert "asking for 20.00 GiB" in str(told.value)


def test_another_error_stays_as_it_is():
    with pytest.raises(RuntimeError, match="shapes"), memory_told("a", "b"):
        raise RuntimeError("shapes differ")
