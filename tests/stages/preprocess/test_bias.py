"""N4: most of a smooth multiplicative field is found and divided out."""

import numpy as np
import pytest

from pmrpipe.base.files import read_json
from pmrpipe.images.volume import Volume, read_image
from pmrpipe.stages.preprocess import bias
from pmrpipe.stages.preprocess.bias import without_bias
from pmrpipe.stages.preprocess.brain import run as step
from pmrpipe.study.options.preprocessing import Extraction
from pmrpipe.study.sidecar import sidecar_path


def biased(brain: Volume) -> tuple[np.ndarray, np.ndarray]:
    """The brain under a field that doubles from one end to the other, and the field."""
    x, y, _ = np.meshgrid(*(np.linspace(-1, 1, n) for n in brain.shape), indexing="ij")
    field = np.exp(0.35 * x + 0.2 * y**2).astype(np.float32)
    return brain.data * field, field


def unevenness(data: np.ndarray, brain: Volume, mask: np.ndarray) -> float:
    """Deviation of the logarithm of what multiplies the true brain."""
    return float(np.log(data[mask] / brain.data[mask]).std())


@pytest.mark.slow
def test_a_smooth_field_is_divided_out(template):
    mask = template.data > 0.3
    data, _ = biased(template)
    given = Volume(np.where(mask, data, 0).astype(np.float32), template.affine)
    corrected = without_bias(given, Volume(mask, template.affine))
    assert corrected.dtype == np.float32
    assert (corrected[~mask] == 0).all()
    assert unevenness(corrected, template, mask) < 0.7 * unevenness(given.data, template, mask)
    again = without_bias(given, Volume(mask, template.affine))
    assert np.array_equal(corrected, again)


def test_the_step_says_whether_it_corrected(subject, tmp_path, monkeypatch):
    monkeypatch.setattr(bias, "_CONVERGENCE", {"iters": [3], "tol": 1e-7})
    t1w, _ = subject.write(tmp_path)
    paths = {}
    for n4 in (False, True):
        folder = tmp_path / str(n4)
        folder.mkdir()
        paths[n4] = folder / "brain.nii.gz"
        options = Extraction(state="brain", method="nonzero", n4=n4)
        step(t1w, folder / "mask.nii.gz", paths[n4], options)
        assert read_json(sidecar_path(paths[n4]))["BiasCorrected"] is n4
    plain, corrected = (read_image(path).data for path in paths.values())
    assert ((plain > 0) == (corrected > 0)).all()
    assert not np.array_equal(plain, corrected)
