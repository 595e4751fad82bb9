"""Quality of scans: measures against known answers, outliers, the page and its figures."""

from __future__ import annotations

from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

from pmrpipe.base.files import read_json, write_json
from pmrpipe.cli import main
from pmrpipe.images.transforms import write_affine
from pmrpipe.images.volume import Grid, Volume, read_image, write_volume
from pmrpipe.stages.preprocess.space import run as write_space
from pmrpipe.stages.qc.figures import upright
from pmrpipe.stages.qc.measures import (
    contrast,
    core_correlation,
    doubts,
    judged,
    measure,
    measure_cover,
    noise,
)
from pmrpipe.study.keys import QC_FIGURES
from pmrpipe.study.options.preprocessing import Gridded
from pmrpipe.study.paths import Results
from pmrpipe.study.space import template_brain

QUALITY = {"mask_dice": 0.95, "correlation": 0.7, "attempts": 1, "scales": [1.1, 1.0, 0.9]}


def cube(edge=20, size=40, spacing=(1.0, 2.0, 0.5), start=10) -> Volume:
    mask = np.zeros((size,) * 3, bool)
    mask[start : start + edge, start : start + edge, start : start + edge] = True
    return Volume(mask, np.diag([*spacing, 1.0]))


def test_volume_and_border_of_a_cube():
    mask = cube()
    measures = measure(Volume(mask.data * 100.0, mask.affine), mask, QUALITY)
    assert measures["brain_ml"] == pytest.approx(20**3 / 1000)
    assert measures["border_percent"] == 0
    cut = cube(start=20)
    measures = measure(Volume(cut.data * 100.0, cut.affine), cut, QUALITY)
    assert measures["border_percent"] == pytest.approx(100 * (20**3 - 19**3) / 20**3)


def test_noise_of_a_flat_brain_is_found():
    mask = cube(edge=36, start=2)
    data = 100 + np.random.default_rng(0).normal(0, 2.5, mask.shape)
    assert noise(data, mask.data) == pytest.approx(2.5, rel=0.03)
    measures = measure(Volume(data * mask.data, mask.affine), mask, QUALITY)
    assert measures["snr"] == pytest.approx(100 / 2.5, rel=0.04)


def test_a_ramp_is_no_noise():
    mask = cube(edge=36, start=2)
    assert noise(np.add.outer(np.arange(40.0), np.ones((40, 40))), mask.data) < 1e-5


def test_contrast_is_that_of_a_known_distribution():
    white = np.zeros((30, 30, 30))
    white[5:25, 5:25, 5:25] = np.clip(np.random.default_rng(0).normal(0.5, 0.1, (20, 20, 20)), 0, 1)
    assert contrast(white) == pytest.approx(1.349 * 0.1, rel=0.05)


def test_a_person_reads_value_and_limit():
    """A newborn's size and one hot voxel are told; an adult's clear brain is not."""
    mask = cube(edge=36, start=2, spacing=(3.0, 3.0, 3.0))
    data = np.where(mask.data, np.random.default_rng(0).uniform(80, 120, mask.shape), 0)
    brain = Volume(data, mask.affine)
    assert doubts(measure(brain, mask, QUALITY, data / 120 * mask.data)) == []
    small = {**QUALITY, "scales": [0.62, 0.56, 0.55]}
    squeezed = np.where(mask.data, 0.5 + data * 1e-5, 0)
    size, grey = doubts(measure(brain, mask, small, squeezed))
    assert "0.55 of the template's size" in size
    assert "squeezed" in grey


@pytest.mark.parametrize(
    ("kind", "low", "high"), [("itself", 0.99, 1), ("inverted", -1, -0.99), ("noise", -0.1, 0.1)]
)
def test_the_edge_of_a_brain_does_not_make_noise_like_the_template(kind, low, high):
    brain = template_brain(4.0)
    noise = np.random.default_rng(0).random(brain.shape).astype(np.float32)
    other = {"itself": brain.data, "inverted": 1.1 - brain.data, "noise": 0.1 + noise}[kind]
    white = np.where(brain.data > 0, other, 0)
    assert low <= core_correlation(white, brain) <= high
    sentences = doubts({"core_correlation": core_correlation(white, brain)})
    assert bool(sentences) is (kind != "itself")
    assert np.isnan(core_correlation(white, None))


def cohort(scans=40) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    return pd.DataFrame(
        {
            "key": [f"sub-{n:02d}" for n in range(scans)],
            "brain_ml": rng.uniform(1300, 1500, scans),
            "border_percent": np.zeros(scans),
            "mask_dice": rng.uniform(0.94, 0.96, scans),
            "correlation": rng.uniform(0.65, 0.75, scans),
            "attempts": 1,
            "snr": rng.uniform(27, 33, scans),
        }
    )


def test_a_cohort_without_outliers_has_none():
    assert judged(cohort())["outlier"].isna().all()
    assert judged(cohort().assign(snr=30.0))["outlier"].isna().all()


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("brain_ml", 700, "brain_ml low"),
        ("brain_ml", 1900, "brain_ml high"),
        ("mask_dice", 0.9, "mask_dice low"),
        ("correlation", 0.4, "correlation low"),
        ("snr", 8, "snr low"),
        ("snr", 99, None),
        ("border_percent", 2, "border_percent high"),
    ],
)
def test_each_doubt_is_said(name, value, said):
    table = cohort()
    table.loc[3, name] = value
    judgement = judged(table)
    assert judgement["outlier"].drop(3).isna().all()
    assert judgement.loc[3, "outlier"] == said if said else pd.isna(judgement.loc[3, "outlier"])


