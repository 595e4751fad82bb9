"""Target overlap as published for four cohorts, to be set beside ours.

Source: the result files of Yang, Kwitt, Styner, Niethammer, NeuroImage 158 (2017) 378-396, whose
rows before LO are those of Klein et al., NeuroImage 46 (2009) 786-802: mean target overlap of each
ordered pair over the labels, then mean, standard deviation and median over the pairs.
"""

from __future__ import annotations

from typing import NamedTuple


class Overlap(NamedTuple):
    """Over the ordered pairs; mean and deviation are not at hand for all."""

    median: float
    mean: float
    deviation: float = float("nan")


# Name of the configuration in config/: pairs, and the rows.
PAIRS = {"lpba40": 1560, "ibsr18": 306, "cumc12": 132, "mgh10": 90}
PUBLISHED: dict[str, dict[str, Overlap]] = {
    "lpba40": {
        "FLIRT": Overlap(0.6024, 0.5930, 0.0561),
        "Demons": Overlap(0.6895, 0.6893),
        "ART": Overlap(0.7197, 0.7185, 0.0192),
        "SyN": Overlap(0.7248, 0.7146, 0.0509),
        "Quicksilver LO": Overlap(0.7022, 0.7015, 0.0191),
        "Quicksilver LP": Overlap(0.6955, 0.6950, 0.0188),
        "Quicksilver LPC": Overlap(0.6992, 0.6987, 0.0191),
    },
    "ibsr18": {
        "FLIRT": Overlap(0.3971, 0.3972, 0.0408),
        "Demons": Overlap(0.4698, 0.4682),
        "ART": Overlap(0.5128, 0.5154, 0.0345),
        "SyN": Overlap(0.5298, 0.5281, 0.0416),
        "Quicksilver LO": Overlap(0.5368, 0.5331, 0.0411),
        "Quicksilver LP": Overlap(0.5184, 0.5154, 0.0410),
        "Quicksilver LPC": Overlap(0.5297, 0.5258, 0.0421),
    },
    "cumc12": {
        "FLIRT": Overlap(0.3964, 0.3944, 0.0307),
        "Demons": Overlap(0.4612, 0.4623),
        "ART": Overlap(0.5057, 0.5029, 0.0315),
        "SyN": Overlap(0.5146, 0.5138, 0.0328),
        "Quicksilver LO": Overlap(0.5357, 0.5341, 0.0349),
        "Quicksilver LP": Overlap(0.5145, 0.5146, 0.0337),
        "Quicksilver LPC": Overlap(0.5260, 0.5254, 0.0344),
    },
    "mgh10": {
        "FLIRT": Overlap(0.4601, 0.4624, 0.0277),
        "Demons": Overlap(0.5201, 0.5228),
        "ART": Overlap(0.5597, 0.5611, 0.0299),
        "SyN": Overlap(0.5652, 0.5683, 0.0289),
        "Quicksilver LO": Overlap(0.5633, 0.5665, 0.0285),
        "Quicksilver LP": Overlap(0.5485, 0.5531, 0.0290),
        "Quicksilver LPC": Overlap(0.5593, 0.5607, 0.0291),
    },
}
