"""Damaged files, read in a process with 2 GB of memory: as nibabel reads them, or refused.

    python tests/corruption.py FOLDER

Prints one JSON object: how many files of the folder were read and how many refused, what else
happened, and the largest resident memory in MB.
"""

from __future__ import annotations

import json
import random
import re
import resource
import sys
import warnings
from pathlib import Path


def corrupted(content: bytes, number: int) -> bytes:
    """One to four random bytes changed, half of the times among the first 400."""
    draw, out = random.Random(number), bytearray(content)
    for _ in range(draw.randint(1, 4)):
        last = min(400, len(out)) if number % 2 else len(out)
        out[draw.randrange(last)] = draw.randrange(256)
    return bytes(out)


def outcome(path: Path) -> str:
    """`read`, `refused`, or what is wrong with how the file was taken."""
    import nibabel as nib
    import numpy as np

    from pmrpipe.base.errors import InputError
    from pmrpipe.images.volume import read_image

    try:
        ours = read_image(path)
    except InputError as error:
        told = str(error)
        return "refused" if str(path) in told and "\n" not in told else f"told badly: {told}"
    except BaseException as error:
        return f"{path.name}: {type(error).__name__}: {error}"
    theirs = nib.load(path)
    same = np.array_equal(
        ours.data, np.asarray(theirs.dataobj, np.float32).reshape(ours.data.shape)
    ) and np.array_equal(ours.affine, theirs.affine)
    return "read" if same else f"{path.name}: is not what nibabel reads"


def main(folder: Path) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))
    warnings.simplefilter("ignore")
    outcomes = [outcome(path) for path in sorted(folder.iterdir())]
    said = {"read": outcomes.count("read"), "refused": outcomes.count("refused")}
    wrong = [line for line in outcomes if line not in said]
    print(json.dumps(said | {"wrong": wrong, "mb": most_memory()}))


def most_memory() -> float:
    """Largest resident memory so far, MB; `getrusage` would count the parent's before exec."""
    status = Path("/proc/self/status").read_text()
    return int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]) / 1024


if __name__ == "__main__":
    main(Path(sys.argv[1]))
