"""The small study that tests/workflow runs once serves the tutorials too."""

from __future__ import annotations

from ..workflow.conftest import tiny

__all__ = ["tiny"]
