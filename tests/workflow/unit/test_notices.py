"""What a run says at its end."""

from __future__ import annotations

from pathlib import Path

from pmrpipe.base.files import write_text
from pmrpipe.study.paths import Results
from pmrpipe.workflow.notices import doubtful


def test_doubtful_scans_and_pairs_are_told_with_their_place(tmp_path: Path) -> None:
    results = Results(tmp_path)
    write_text(results.qc, "key\toutlier\nsub-01\tsnr low\nsub-02\tn/a\n")
    rows = "sub-01\tsub-02\tthe map folds\nsub-02\tsub-01\tn/a\n"
    write_text(results.score("pmr") / "by_pair.tsv", f"moving\tfixed\tdoubts\n{rows}")
    table = results.score("pmr") / "by_pair.tsv"
    assert list(doubtful(results, ["affine", "pmr"])) == [
        f"look at {tmp_path}/sub-01.html: snr low",
        f"look at pmr sub-01_to_sub-02: the map folds ({table})",
    ]


def test_of_many_the_first_are_told(tmp_path: Path) -> None:
    rows = "".join(f"sub-{n:03d}\tsnr low\n" for n in range(50))
    write_text(tmp_path / "qc.tsv", f"key\toutlier\n{rows}")
    lines = list(doubtful(Results(tmp_path), []))
    assert len(lines) == 21
    assert lines[-1] == f"look at {tmp_path / 'qc.tsv'}: there are more"


def test_tables_of_an_earlier_version_say_nothing(tmp_path: Path) -> None:
    write_text(Results(tmp_path).score("pmr") / "by_pair.tsv", "moving\tfixed\nsub-01\tsub-02\n")
    assert not list(doubtful(Results(tmp_path), ["pmr"]))
