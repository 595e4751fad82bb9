"""Calibration against the true warps: a registration whose error is known."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import spearmanr

from pmrpipe.images.transforms import write_affine, write_field
from pmrpipe.images.volume import write_volume
from pmrpipe.study.config import parse
from pmrpipe.study.space import template_brain, template_grid
from pmrpipe.workflow.plan import Plan

PATH = Path(__file__).resolve().parents[2] / "benchmarks" / "calibration.py"
MM, PAIR = 8.0, ("sub-03", "sub-04")
SIGMA = 0.5


@pytest.fixture(scope="module")
def benchmark():
    spec = importlib.util.spec_from_file_location("calibration", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def scans(benchmark):
    """True shape and affine of each scan; the affine's estimate is a little off."""
    off = np.eye(4)
    off[:3, 3] = 1, -2, 0.5
    shapes = {key: benchmark.true_shape(2019, int(key[-2:]), 4.0) for key in PAIR}
    return {key: (shape, shape.matrix @ off) for key, shape in shapes.items()}


def test_the_true_displacement_leads_to_the_same_anatomy(benchmark, scans):
    moving, fixed = (scans[key] for key in PAIR)
    anatomy = np.random.default_rng(0).uniform(-40, 40, (3, 500)).astype(np.float32)
    here, there = (
        benchmark.transform_points(np.linalg.inv(affine), shape.to_subject(anatomy))
        for shape, affine in (fixed, moving)
    )
    carried = here + benchmark.true_displacement(here, moving, fixed)
    assert np.linalg.norm(there - here, axis=0).mean() > 2
    assert np.linalg.norm(carried - there, axis=0).max() < 0.1


def test_normal_errors_are_covered_as_often_as_promised(benchmark):
    error = np.linalg.norm(np.random.default_rng(0).normal(0, SIGMA, (3, 200_000)), axis=0)
    nearly = np.linspace(0.999, 1.001, error.size)
    covered = benchmark.coverage(error, np.sqrt(3) * SIGMA * nearly)
    for k, share in benchmark.NOMINAL.items():
        assert covered[f"within_{k}sd"] == pytest.approx(share, abs=3e-3)
    assert covered["factor"] == pytest.approx(1, abs=0.01)
    half = benchmark.coverage(error, np.sqrt(3) * SIGMA / 2 * nearly)
    assert half["factor"] == pytest.approx(2, abs=0.02)
    assert half["within_2sd"] == covered["within_1sd"]


def test_a_map_that_knows_where_the_errors_are_ranks_them(benchmark):
    generator = np.random.default_rng(0)
    deviation = generator.uniform(0.5, 2, 50_000)
    error = deviation * np.linalg.norm(generator.normal(0, 1 / np.sqrt(3), (3, 50_000)), axis=0)
    knows, not_so = (benchmark.coverage(error, d) for d in (deviation, deviation[::-1].copy()))
    assert knows["rank"] == pytest.approx(spearmanr(error, deviation).statistic)
    assert knows["rank"] > 0.6 > 0.02 > abs(not_so["rank"])
    assert knows["most_mm"] / knows["least_mm"] == pytest.approx(1.925 / 0.575, rel=0.02)
    assert not_so["most_mm"] / not_so["least_mm"] == pytest.approx(1, rel=0.05)


def test_a_study_whose_error_is_known(benchmark, scans, tmp_path):
    keys = {"cohort": "known", "reader": "embedded", "root": str(tmp_path / "data")}
    keys |= {"results": str(tmp_path), "grid_mm": MM, "methods": ["affine", "pmr"]}
    keys |= {"embedded": {"subjects": 4, "mm": 4.0}, "uncertainty": 5}
    split = {"train": ["01", "02"], "test": ["03", "04"]}
    plan = Plan(parse(keys | {"split": split, "weights": {"pmr": str(tmp_path)}}))
    results, grid, brain = plan.results, template_grid(MM), template_brain(MM)
    points = np.indices(grid.shape, dtype=np.float32).reshape(3, -1)
    points = benchmark.transform_points(grid.affine, points)
    truth = benchmark.true_displacement(points, *(scans[key] for key in PAIR))
    noise = np.random.default_rng(1).normal(0, SIGMA, truth.shape)
    field = (truth + noise).T.reshape(*grid.shape, 3).astype(np.float32)
    for key in PAIR:
        write_affine(results.affine(key), scans[key][1])
        write_volume(results.preproc(key), brain.data, brain.affine, np.float32)
    write_field(results.field("pmr", *PAIR), field, grid)
    # Hardly different, so that there are ranks.
    slightly = np.linspace(0.999, 1.001, brain.data.size).reshape(brain.data.shape)
    deviation = np.where(brain.data > 0, np.sqrt(3) * SIGMA, 0) * slightly
    write_volume(results.uncertainty("pmr", *PAIR), deviation, grid.affine, np.float32)
    rows = benchmark.table(plan, every=1).set_index("method")
    assert list(rows.index) == ["pmr", "nominal"]
    assert rows.loc["pmr", "pairs"] == 1
    for k, share in benchmark.NOMINAL.items():
        assert rows.loc["pmr", f"within_{k}sd"] == pytest.approx(share, abs=0.03)
    assert rows.loc["pmr", "factor"] == pytest.approx(1, abs=0.05)
