"""Where results come from: the commit and the versions."""

from __future__ import annotations

import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

SHOWN = (
    "antspyx", "deepbet", "nibabel", "nipype", "numpy", "pandas", "pytorch-lightning", "scipy",
    "snakemake", "torch",
)  # fmt: skip


# Where the sources lie in a checkout.
_CHECKOUT = Path(__file__).resolve().parents[3]


def commit(folder: Path = _CHECKOUT) -> str | None:
    """Commit of the checkout in `folder`, "-dirty" when files are changed; None elsewhere.

    An environment inside somebody's own repository is no checkout of pmrpipe.
    """
    if not (folder / ".git").exists():
        return None
    try:
        described = subprocess.run(
            ["git", "-C", str(folder), "describe", "--always", "--dirty", "--abbrev=12"],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return described.stdout.strip() or None


def versions() -> dict[str, str]:
    """Versions of pmrpipe and of the libraries that its numbers depend on."""
    from pmrpipe.base.version import VERSION

    numbers = {"pmrpipe": VERSION}
    for name in SHOWN:
        try:
            numbers[name] = version(name)
        except PackageNotFoundError:
            continue
    return numbers
