"""Datasets as their publishers distribute them: real names, half downloads, renamed folders."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from pmrpipe.base.errors import InputError
from pmrpipe.stages.cohort.index import index
from pmrpipe.study.config import Study, parse
from pmrpipe.study.labels import read_label_table

CONFIG = Path(__file__).resolve().parents[3] / "config"


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def lpba40(root: Path, skip: str = "") -> None:
    kinds = [(a, b) for a in ("skullstripped", "structure.label") for b in ("hdr", "img")]
    for number in range(1, 41):
        for kind, ending in kinds:
            name = f"S{number:02d}/S{number:02d}.delineation.{kind}.{ending}"
            if Path(name).name != skip:
                touch(root, name)


def mindboggle(root: Path) -> None:
    groups = {"NKI-RS-22": 22, "NKI-TRT-20": 20, "OASIS-TRT-20": 20, "HLN-12": 12}
    for group, count in groups.items():
        for number in range(1, count + 1):
            folder = f"{group}_volumes/{group}-{number}"
            touch(root, f"{folder}/t1weighted_brain.nii.gz", f"{folder}/labels.DKT31.manual.nii.gz")
            touch(root, f"{folder}/t1weighted_brain.MNI152.nii.gz")


def study(name: str, root: Path, **changes: object) -> Study:
    return parse(
        yaml.safe_load((CONFIG / f"{name}.yaml").read_text()) | {"root": str(root)} | changes
    )


def test_lpba40_as_distributed(tmp_path):
    lpba40(tmp_path)
    cohort = index(study("lpba40", tmp_path))
    assert [len(cohort.of(split)) for split in ("train", "validation", "test")] == [28, 2, 10]
    first = cohort.scans[0]
    assert (first.key, first.orientation, first.brain) == ("sub-S01", "LAS", "nonzero")
    assert first.image == tmp_path / "S01/S01.delineation.skullstripped.hdr"
    assert first.labels == tmp_path / "S01/S01.delineation.structure.label.hdr"


def test_mindboggle101_as_distributed(tmp_path):
    mindboggle(tmp_path)
    cohort = index(study("mindboggle101", tmp_path))
    assert [len(cohort.of(split)) for split in ("train", "validation", "test")] == [40, 2, 20]
    scan = cohort.of("test")[0]
    assert scan.key == "sub-OASISTRT201"
    assert scan.image.parent.name == "OASIS-TRT-20-1"
    assert scan.labels == scan.image.with_name("labels.DKT31.manual.nii.gz")


def test_half_a_download_names_what_is_missing(tmp_path):
    lpba40(tmp_path / "a")
    for name in ("S07", "S31"):
        (tmp_path / "a" / name).rename(tmp_path / "a" / f"gone-{name}")
    with pytest.raises(InputError, match=r"2 of 40 subjects \(sub-S07, sub-S31\).*datasets.md"):
        index(study("lpba40", tmp_path / "a"))
    lpba40(tmp_path / "b", skip="S03.delineation.structure.label.hdr")
    with pytest.raises(InputError, match=r"S03: lacks S03.delineation.structure.label.hdr"):
        index(study("lpba40", tmp_path / "b"))
    lpba40(tmp_path / "c", skip="S03.delineation.skullstripped.img")
    with pytest.raises(InputError, match=r"S03.delineation.skullstripped.img: no such file"):
        index(study("lpba40", tmp_path / "c"))


def test_a_renamed_folder_is_told(tmp_path):
    with pytest.raises(InputError, match="no such folder"):
        index(study("lpba40", tmp_path / "LPBA40"))
    touch(tmp_path, "native/S01.nii")
    with pytest.raises(InputError, match="40 of 40 subjects"):
        index(study("lpba40", tmp_path))


def test_two_files_of_one_subject_are_refused(tmp_path):
    layout = {"t1w": ["*/{subject}.nii"], "subject": "s.*"}
    touch(tmp_path, "a/s-1.nii", "b/s1.nii")
    with pytest.raises(InputError, match="both be the T1w of sub-s1"):
        index(parse({"root": str(tmp_path), "reader": "pattern", "layout": layout}))


def test_an_earlier_pattern_wins(tmp_path):
    layout = {"t1w": ["{subject}_n4.nii", "{subject}.nii"], "subject": "s[0-9]+"}
    touch(tmp_path, "s1.nii", "s2.nii", "s2_n4.nii")
    cohort = index(parse({"root": str(tmp_path), "reader": "pattern", "layout": layout}))
    assert [scan.image.name for scan in cohort.scans] == ["s1.nii", "s2_n4.nii"]


@pytest.mark.parametrize(
    ("layout", "message"),
    [({"t1w": ["T1.nii"]}, "holds {subject}"), ({"subject": "("}, "no regular expression")],
)
def test_bad_patterns_end_in_one_line(tmp_path, layout, message):
    with pytest.raises(InputError, match=message):
        parse({"root": str(tmp_path), "reader": "pattern", "layout": layout})


def test_label_tables_are_those_of_the_publications():
    table = read_label_table("lpba40")
    sizes = table.groupby("region", sort=False).size().to_dict()
    assert len(table) == 56
    assert sizes == {
        "frontal": 14, "parietal": 10, "occipital": 8, "temporal": 12, "cingulate": 4,
        "putamen": 2, "hippocampus": 2,
    }  # fmt: skip
    table = read_label_table("mindboggle101")
    assert (len(table), table["scored"].sum()) == (62, 50)
    assert set(table.loc[table["region"] == "cingulate", "index"]) == {1002, 2002, 1035, 2035}
