"""Options of shooting: geodesics that were kept, followed again."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from pmrpipe.study.options.common import Options, Threads


class Shot(Options):
    """Where a geodesic is followed to."""

    time: float = Field(
        1.0,
        ge=-10,
        le=10,
        description="0 is the moving scan, 1 where the registration led; beyond both, too",
    )
    scale: float = Field(1.0, ge=-10, le=10, description="the initial momentum is multiplied by it")
    mean: tuple[Path, ...] = Field(
        (), description="in place of RESULT: the mean of these geodesics, all from one scan"
    )
    threads: Threads = 1
