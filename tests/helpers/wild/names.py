"""What can be wrong with the names of one subject's files.

Each corruption takes the dataset, the subject and a random generator, and renames, links or adds.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from numpy.random import Generator

Corrupt = Callable[[Path, str, Generator], None]
_TRUTH = "derivatives/truth"


def t1w(root: Path, key: str) -> Path:
    return root / key / "anat" / f"{key}_T1w.nii.gz"


def truth(root: Path, key: str, kind: str) -> Path:
    return root / _TRUTH / key / "anat" / f"{key}_{kind}.nii.gz"


def renamed(name: str) -> Corrupt:
    """The scan under another name of its folder; X stands for the subject."""
    return lambda root, key, _: t1w(root, key).rename(
        t1w(root, key).with_name(name.replace("X", key))
    )


def beside(*names: str) -> Corrupt:
    """Copies of the scan beside it."""

    def corrupt(root: Path, key: str, _: Generator) -> None:
        for name in names:
            shutil.copy(t1w(root, key), t1w(root, key).with_name(name.replace("X", key)))

    return corrupt


def folder(name: str) -> Corrupt:
    return lambda root, key, _: (root / key).rename(root / name.replace("X", key))


def dangling(path: Path) -> None:
    path.unlink()
    path.symlink_to(".git/annex/objects/Xx/Yy/MD5E-s1--0.nii.gz")


def _circle(root: Path, key: str, _: Generator) -> None:
    path = t1w(root, key)
    path.unlink()
    path.symlink_to(path.name)


def _of_another(root: Path, key: str, _: Generator) -> None:
    """The folder of this subject holds a scan that is named as the first one."""
    t1w(root, key).rename(t1w(root, key).with_name("sub-01_T1w.nii.gz"))


def _moved_up(root: Path, key: str, _: Generator) -> None:
    t1w(root, key).rename(root / key / t1w(root, key).name)


def _in_session(root: Path, key: str, _: Generator) -> None:
    (root / key / "ses-1" / "anat").mkdir(parents=True)
    t1w(root, key).rename(root / key / "ses-1" / "anat" / t1w(root, key).name)


def _apple(root: Path, key: str, _: Generator) -> None:
    t1w(root, key).with_name(f"._{key}_T1w.nii.gz").write_bytes(b"\0\5\26\7")
    (root / key / ".DS_Store").write_bytes(b"\0\0\0\1Bud1")


def _empty(root: Path, key: str, _: Generator) -> None:
    shutil.rmtree(root / key)
    (root / key).mkdir()


def _file_for_folder(root: Path, key: str, _: Generator) -> None:
    shutil.rmtree(root / key)
    (root / key).write_text("moved to the archive\n")


def _twice_unpacked(root: Path, key: str, _: Generator) -> None:
    path = t1w(root, key)
    path.with_suffix("").write_bytes(path.read_bytes())


NAMES: dict[str, Corrupt] = {
    "suffix in small letters": renamed("X_t1w.nii.gz"),
    "suffix in capitals": renamed("X_T1W.nii.gz"),
    "no suffix": renamed("X.nii.gz"),
    "a hyphen for the underscore": renamed("X-T1w.nii.gz"),
    "a copy of a file manager": renamed("X_T1w (1).nii.gz"),
    "a blank at the end": renamed("X_T1w .nii.gz"),
    "extension in capitals": renamed("X_T1w.NII.GZ"),
    "the subject's name again": renamed("X_X_T1w.nii.gz"),
    "an entity without a value": renamed("X_ses-_T1w.nii.gz"),
    "a session in the name alone": renamed("X_ses-1_T1w.nii.gz"),
    "a letter that is no letter": renamed("X_rün-1_T1w.nii.gz"),
    "two runs": beside("X_run-1_T1w.nii.gz", "X_run-2_T1w.nii.gz"),
    "two runs of one number": beside("X_run-1_T1w.nii.gz", "X_run-01_T1w.nii.gz"),
    "two acquisitions": beside("X_acq-fast_T1w.nii.gz"),
    "a part of the signal": beside("X_part-phase_T1w.nii.gz"),
    "a defaced copy": beside("X_desc-defaced_T1w.nii.gz"),
    "two formats": _twice_unpacked,
    "a folder in capitals": folder("SUB-X"),
    "a folder with a blank": folder("X old"),
    "a folder without sub-": folder("patient"),
    "another's scan": _of_another,
    "outside anat": _moved_up,
    "a session's folder alone": _in_session,
    "files of another system": _apple,
    "an empty folder": _empty,
    "a file for a folder": _file_for_folder,
    "a link without content": lambda root, key, _: dangling(t1w(root, key)),
    "a link to itself": _circle,
    "a mask without content": lambda root, key, _: dangling(truth(root, key, "desc-brain_mask")),
    "labels without content": lambda root, key, _: dangling(truth(root, key, "dseg")),
    "no mask": lambda root, key, _: truth(root, key, "desc-brain_mask").unlink(),
    "no labels": lambda root, key, _: truth(root, key, "dseg").unlink(),
    "a mask of another name": lambda root, key, _: truth(root, key, "desc-brain_mask").rename(
        truth(root, key, "brainmask")
    ),
}


def corruption(number: int) -> tuple[str, Corrupt]:
    """The corruption of that number and its name; they come in turn."""
    name = list(NAMES)[number % len(NAMES)]
    return name, NAMES[name]
