"""The tables of the PMR paper, with its published rows where they could be read.

Source: Liu et al., MICCAI 2019, Table 1 (LPBA40, mean Dice). The values of Table 2
(MindBoggle101) could not be read in any copy: that table has our rows alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pmrpipe.base.errors import InputError
from pmrpipe.base.files import read_tsv, write_text, write_tsv

if TYPE_CHECKING:
    import pandas as pd

_SEVEN = ("frontal", "parietal", "occipital", "temporal", "cingulate", "putamen", "hippocampus")
_PUBLISHED = {
    "UtilzReg": (0.691, 0.617, 0.612, 0.665, 0.665, 0.710, 0.692),
    "VoxelMorph": (0.669, 0.610, 0.605, 0.652, 0.663, 0.700, 0.689),
    "FAIM": (0.676, 0.617, 0.608, 0.658, 0.675, 0.710, 0.696),
    "Baseline-1": (0.677, 0.637, 0.617, 0.635, 0.622, 0.549, 0.601),
    "Baseline-2": (0.702, 0.661, 0.648, 0.664, 0.665, 0.602, 0.682),
    "PMR": (0.711, 0.661, 0.660, 0.679, 0.691, 0.711, 0.701),
}
_THEIRS = "published (LPBA40)"


@dataclass(frozen=True)
class PaperTable:
    """A table of the paper.

    regions : its columns, mean Dice
    methods : our rows; None takes every method of the summary
    published : names of the paper's rows
    further : columns of the summary behind the regions
    """

    title: str
    regions: tuple[str, ...]
    methods: tuple[str, ...] | None = None
    published: tuple[str, ...] = ()
    further: tuple[str, ...] = ()


TABLES = {
    "table1": PaperTable("Mean Dice by region", _SEVEN, None, tuple(_PUBLISHED)),
    "table2": PaperTable("Mean Dice by region", _SEVEN[:5]),
    "ablation": PaperTable(
        "PMR and its ablations, mean Dice by region",
        _SEVEN,
        ("pmr-concat", "pmr-last", "pmr"),
        ("Baseline-1", "Baseline-2", "PMR"),
        ("folding_percent", "sdlogj"),
    ),
}


def require(name: str, methods: Sequence[str], regions: Sequence[str]) -> None:
    """Check that a study can fill a table.

    Raises
    ------
    InputError : a method or a region that the table needs is not in the study
    """
    table = TABLES[name]
    lacking = [method for method in table.methods or () if method not in methods]
    if lacking:
        raise InputError(name, f"needs {', '.join(lacking)}", "add them to the key `methods`")
    lacking = [region for region in table.regions if region not in regions]
    if lacking:
        problem = f"needs the regions {', '.join(lacking)}"
        raise InputError(name, problem, "name them in the label table's column region")


def paper_table(name: str, summary: pd.DataFrame, cohort: str) -> pd.DataFrame:
    """One table: columns method, source, the regions, and what else it shows.

    Parameters
    ----------
    name : table1, table2 or ablation
    summary : summary.tsv of a study
    cohort : its name, which marks our rows

    Raises
    ------
    InputError : as `require`
    """
    import pandas as pd

    table = TABLES[name]
    by_region = summary.pivot(index="method", columns="region", values="dice_mean")
    order = list(dict.fromkeys(summary["method"]))
    require(name, order, list(by_region.columns))
    rows = [
        {"method": row, "source": _THEIRS, **dict(zip(_SEVEN, _PUBLISHED[row], strict=True))}
        for row in table.published
    ]
    overall = summary[summary["region"] == "all"].set_index("method")
    rows += [
        {
            "method": method,
            "source": f"pmrpipe ({cohort})",
            **by_region.loc[method, list(table.regions)],
            **overall.loc[method, list(table.further)],
        }
        for method in table.methods or order
    ]
    return pd.DataFrame(rows, columns=["method", "source", *table.regions, *table.further])


def table_from_files(name: str, summary: Path, out: Path, cohort: str) -> None:
    """Write a table of the paper from summary.tsv: `out` as TSV, .md and .tex beside it."""
    from pmrpipe.metrics.tables import SUMMARY

    table = paper_table(name, read_tsv(summary, SUMMARY), cohort)
    write_paper_table(out.with_suffix(""), table, TABLES[name].title)


def write_paper_table(stem: Path, table: pd.DataFrame, title: str) -> None:
    """Write `stem`.tsv, .md and .tex, numbers with three decimals in the last two."""
    shown = [[str(column) for column in table.columns]]
    shown += [[_text(value) for value in row] for row in table.itertuples(index=False)]
    write_text(stem.with_suffix(".md"), _markdown(shown))
    write_text(stem.with_suffix(".tex"), _latex(shown, title))
    write_tsv(stem.with_suffix(".tsv"), table)


def _text(value: object) -> str:
    if isinstance(value, float):
        return "n/a" if value != value else f"{value:.3f}"
    return str(value)


def _markdown(rows: list[list[str]]) -> str:
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([lines[0], "|---" * len(rows[0]) + "|", *lines[1:]]) + "\n"


def _latex(rows: list[list[str]], title: str) -> str:
    columns = "ll" + "r" * (len(rows[0]) - 2)
    lines = [" & ".join(row).replace("_", r"\_").replace("%", r"\%") + r" \\" for row in rows]
    return "\n".join(
        [
            r"\begin{table}",
            rf"\caption{{{title}}}",
            rf"\begin{{tabular}}{{{columns}}}",
            r"\hline",
            lines[0],
            r"\hline",
            *lines[1:],
            r"\hline",
            r"\end{tabular}",
            r"\end{table}",
            "",
        ]
    )
