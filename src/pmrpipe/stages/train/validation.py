"""Which pairs validate, and what is measured on them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from pmrpipe.methods.deformation import Deformation

_MOST_PAIRS = 6


def validation_pairs(train: Sequence[str], validation: Sequence[str]) -> list[tuple[str, str]]:
    """Ordered pairs of validation scans; a single one is paired with training scans, both ways."""
    pairs = [(m, f) for m in validation for f in validation if m.split("_")[0] != f.split("_")[0]]
    if not pairs:
        partners = [key for key in train if key not in validation]
        pairs = [pair for v in validation for t in partners for pair in ((v, t), (t, v))]
    stride = max(1, -(-len(pairs) // _MOST_PAIRS))
    return pairs[::stride]


def mean_dice(fixed: Tensor, moving: Tensor, deformation: Deformation, labels: Tensor) -> float:
    """Mean Dice over `labels` after a nearest-neighbour warp.

    Parameters
    ----------
    fixed, moving : label maps (1, 1, X, Y, Z), on the same device as `deformation`
    deformation : on any grid of the label maps' field of view
    labels : (N,) label numbers; one that both maps lack is left out
    """
    warped = deformation.apply(moving.float(), "nearest").round().to(torch.int64).flatten()
    target = fixed.to(torch.int64).flatten()
    size = int(max(int(labels.max()), int(target.max()), int(warped.max()))) + 1
    both = torch.bincount(target[target == warped], minlength=size)[labels]
    total = torch.bincount(target, minlength=size) + torch.bincount(warped, minlength=size)
    present = total[labels] > 0
    return float((2 * both[present] / total[labels][present]).mean()) if present.any() else 0.0


def correlation(fixed: Tensor, warped: Tensor) -> float:
    """Pearson's correlation of two images within the fixed brain; 0 where one is constant."""
    inside = fixed > 0
    pair = torch.stack([fixed[inside], warped[inside]]).double()
    pair = pair - pair.mean(1, keepdim=True)
    norm = pair.square().sum(1).prod().sqrt()
    return float(pair.prod(0).sum() / norm) if norm > 0 else 0.0
