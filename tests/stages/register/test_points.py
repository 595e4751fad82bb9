"""Points as people have them: separators, header names, 3D Slicer's files, and their frames."""

from __future__ import annotations

import os

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from pmrpipe.cli import main
from pmrpipe.images.transforms import write_affine
from pmrpipe.images.volume import write_volume
from pmrpipe.stages.register.points import read_points

FCSV = """# Markups fiducial file version = 4.11
# CoordinateSystem = {frame}
# columns = id,x,y,z,ow,ox,oy,oz,vis,sel,lock,label,desc,associatedNodeID
vtkMRMLMarkupsFiducialNode_0,10.5,-20.25,30,0,0,0,1,1,1,0,F-1,,
vtkMRMLMarkupsFiducialNode_1,-4,8,2.5,0,0,0,1,1,1,0,"tip, left",,
"""
# What moves points, RAS mm: a turn about z by 90 degrees, and a shift.
MATRIX = np.array([[0.0, -1, 0, 5], [1, 0, 0, -3], [0, 0, 1, 2], [0, 0, 0, 1]])
FILE_POINTS = np.array([[10.5, -20.25, 30], [-4, 8, 2.5]])


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_affine(tmp_path / "turn.mat", MATRIX)
    return tmp_path


def moved(name: str, out: str, *more: str) -> int:
    return main(["apply", "--points", name, "--transforms", "turn.mat", "--output", out, *more])


def expected(points: np.ndarray, frame: str) -> np.ndarray:
    """By nibabel's arithmetic in RAS; LPS is RAS with x and y of the other sign."""
    flip = np.array([1.0, 1, 1]) if frame == "RAS" else np.array([-1.0, -1, 1])
    return flip * nib.affines.apply_affine(MATRIX, flip * points)


@pytest.mark.parametrize(
    ("said", "frame"), [("LPS", "LPS"), ("RAS", "RAS"), ("1", "LPS"), ("0", "RAS")]
)
def test_a_file_of_slicer_is_moved_in_the_frame_that_it_states(folder, said, frame):
    (folder / "p.fcsv").write_text(FCSV.format(frame=said))
    assert moved("p.fcsv", "q.fcsv") == 0
    again = read_points(folder / "q.fcsv")
    assert again.frame == frame
    np.testing.assert_allclose(again.coordinates.T, expected(FILE_POINTS, frame), atol=1e-4)
    assert again.table["label"].tolist() == ["F-1", "tip, left"]
    assert (folder / "q.fcsv").read_text().splitlines()[:3] == FCSV.format(frame=said).splitlines()[
        :3
    ]


def test_slicer_s_points_meet_itk(folder):
    """The same points through ITK itself, which works in LPS."""
    import SimpleITK as sitk

    (folder / "p.fcsv").write_text(FCSV.format(frame="LPS"))
    assert moved("p.fcsv", "q.csv") == 0
    theirs = [sitk.ReadTransform("turn.mat").TransformPoint(p) for p in FILE_POINTS.tolist()]
    np.testing.assert_allclose(pd.read_csv("q.csv")[["x", "y", "z"]], theirs, atol=1e-4)


TABLES = {
    "capitals": ("label,X,Y,Z\na,10.5,-20.25,30\nb,-4,8,2.5\n", "RAS"),
    "units": ("x_mm,y_mm,z_mm\n10.5,-20.25,30\n-4,8,2.5\n", "RAS"),
    "brackets": ("x (mm)\ty (mm)\tz (mm)\n10.5\t-20.25\t30\n-4\t8\t2.5\n", "RAS"),
    "semicolons": ("name;x;y;z\na;10.5;-20.25;30\nb;-4;8;2.5\n", "RAS"),
    "decimal commas": ("x;y;z\n10,5;-20,25;30\n-4;8;2,5\n", "RAS"),
    "a mark of byte order": ("\ufeffx,y,z\n10.5,-20.25,30\n-4,8,2.5\n", "RAS"),
    "spaces": ("x, y, z\n10.5, -20.25, 30\n-4, 8, 2.5\n", "RAS"),
    "Slicer's table": ("label,l,p,s,defined\na,10.5,-20.25,30,1\nb,-4,8,2.5,1\n", "LPS"),
    "Slicer's older table": ("label,r,a,s,defined\na,10.5,-20.25,30,1\nb,-4,8,2.5,1\n", "RAS"),
}


@pytest.mark.parametrize("case", TABLES)
def test_tables_as_people_have_them(folder, case):
    text, frame = TABLES[case]
    (folder / "p.csv").write_text(text, encoding="utf-8")
    assert moved("p.csv", "q.tsv") == 0
    again = read_points(folder / "q.tsv")
    np.testing.assert_allclose(again.coordinates.T, expected(FILE_POINTS, frame), atol=1e-4)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1,2,3\n4,5,6\n", "has no header line; its header names x, y, z"),
        ("i,j,k\n1,2,3\n", "has no column x, y, z; its header names x, y, z"),
        ("", "is not a table of points"),
        ('{"markups": []}', "export it from 3D Slicer as .fcsv"),
        (FCSV.format(frame="IJK"), "its coordinates are in IJK"),
        (FCSV.format(frame="LPS").replace("30,", "up,"), "line 4 holds a coordinate that is no"),
        ("x;y;z\n1;2;3\n1;2;n/a\n", "line 3 holds a coordinate that is no"),
        ("x,y,z\n1,5,2,3\n", "its rows have more cells than its heading"),
    ],
)
def test_what_cannot_be_read_ends_in_one_line(folder, capsys, text, said):
    (folder / "p.fcsv").write_text(text)
    assert moved("p.fcsv", "q.csv") == 2
    message = capsys.readouterr().err
    assert said in message
    assert "p.fcsv: " in message
    assert message.count("\n") == 1
    assert not (folder / "q.csv").exists()


def test_a_frame_that_is_not_the_file_s_is_refused(folder, capsys):
    (folder / "p.fcsv").write_text(FCSV.format(frame="LPS"))
    assert moved("p.fcsv", "q.csv", "--frame", "RAS") == 2
    assert "states its frame, LPS" in capsys.readouterr().err


@pytest.mark.parametrize("way", ["itself", "symbolic", "hard", "other spelling"])
@pytest.mark.parametrize("role", ["image", "reference", "transform", "points"])
def test_the_output_is_no_input(folder, capsys, role, way):
    for name in ("image.nii.gz", "reference.nii.gz"):
        write_volume(folder / name, np.arange(27.0).reshape(3, 3, 3), np.eye(4))
    (folder / "points.csv").write_text("x,y,z\n1,2,3\n")
    names = {"transform": "turn.mat", "points": "points.csv"}
    source = folder / names.get(role, f"{role}.nii.gz")
    before = source.read_bytes()
    out = folder / f"link{''.join(source.suffixes)}"
    {
        "symbolic": lambda: out.symlink_to(source),
        "hard": lambda: os.link(source, out),
    }.get(way, lambda: None)()
    spelled = {"itself": str(source), "other spelling": f"../{folder.name}/./{source.name}"}
    words = ["--image", "image.nii.gz", "--reference", "reference.nii.gz"]
    if role == "points":
        words = ["--points", "points.csv"]
    link = "[turn.mat,1]" if role == "transform" else "turn.mat"
    words = ["apply", *words, "--transforms", link, "--output", spelled.get(way, str(out))]
    assert main(words) == 2
    assert "is an input" in capsys.readouterr().err
    assert source.read_bytes() == before
    if role != "transform":
        assert main([*words, "--overwrite"]) == 0
