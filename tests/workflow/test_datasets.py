"""The whole chain on miniature copies of datasets as distributed, made from the tiny cohort."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import yaml

from pmrpipe.base.files import read_tsv
from pmrpipe.study.labels import read_label_table

from .conftest import Workflow

SMALL = {
    "grid_mm": 4, "network_mm": 8, "preprocessing": "whole", "device": "cpu",
    "methods": ["affine", "pmr"],
    "training": {"max_steps": 4, "validate_every": 2}, "seeds": {"pmr": [1]}, "refine": {"pmr": 2},
}  # fmt: skip


def relabelled(dseg: np.ndarray, dataset: str) -> np.ndarray:
    """Label numbers of the dataset: each region's numbers for its labels, in turn."""
    ours, theirs = read_label_table("embedded"), read_label_table(dataset)
    out = np.zeros_like(dseg)
    for region, labels in ours.groupby("region")["index"]:
        numbers = theirs.loc[theirs["region"] == region, "index"].to_numpy()
        for n, label in enumerate(labels if len(numbers) else ()):
            out[dseg == label] = numbers[n % len(numbers)]
    return out


def brains(tiny: Workflow, dataset: str):
    """Brain and labels of each tiny subject on its native grid."""
    for number in range(1, 5):
        key = f"sub-{number:02d}"
        brain = nib.load(tiny.folder / f"results/tiny/{key}/anat/{key}_desc-brain_T1w.nii.gz")
        truth = tiny.folder / f"data/tiny/derivatives/truth/{key}/anat/{key}_dseg.nii.gz"
        dseg = np.asarray(nib.load(truth).dataobj).astype(np.int16)
        yield number, brain, nib.Nifti1Image(relabelled(dseg, dataset), brain.affine)


def analyze(image: nib.Nifti1Image, path: Path) -> None:
    """Analyze 7.5 as LONI writes it: axes along LAS, and no word of it in the header."""
    own = nib.io_orientation(image.affine)
    there = nib.orientations.ornt_transform(own, nib.orientations.axcodes2ornt("LAS"))
    turned = image.as_reoriented(there)
    data = np.asarray(turned.dataobj)
    header = nib.AnalyzeImage(np.round(data).astype(np.int16), None).header
    header.set_zooms(turned.header.get_zooms()[:3])
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.AnalyzeImage(np.round(data).astype(np.int16), None, header).to_filename(path)


def configured(workflow: Workflow, name: str, root: Path, **changes: object) -> list[str]:
    content = yaml.safe_load((workflow.folder / f"config/{name}.yaml").read_text())
    path = workflow.folder / "config" / "miniature.yaml"
    path.write_text(yaml.safe_dump(content | SMALL | {"root": str(root)} | changes))
    return ["--configfile", "config/miniature.yaml"]


@pytest.mark.slow
def test_lpba40_to_table_1(workflow: Workflow, tiny: Workflow, tmp_path: Path) -> None:
    root = tmp_path / "LPBA40"
    for number, brain, dseg in brains(tiny, "lpba40"):
        stem = root / f"S{number:02d}" / f"S{number:02d}.delineation"
        analyze(brain, Path(f"{stem}.skullstripped.hdr"))
        analyze(dseg, Path(f"{stem}.structure.label.hdr"))
    split = {"train": ["S01", "S02"], "test": ["S03", "S04"]}
    methods = ["affine", "utilzreg", "pmr"]
    words = configured(
        workflow, "lpba40", root, subjects=["S{01..04}"], split=split, methods=methods
    )
    workflow.run("table1", *words)
    score = workflow.folder / "results/lpba40/score"
    table = read_tsv(score / "table1.tsv")
    ours = table[table["source"] == "pmrpipe (lpba40)"].set_index("method")
    assert list(ours.index) == ["affine", "utilzreg", "pmr", "pmr_seed-1", "pmr_refine-2"]
    assert ours.loc["utilzreg", "putamen"] > 0.3
    (theirs,) = table[table["method"] == "UtilzReg"]["source"]
    assert theirs == "published (LPBA40)"
    assert (table["source"] == "published (LPBA40)").sum() == 6
    # Left stays left: mirrored brains would still overlap, but far less.
    assert ours.loc["affine", "putamen"] > 0.3
    labels = read_tsv(score / "affine/by_label.tsv")
    assert labels["label"].between(21, 166).all()
    assert "Left" in labels["name"].iloc[0]
    seeds = read_tsv(score / "seeds.tsv").set_index("region")
    assert seeds.loc["all", "seeds"] == 2
    train = score.parent / "train"
    one, other = (train / name / "weights.safetensors" for name in ("pmr", "pmr_seed-1"))
    assert one.read_bytes() != other.read_bytes()
    assert not (train / "pmr_refine-2").exists()
    text = workflow.run("ablation", *words, check=False)
    assert "needs pmr-concat, pmr-last; add them to the key `methods`" in text


@pytest.mark.slow
def test_mindboggle101_to_table_2(workflow: Workflow, tiny: Workflow, tmp_path: Path) -> None:
    root = tmp_path / "MindBoggle101"
    names = ["NKI-RS-22-1", "NKI-TRT-20-1", "OASIS-TRT-20-1", "OASIS-TRT-20-2"]
    for (_, brain, dseg), name in zip(brains(tiny, "mindboggle101"), names, strict=True):
        folder = root / f"{name.rsplit('-', 1)[0]}_volumes" / name
        folder.mkdir(parents=True)
        nib.save(brain, folder / "t1weighted_brain.nii.gz")
        nib.save(dseg, folder / "labels.DKT31.manual.nii.gz")
    split = {"train": names[:2], "test": names[2:]}
    words = configured(
        workflow, "mindboggle101", root, subjects=names, split=split, seeds={}, refine={}
    )
    workflow.run("table2", *words)
    table = read_tsv(workflow.folder / "results/mindboggle101/score/table2.tsv")
    assert table["method"].tolist() == ["affine", "pmr"]
    assert (table.iloc[0, 2:].astype(float) > 0.2).all()


def test_half_a_download_ends_before_anything_runs(workflow: Workflow, tmp_path: Path) -> None:
    (tmp_path / "S01").mkdir()
    (tmp_path / "S01" / "S01.delineation.skullstripped.hdr").touch()
    text = workflow.run(*configured(workflow, "lpba40", tmp_path, seeds={}), check=False)
    assert "holds no {subject}/{subject}.delineation.skullstripped.hdr" in text
    assert "39 of 40 subjects (sub-S02, sub-S03" in text
    assert "docs/datasets.md" in text
    assert not (workflow.folder / "results").exists()
