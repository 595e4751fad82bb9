"""Maps of local volume: closed forms, and what the table says of whom."""

import numpy as np
import pandas as pd
import pytest

from pmrpipe.base.errors import InputError
from pmrpipe.base.files import read_json, read_tsv, write_tsv
from pmrpipe.images.transforms import write_affine, write_field
from pmrpipe.images.volume import Volume, read_image
from pmrpipe.stages.maps.job import run, smoothed_inside
from pmrpipe.stages.maps.table import gather
from pmrpipe.study.options.mapping import Mapping
from pmrpipe.study.paths import Results

MM, KEY = 8.0, "sub-01"


@pytest.fixture
def results(tmp_path):
    """A scan that is 1.1 times as long along every axis about the origin, field by field."""
    results = Results(tmp_path, MM)
    grid = results.space.grid(MM)
    points = np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), -1)
    world = points @ grid.affine[:3, :3].T + grid.affine[:3, 3]
    write_field(
        results.field("own", KEY, results.space.key), (0.1 * world).astype(np.float32), grid
    )
    write_affine(results.affine(KEY), np.diag([1.2, 1.0, 1.0, 1.0]))
    return results


def options(**more):
    return Mapping(mm=MM, method="own", scan=KEY, **more)


@pytest.mark.parametrize(("with_affine", "volume"), [(False, 1.1**3), (True, 1.1**3 * 1.2)])
def test_a_scan_that_is_larger_by_a_factor_has_its_logarithm_everywhere(
    results, with_affine, volume
):
    run(results, options(with_affine=with_affine))
    image = read_image(results.log_jacobian(KEY))
    inside = results.space.mask(MM).data
    assert np.allclose(image.data[inside], np.log(volume), atol=1e-4)
    assert (image.data[~inside] == 0).all()
    assert read_json(results.log_jacobian(KEY).with_suffix("").with_suffix(".json"))["Units"] == "1"


def test_smoothing_mixes_in_nothing_from_outside_the_mask():
    mask = Volume(np.zeros((20, 20, 20), bool), np.diag([2.0, 2.0, 2.0, 1.0]))
    mask.data[5:15, 5:15, 5:15] = True
    values = np.where(mask.data, 3.0, 1000.0).astype(np.float32)
    assert np.allclose(smoothed_inside(values, mask, 8.0)[mask.data], 3.0, atol=1e-4)


def test_smoothing_has_the_width_that_is_said():
    mask = Volume(np.ones((61, 5, 5), bool), np.eye(4))
    values = np.zeros(mask.data.shape, np.float32)
    values[30] = 1
    profile = smoothed_inside(values, mask, 10.0)[:, 2, 2]
    assert profile[25] == pytest.approx(profile[30] / 2, rel=0.01)


def test_a_method_that_leaves_no_field_is_refused(results):
    results.field("own", KEY, results.space.key).unlink()
    with pytest.raises(InputError, match="no such field"):
        run(results, options())


def test_the_table_joins_files_and_covariates(tmp_path):
    results, table = Results(tmp_path / "results", MM), tmp_path / "participants.tsv"
    write_tsv(table, pd.DataFrame({"participant_id": ["sub-02", "sub-01"], "age": [31, 25]}))
    gather(results, ["sub-01", "sub-02_ses-1"], table)
    rows = read_tsv(results.maps / "maps.tsv")
    assert rows["age"].tolist() == [25, 31]
    assert (results.maps / "mask.nii.gz").exists()
    assert rows["file"][1] == results.log_jacobian("sub-02_ses-1").name
    with pytest.raises(InputError, match="lacks 1 subjects, such as sub-03"):
        gather(results, ["sub-03"], table)


def test_a_covariate_takes_the_name_of_no_column(tmp_path):
    results, table = Results(tmp_path / "results", MM), tmp_path / "participants.tsv"
    write_tsv(table, pd.DataFrame({"participant_id": ["sub-01"], "file": ["a.dcm"], "scan": ["x"]}))
    gather(results, ["sub-01"], table)
    rows = read_tsv(results.maps / "maps.tsv")
    assert list(rows["file"]) == [results.log_jacobian("sub-01").name]
    assert list(rows["file_participants"]) == ["a.dcm"]
