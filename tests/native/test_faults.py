"""What goes wrong around `pmrpipe register`: one line, nothing half-written, nothing left behind.

Two brains at 4 mm, registered by their affines alone: what is tested is all but the method.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import nibabel as nib
import numpy as np
import psutil
import pytest

from pmrpipe.base.files import read_json
from pmrpipe.cli import main
from pmrpipe.images.volume import write_volume
from pmrpipe.study.space import template_brain
from tests.helpers.bad_scans import CASES, saved

OUTPUTS = {
    "from-moving_to-fixed_mode-image_xfm.nii.gz",
    "from-moving_to-fixed_mode-image_xfm.json",
    "from-fixed_to-moving_mode-image_xfm.nii.gz",
    "from-fixed_to-moving_mode-image_xfm.json",
    "space-fixed_desc-moving_T1w.nii.gz",
    "space-fixed_desc-jacobian_map.nii.gz",
    "register.json",
    "qc.html",
}


@pytest.fixture(scope="module")
def brains(tmp_path_factory) -> tuple[Path, Path]:
    """Two brains behind symbolic links, with spaces and letters of many scripts in their names."""
    folder = tmp_path_factory.mktemp("Aufnahmen für 脳 и мозг")
    template, links = template_brain(4.0), []
    data = np.where(template.data > 0.3, template.data * 100, 0).astype(np.float32)
    for number, name in ((1, "erste  Aufnahme ä.nii.gz"), (2, "второй 'scan' $HOME;.nii.gz")):
        affine = template.affine.copy()
        affine[:3, 3] += 3 * number
        affine[:3, :3] *= 1 - 0.04 * number
        write_volume(folder / "kept" / f"{number}.nii.gz", data, affine)
        (folder / name).symlink_to(folder / "kept" / f"{number}.nii.gz")
        links.append(folder / name)
    return links[0], links[1]


def words(moving: Path, fixed: Path, out: Path, *more: object) -> list[str]:
    given = ["register", moving, fixed, "--output", out, "--method", "affine", "--mm", 4]
    return [str(word) for word in [*given, "--brain-extracted", "--threads", 1, *more]]


def started(arguments: list[str], temporary: Path) -> subprocess.Popen[str]:
    temporary.mkdir(parents=True, exist_ok=True)
    source = str(Path(__file__).resolve().parents[2] / "src")
    environment = {**os.environ, "PYTHONPATH": source, "TMPDIR": str(temporary)}
    return subprocess.Popen(
        [sys.executable, "-m", "pmrpipe", *arguments],
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
    )


def check_whole(folder: Path) -> None:
    """What is there can be read to its end, and nothing unfinished lies about."""
    for path in folder.rglob("*"):
        assert not path.name.startswith(".tmp-"), path
        if path.name.endswith(".nii.gz"):
            assert np.isfinite(np.asarray(nib.load(path).dataobj)).all()
        elif path.suffix == ".json":
            json.loads(path.read_text(encoding="utf-8"))
        elif path.suffix == ".html":
            assert path.read_text(encoding="utf-8").rstrip().endswith("</html>")


@pytest.fixture(scope="module")
def together(brains, tmp_path_factory) -> Path:
    """Two runs at once with one output folder, itself a link, one cache and one TMPDIR."""
    root = tmp_path_factory.mktemp("two at once")
    (root / "kept").mkdir()
    (root / "out").symlink_to(root / "kept")
    given = words(*brains, root / "out", "--cache", root / "cache")
    runs = [started(given, root / "tmp") for _ in range(2)]
    for run in runs:
        said = run.communicate(timeout=300)[1]
        assert run.returncode == 0, said
    return root


def test_two_runs_at_once_leave_one_whole_result(together, brains):
    assert {path.name for path in (together / "kept").iterdir()} == OUTPUTS
    check_whole(together)
    facts = read_json(together / "out" / "register.json")
    assert (facts["moving"], facts["fixed"]) == tuple(path.name for path in brains)


def test_temporary_space_is_empty_afterwards(together):
    assert not list((together / "tmp").iterdir())


@pytest.fixture
def prepared(together, brains) -> Callable[..., list[str]]:
    """Arguments of a run whose scans have been preprocessed before."""
    return lambda out, *more: words(*brains, out, "--cache", together / "cache", *more)


def refused(capsys: pytest.CaptureFixture, code: int, arguments: list[str]) -> str:
    """The last line of a verb that must end with `code`, and tell it without a traceback."""
    capsys.readouterr()
    assert main(arguments) == code
    said = capsys.readouterr().err
    assert "Traceback" not in said
    last = said.strip().splitlines()[-1]
    assert last.startswith("pmrpipe register: error: ")
    return last


@pytest.mark.parametrize("which", ["moving", "fixed"])
@pytest.mark.parametrize("case", CASES)
def test_a_bad_scan(case, which, brains, tmp_path, capsys):
    bad, out = tmp_path / "bad scan.nii.gz", tmp_path / "out"
    CASES[case](bad)
    pair = (bad, brains[1]) if which == "moving" else (brains[0], bad)
    assert str(bad) in refused(capsys, 2, words(*pair, out, "--no-cache"))
    assert not list(out.iterdir())


@pytest.mark.parametrize("said", ["shape", "affine", "label"])
def test_labels_that_do_not_belong_to_the_scan(brains, tmp_path, capsys, said):
    """Another shape, another affine, or no label at all."""
    moving = nib.load(brains[0])
    shape = (4, 5, 6) if said == "shape" else moving.shape
    affine = moving.affine * (1.05 if said == "affine" else 1)
    path = saved(tmp_path / "dseg.nii.gz", np.zeros(shape, np.int16), affine)
    given = words(*brains, tmp_path / "out", "--no-cache", "--labels", path)
    last = refused(capsys, 2, given)
    assert str(path) in last
    assert said in last.partition("dseg.nii.gz: ")[2]


def test_weights_without_their_file(brains, tmp_path, capsys):
    (tmp_path / "model.json").write_text('{"method": "pmr", "network_mm": 2.0}')
    given = words(*brains, tmp_path / "out", "--no-cache", "--weights", tmp_path)
    given[given.index("affine")] = "pmr"
    assert "weights.safetensors: no such file" in refused(capsys, 2, given)


@pytest.mark.skipif(sys.platform != "linux", reason="file names are bytes on Linux alone")
def test_a_name_that_is_no_utf8(prepared, brains, tmp_path):
    strange = Path(os.fsdecode(os.fsencode(tmp_path) + b"/sc\xe4n.nii.gz"))
    strange.symlink_to(brains[0])
    given = prepared(tmp_path / "out")
    given[1] = str(strange)
    run = started(given, tmp_path / "tmp")
    said = run.communicate(timeout=120)[1]
    assert run.returncode == 0, said
    check_whole(tmp_path / "out")
    assert read_json(tmp_path / "out" / "register.json")["moving"] == strange.name


def test_a_cut_brain_is_warned_of(brains, together, tmp_path, capsys):
    """It can be registered, but the user is told; a whole one passes in silence."""
    whole = nib.load(brains[0])
    held = np.flatnonzero(np.asarray(whole.dataobj).any(axis=(0, 1)))
    cut = tmp_path / "cut.nii.gz"
    nib.save(whole.slicer[:, :, : held[-1] - 2], cut)
    given = words(cut, brains[1], tmp_path / "out", "--cache", together / "cache")
    assert main(given) == 0
    said = capsys.readouterr().err
    assert f"warning: {cut} (moving): " in said
    assert f"warning: {brains[1]}" not in said
    doubtful = read_json(tmp_path / "out" / "register.json")["doubtful"]
    assert "border_percent high" in doubtful["moving"]
    assert doubtful["fixed"] is None


@contextmanager
def mounted(folder: Path, options: str) -> Iterator[Path]:
    """A file system in memory; skips where it cannot be mounted."""
    folder.mkdir(parents=True, exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True).returncode != 0:
        pytest.skip("only root can mount the small file system that this needs")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("part", [0, 0.2, 0.5, 0.8, 0.95])
def test_a_full_disk(prepared, together, tmp_path, capsys, part):
    """It fills at the first file, at fields, at images, or at the page."""
    needed = sum(path.stat().st_blocks * 512 for path in (together / "kept").iterdir())
    with mounted(tmp_path / "out", f"size={max(4096, int(part * needed))}") as out:
        assert "No space left on device" in refused(capsys, 1, prepared(out))
        check_whole(out)
        assert {path.name for path in out.iterdir()} - {".pmrpipe-register"} < OUTPUTS


def test_a_full_cache(brains, tmp_path, capsys):
    with mounted(tmp_path / "cache", "size=60k") as cache:
        given = words(*brains, tmp_path / "out", "--cache", cache)
        assert "No space left on device" in refused(capsys, 1, given)
        check_whole(cache)
    assert not list((tmp_path / "out").iterdir())


def test_a_full_temporary_folder(brains, tmp_path, capsys, monkeypatch):
    with mounted(tmp_path / "tmp", "size=40k") as temporary:
        monkeypatch.setattr("tempfile.tempdir", str(temporary))
        given = words(*brains, tmp_path / "out", "--cache", tmp_path / "cache")
        assert "No space left on device" in refused(capsys, 1, given)
        assert not list(temporary.iterdir())


def test_an_output_that_cannot_be_written(prepared, tmp_path, capsys):
    with mounted(tmp_path / "out", "size=1m,ro") as out:
        last = refused(capsys, 1, prepared(out / "here"))
        assert "cannot be written (Read-only file system)" in last


def lives(process: psutil.Process) -> bool:
    """Whether it still runs: one that ended and waits to be asked for its status does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def died(work: Callable[[], object], number: int) -> bool:
    """Whether `work` in a process of its own came to write `number`, where it is killed."""
    pid = os.fork()
    if pid == 0:
        real, left = os.replace, [number]

        def replace(*given: object) -> None:
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            left[0] -= 1
            real(*given)

        os.replace = replace
        work()
        os._exit(0)
    return os.WIFSIGNALED(os.waitpid(pid, 0)[1])


