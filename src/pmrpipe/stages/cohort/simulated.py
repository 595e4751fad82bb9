"""Simulated heads are written into a folder of simulated heads, and never among scans of people.

The embedded study is the default: `--config root=/data/mine` without the study's own file would
lead to it.
"""

from __future__ import annotations

from pathlib import Path

from pmrpipe.base.errors import InputError
from pmrpipe.base.files import read_json
from pmrpipe.stages.cohort.results_folder import DESCRIPTION, is_own

README = """Simulated T1-weighted heads

Every image here is synthetic: the MNI152 2009a template, deformed by a random known
diffeomorphism and affine, with simulated cover, contrast, bias and noise. No person was scanned.
derivatives/truth holds each subject's labels, brain mask and deformation.
"""
_PARTICIPANTS = "participant_id\tsplit"


def require_simulated(root: Path) -> None:
    """Raises InputError where simulated heads would stand among, or in place of, other files."""
    stranger = _stranger(root)
    if stranger is not None:
        problem = f"holds {stranger.relative_to(root)}, which pmrpipe did not simulate"
        remedy = "for scans of your own give --configfile with reader: bids; else another folder"
        raise InputError(root, problem, remedy)


def _stranger(root: Path) -> Path | None:
    """The first file that a simulation did not write, where it would write."""
    for scan in root.glob("sub-*/**/*.nii*"):
        # One that is being written has a dot in front.
        if not scan.name.startswith(".") and not _is_simulated(scan):
            return scan
    description = root / DESCRIPTION
    if description.exists():
        return None if is_own(description) else description
    # What a simulation that was killed has left.
    participants, readme = root / "participants.tsv", root / "README"
    if participants.exists() and _text(participants).partition("\n")[0] != _PARTICIPANTS:
        return participants
    return readme if readme.exists() and _text(readme) != README else None


def _is_simulated(scan: Path) -> bool:
    try:
        sidecar = read_json(scan.with_name(scan.name.partition(".")[0] + ".json"))
    except InputError:
        return False
    return isinstance(sidecar, dict) and sidecar.get("Simulated") is True


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")
