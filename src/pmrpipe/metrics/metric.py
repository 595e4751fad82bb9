"""What a score of a registered pair is, and what it is measured from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from pmrpipe.metrics.deformation import DeformationStatistics, deformation_statistics
from pmrpipe.metrics.finite import finite_mean
from pmrpipe.study.regions import ALL

if TYPE_CHECKING:
    import numpy as np

    from pmrpipe.images.volume import Volume

Row = dict[str, Any]
Needs = Literal["labels", "field", "images", "registration"]


@dataclass(frozen=True)
class RegisteredPair:
    """What a pair offers to its metrics, everything on the grid of `fixed_image`.

    fixed_image, warped_image : the fixed image, and the warped moving image (X, Y, Z)
    mask : (X, Y, Z) bool, the fixed brain
    field : (X, Y, Z, 3) displacement, RAS mm, fixed point to moving point; None = no deformable
        part
    fixed_labels, warped_labels : label maps (X, Y, Z); None without labels
    by_label : rows of by_label.tsv, one per scored label
    registered : what was measured when the pair was registered, by column
    """

    fixed_image: Volume
    warped_image: np.ndarray
    mask: np.ndarray
    field: np.ndarray | None = None
    fixed_labels: Volume | None = None
    warped_labels: np.ndarray | None = None
    by_label: Sequence[Row] = ()
    registered: Mapping[str, float] | None = None

    @property
    def labelled(self) -> bool:
        return self.fixed_labels is not None and self.warped_labels is not None

    @cached_property
    def deformation(self) -> DeformationStatistics:
        """Statistics of the field inside the mask; all 0 without a deformable part."""
        return deformation_statistics(self.field, self.fixed_image.grid, self.mask)

    def label_mean(self, column: str) -> float:
        """Mean of a column of by_label over the labels that have a value."""
        return finite_mean([row[column] for row in self.by_label])

    def from_registration(self, column: str) -> float:
        """What was measured when the pair was registered; NaN where it was not."""
        return (self.registered or {}).get(column, float("nan"))

    def within(self, labels: Set[int]) -> RegisteredPair:
        """The same pair with these labels alone in `by_label`."""
        return replace(self, by_label=[row for row in self.by_label if row["label"] in labels])


@dataclass(frozen=True)
class TradeOff:
    """A chart of Dice (NCC without labels) against this metric.

    name : the figure files are dice-NAME
    label : of the vertical axis
    linear_below : the axis is logarithmic above this value; None = linear everywhere
    """

    name: str
    title: str
    label: str
    linear_below: float | None = None


@dataclass(frozen=True)
class Metric:
    """One score of a pair: tables, summary, comparison, page and manual follow from it.

    name : column of by_pair.tsv and summary.tsv
    title : heading on the page
    measure : gives the value; not called, and NaN, where a pair lacks the labels that it needs
    formula, note : for the manual, docs/metrics.md; see there for the symbols
    needs : what it is measured from. A method without deformation takes no part in who is best
        in what is measured from the field.
    unit, digits : as shown on the page
    best : whether the largest or the smallest value is marked as best; None = no order of merit
    by_region : there is also a column NAME_REGION for each region of the label table
    compared : methods are compared in it, pair by pair, in comparison.tsv
    page : it is a column of the page's summary
    boxes : in a cohort without labels, it is drawn as boxes
    trade_off : a chart of accuracy against it
    sentence, citation : what it is, for the methods text of a paper
    """

    name: str
    title: str
    measure: Callable[[RegisteredPair], float]
    formula: str
    needs: Needs
    note: str = ""
    unit: str = ""
    digits: int = 3
    best: Literal["max", "min"] | None = None
    by_region: bool = False
    compared: bool = False
    page: bool = True
    boxes: bool = False
    trade_off: TradeOff | None = None
    sentence: str = ""
    citation: str = ""

    def of(self, pair: RegisteredPair) -> float:
        """The value of a pair; NaN without the labels that it needs."""
        if self.needs == "labels" and not pair.labelled:
            return float("nan")
        return float(self.measure(pair))

    def column(self, region: str) -> str:
        """The column of by_pair.tsv that holds it for a region, or for all labels."""
        return f"{self.name}_{region}" if self.by_region and region != ALL else self.name
