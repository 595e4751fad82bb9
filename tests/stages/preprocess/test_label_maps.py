"""Labels go from native to the template grid in one resampling."""

from __future__ import annotations

import numpy as np
import pytest

from pmrpipe.base.errors import WorkError
from pmrpipe.stages.preprocess.labels import to_template


@pytest.mark.parametrize("interpolation", ["nearest", "genericLabel"])
def test_labels_come_home(subject, template, interpolation):
    labels = to_template(subject.labels, subject.matrix, template.grid, interpolation)
    assert labels.dtype == np.int32
    assert set(np.unique(labels)) == {0, 1, 2, 3}
    expected = sum((template.data > level).astype(int) for level in (0.1, 0.4, 0.55))
    for label in (1, 2, 3):
        a, b = labels == label, expected == label
        assert 2 * (a & b).sum() / (a.sum() + b.sum()) > 0.7
    assert ((labels > 0) == (expected > 0)).mean() > 0.98


def test_labels_outside_the_grid(subject, template):
    away = subject.matrix.copy()
    away[:3, 3] += 500
    with pytest.raises(WorkError, match=r"a\.nii: has no label"):
        to_template(subject.labels, away, template.grid, name="a.nii")
