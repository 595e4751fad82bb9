"""provenance.json: from what, by what, how and where the results of a study came about."""

from __future__ import annotations

import os
import platform
import shlex
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pmrpipe.base.files import read_json, write_json
from pmrpipe.base.versions import commit, versions
from pmrpipe.study.sidecar import CHECKSUMS, sidecar_path
from pmrpipe.study.timings import stage_costs
from pmrpipe.workflow.plan import Plan


def write_provenance(plan: Plan, command: Sequence[str]) -> Path:
    """Write provenance.json of a study's results; earlier runs stay in its list.

    Parameters
    ----------
    command : words of the command that has just ended well
    """
    path = plan.results.root / "provenance.json"
    run = {
        "command": shlex.join([Path(command[0]).name, *command[1:]]),
        "ended": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit(),
        "versions": versions(),
        "machine": _machine(),
    }
    content = {
        "runs": [*_earlier(path), run],
        "configuration": plan.study.model_dump(mode="json"),
        "inputs": _inputs(plan),
        "stages": stage_costs(plan.results.root / "timings").to_dict("records"),
    }
    write_json(path, content)
    return path


def _earlier(path: Path) -> list[dict[str, Any]]:
    return read_json(path)["runs"] if path.exists() else []


def _machine() -> dict[str, Any]:
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "system": platform.platform(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gb": round(pages / 1e9, 1),
        "python": platform.python_version(),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.processor()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor())


def _inputs(plan: Plan) -> dict[str, dict[str, str]]:
    """SHA-256 of each scan's files, as preprocessing saw them; scans that are not done lack."""
    checksums: dict[str, dict[str, str]] = {}
    for key in plan.scans:
        for image in (plan.results.brain(key), plan.results.dseg(key)):
            sidecar = sidecar_path(image)
            if sidecar.exists():
                checksums.setdefault(key, {}).update(read_json(sidecar).get(CHECKSUMS, {}))
    return checksums