def unfinished_removed(folder: Path) -> None:
    for path in folder.rglob(".tmp-*"):
        path.unlink()


def test_killed_between_any_two_writes_of_the_result(prepared, together, tmp_path):
    """What is there is whole and of this run, though another result had been there."""
    import pmrpipe
    from pmrpipe.native.output import require_replaceable, write_result
    from pmrpipe.native.request import Scan
    from pmrpipe.native.result import MARKER

    arguments = prepared(tmp_path)
    scans = [Scan(Path(name), "brain") for name in arguments[1:3]]
    given = {"method": "affine", "mm": 4.0, "threads": 1, "cache": together / "cache"}
    result = pmrpipe.register(*scans, **given)
    out, scans_files = tmp_path / "out", [scan.path for scan in scans]
    for number in range(30):
        write_result(result, out)
        (out / "space-fixed_desc-moving_dseg.nii.gz").write_bytes(b"of an older run")
        result.facts["seconds"] = number
        if not died(lambda: write_result(result, out), number):
            break
        assert list(out.glob(".tmp-*"))
        unfinished_removed(out)
        check_whole(out)
        names = {path.name for path in out.iterdir()}
        assert MARKER in names
        assert names - {MARKER} < OUTPUTS
        require_replaceable(out, scans_files)
        if "register.json" in names:
            assert read_json(out / "register.json")["seconds"] == number
    assert number == len(OUTPUTS)
    check_whole(out)
    assert {path.name for path in out.iterdir()} == OUTPUTS