def test_reasons_are_sentences_of_the_bounds_and_of_the_cohort():
    table = cohort()
    table.loc[3, ["brain_ml", "snr"]] = 700, 8
    reasons = judged(table)["reasons"]
    assert reasons.drop(3).isna().all()
    assert "holds 700 ml, an adult's brain 800 to 2200" in reasons[3]
    assert "its signal to noise is 8, far from that of the other scans" in reasons[3]
    assert "brain volume" not in reasons[3]


def test_few_scans_are_judged_by_the_bounds_alone():
    table = cohort(6)
    table.loc[0, "brain_ml"] = 1900
    assert judged(table)["outlier"].isna().all()
    table.loc[0, "brain_ml"] = 300
    assert judged(table).loc[0, "outlier"] == "brain_ml low"


def test_a_turned_image_stands_upright():
    rng = np.random.default_rng(2)
    data = rng.random((20, 24, 22)).astype(np.float32)
    affine = np.diag([2.0, 2, 2, 1])
    straight = upright(Volume(data, affine))
    np.testing.assert_allclose(straight.data[:20, :24, :22], data, atol=1e-5)
    # The same image, its axes running P, I, L.
    turned = np.zeros((4, 4))
    turned[0, 2], turned[1, 0], turned[2, 1], turned[3, 3] = -2, -2, -2, 1
    moved = data.transpose(1, 2, 0)[::-1, ::-1, ::-1]
    turned[:3, 3] = affine[:3, :3] @ (np.array(data.shape) - 1)
    again = upright(Volume(np.ascontiguousarray(moved), turned))
    np.testing.assert_allclose(again.data, straight.data, atol=1e-5)
    np.testing.assert_allclose(again.affine, straight.affine)


@pytest.fixture
def scan(tmp_path):
    """One preprocessed scan: the template itself, shifted, at 4 mm."""
    results = Results(tmp_path / "results", 4.0)
    write_space(results.template, results.preproc(results.space.key), Gridded(mm=4.0))
    brain = read_image(results.template)
    affine = brain.affine.copy()
    affine[:3, 3] += (10, -5, 3)
    mask = brain.data > 0.3
    write_volume(results.brain("sub-01"), np.where(mask, brain.data, 0), affine)
    write_volume(results.mask("sub-01"), mask, affine)
    write_volume(tmp_path / "t1w.nii.gz", brain.data * 900, affine)
    write_json(results.affine("sub-01").with_suffix(".json"), {"Quality": QUALITY})
    shift = np.eye(4)
    shift[:3, 3] = (10, -5, 3)
    write_affine(results.affine("sub-01"), shift)
    white = read_image(results.preproc(results.space.key))
    write_volume(results.preproc("sub-01"), white.data, white.affine)
    return tmp_path


def test_the_page_is_written_with_its_figures(scan):
    results = Results(scan / "results", 4.0)
    assert main(["qc-template", str(results.root), "--mm", "4"]) == 0
    words = ["qc", str(scan / "t1w.nii.gz"), str(results.root), "--key", "sub-01", "--mm", "4"]
    assert main(words) == 0
    measures = read_json(results.qc_measures("sub-01"))
    assert measures["key"] == "sub-01"
    assert 1000 < measures["brain_ml"] < 2500
    page = results.qc_page("sub-01").read_text(encoding="utf-8")
    figures = [results.qc_figure("sub-01", name) for name in QC_FIGURES]
    for figure in (*figures, results.qc_figure(results.space.key, "template")):
        assert str(figure.relative_to(results.root)) in page
        assert ElementTree.parse(figure).getroot().tag.endswith("svg")
    assert str(scan) not in page
    before = [figure.read_bytes() for figure in figures]
    assert main(words) == 0
    assert [figure.read_bytes() for figure in figures] == before


def test_a_scan_that_was_not_preprocessed_is_named(scan, capsys):
    words = ["qc", str(scan / "t1w.nii.gz"), str(scan / "results"), "--key", "sub-02", "--mm", "4"]
    assert main(words) == 2
    assert "sub-02_desc-brain_T1w.nii.gz: no such file" in capsys.readouterr().err


def test_the_part_of_the_brain_that_a_slab_covers():
    template = cube(edge=20, size=40, spacing=(1.0, 1.0, 1.0), start=10)
    slab = Grid((40, 40, 10), np.diag([1.0, 1.0, 2.0, 1.0]))
    # It begins half a voxel, 1 mm, below its first centre; the brain's planes lie at 10 to 29 mm.
    affine = np.eye(4)
    affine[2, 3] = -16.5
    assert measure_cover(slab, affine, template) == {"cover": pytest.approx(14 / 20)}
    assert measure_cover(template.grid, np.eye(4), template) == {"cover": 1.0}
    assert doubts({"cover": 0.75}) == [
        "the scan holds 75% of the brain's place: outside nothing is known"
    ]


def test_another_contrast_is_judged_by_its_correlation_ratio():
    mask = cube()
    quality = {**QUALITY, "correlation": 0.05, "correlation_ratio": 0.5}
    measures = measure(Volume(mask.data * 100.0, mask.affine), mask, quality)
    assert "correlation" not in measures
    assert measures["correlation_ratio"] == 0.5
    assert not [said for said in doubts(measures | {"brain_ml": 1400}) if "correlat" in said]
    assert "depend on each other by 0.30" in doubts({"correlation_ratio": 0.3})[0]


def test_each_contrast_is_compared_with_its_own():
    rows = [{"key": f"sub-{n:02d}", "snr": 30 + n % 3} for n in range(20)]
    rows += [{"key": f"sub-{n:02d}_T2w", "snr": 8 + n % 3} for n in range(20)]
    rows.append({"key": "sub-20", "snr": 9})
    table = judged(pd.DataFrame(rows))
    assert table.loc[table["outlier"].notna(), "key"].tolist() == ["sub-20"]
