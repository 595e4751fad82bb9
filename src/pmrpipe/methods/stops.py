"""When an optimisation stops: the one place that reads values back from a device.

A reading makes the program wait for a GPU, so there it is done once in five steps. On torch's
`meta` device, where tensors have no values, nothing stops.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

_EVERY = 5


def steps_between(device: torch.device) -> int:
    """Steps from one reading to the next; on the CPU a reading costs nothing."""
    return 1 if device.type == "cpu" else _EVERY


def read(scalars: Sequence[Tensor]) -> list[float] | None:
    """Their values, in one transfer; None where there are none to read."""
    if scalars[0].is_meta:
        return None
    return torch.stack([scalar.detach() for scalar in scalars]).tolist()


def value(scalar: Tensor, otherwise: float = 1.0) -> float:
    """Its value; `otherwise` where there is none to read: what lets an optimisation go on."""
    known = read([scalar])
    return otherwise if known is None else known[0]


class Ascent:
    """Keeps the best point of an ascent, and says when it has stopped rising.

    Every point counts as if it had been read at once: what comes after the stop is forgotten.

    Parameters
    ----------
    first : the point to keep if no other is better than nothing
    patience : steps over which the value must have risen
    progress : by how much
    """

    def __init__(self, first: Tensor, patience: int, progress: float) -> None:
        self.patience, self.progress = patience, progress
        self.stuck = False
        self._best, self._highest = first, float("-inf")
        self._reached: list[float] = []
        self._unread: list[tuple[Tensor, Tensor]] = []

    def add(self, point: Tensor, value: Tensor) -> None:
        """One more point, and how good it is (a scalar; higher is better)."""
        self._unread.append((point, value))
        if len(self._unread) == steps_between(point.device):
            self._read()

    @property
    def best(self) -> Tensor:
        """The first of the points with the highest value."""
        if self._unread:
            self._read()
        return self._best

    def _read(self) -> None:
        points, self._unread = self._unread, []
        values = read([value for _, value in points])
        if values is None:
            self._best = points[-1][0]
            return
        for (point, _), value in zip(points, values, strict=True):
            if not self.stuck:
                self._judge(point, value)

    def _judge(self, point: Tensor, value: float) -> None:
        if value > self._highest:
            self._best, self._highest = point, value
        self._reached.append(value)
        if len(self._reached) > self.patience:
            self.stuck = value < self._reached[-1 - self.patience] + self.progress