def test_killed_between_any_two_writes_of_a_preprocessed_scan(tmp_path):
    """The image that later runs look for comes last."""
    from pmrpipe.stages.preprocess.workflow import _deliver
    from pmrpipe.study.paths import Results
    from pmrpipe.study.sidecar import sidecar_path

    results = Results(tmp_path / "results", 4.0)
    named = [getattr(results, name)("sub-01") for name in ("mask", "brain", "affine", "preproc")]
    made = [path.name for image in named for path in (image, sidecar_path(image))]
    for name in made:
        (tmp_path / "work" / "preprocess" / "node").mkdir(parents=True, exist_ok=True)
        (tmp_path / "work" / "preprocess" / "node" / name).write_text(name)
    for number in range(len(made)):
        assert died(lambda: _deliver(tmp_path / "work", results, "sub-01"), number)
        unfinished_removed(results.root)
        files = [path for path in results.root.rglob("*") if path.is_file()]
        assert len(files) == number
        assert all(path.read_text() == path.name for path in files)
        assert not results.preproc("sub-01").exists()
        for path in files:
            path.unlink()
    assert not died(lambda: _deliver(tmp_path / "work", results, "sub-01"), len(made))
    assert results.preproc("sub-01").exists()


def test_a_polite_kill_leaves_no_process_and_no_temporary_file(brains, tmp_path):
    run = started(words(*brains, tmp_path / "out", "--no-cache"), tmp_path / "tmp")
    until = time.monotonic() + 120
    while not list((tmp_path / "tmp").glob("pmrpipe-register-*/pmrpipe-preprocess-*")):
        assert run.poll() is None
        assert time.monotonic() < until
        time.sleep(0.05)
    children = psutil.Process(run.pid).children(recursive=True)
    run.terminate()
    said = run.communicate(timeout=60)[1]
    assert run.returncode == 128 + signal.SIGTERM
    assert "Traceback" not in said
    assert not list((tmp_path / "tmp").iterdir())
    assert not list((tmp_path / "out").iterdir())
    # The two that preprocess, and at times a shell of a library asking what machine this is.
    assert len(children) >= 2
    assert not [child for child in children if lives(child)]
