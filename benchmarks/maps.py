"""Group effects in maps of local volume, with permutations against false positives.

    python benchmarks/maps.py results/COHORT/maps --test group=depr [--test BDI] \\
        --covariate age gender [--permutations 1000] [--mm 4]

A test names a column of maps.tsv: a number, or COLUMN=VALUE for the scans with that value against
the others. Each is the only tested variable of a linear model with the covariates, over all scans
that have every value. Prints the largest |t| of the brain, the |t| that 5 % of the permutations
reach anywhere (family-wise, two-sided), and how many voxels lie above it.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd


def column(table: pd.DataFrame, said: str) -> pd.Series:
    """A column as numbers; COLUMN=VALUE and a column of words as 0 and 1."""
    name, separator, value = said.partition("=")
    values = table[name]
    if separator:
        return (values == value).astype(float).where(values.notna())
    numbers = pd.to_numeric(values, errors="coerce")
    if numbers.notna().any():
        return numbers
    return (values == sorted(values.dropna().unique())[0]).astype(float).where(values.notna())


def voxels(folder: Path, files: pd.Series, mm: float) -> np.ndarray:
    """(scans, voxels) inside the mask, at `mm`."""
    from nilearn.maskers import NiftiMasker

    masker = NiftiMasker(folder / "mask.nii.gz", target_affine=np.eye(3) * mm)
    return masker.fit().transform([str(folder / name) for name in files])


def test(folder: Path, table: pd.DataFrame, said: str, arguments: argparse.Namespace) -> None:
    from nilearn.mass_univariate import permuted_ols

    tested = column(table, said)
    covariates = pd.DataFrame({name: column(table, name) for name in arguments.covariate})
    whole = tested.notna() & covariates.notna().all(axis=1)
    images = voxels(folder, table["file"][whole], arguments.mm)
    outcome = permuted_ols(
        tested[whole].to_numpy()[:, None],
        images,
        covariates[whole].to_numpy(),
        n_perm=arguments.permutations,
        two_sided_test=True,
        random_state=0,
        output_type="dict",
    )
    t = np.abs(outcome["t"][0])
    limit = np.quantile(outcome["h0_max_t"][0], 0.95)
    print(
        f"{said}: {whole.sum()} scans, {images.shape[1]} voxels of {arguments.mm:g} mm;"
        f" largest |t| {t.max():.2f}, family-wise limit {limit:.2f},"
        f" above it {int((t > limit).sum())} voxels"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--test", action="append", required=True)
    parser.add_argument("--covariate", nargs="*", default=[])
    parser.add_argument("--permutations", type=int, default=1000)
    parser.add_argument("--mm", type=float, default=4.0)
    arguments = parser.parse_args()
    table = pd.read_csv(arguments.folder / "maps.tsv", sep="\t", na_values=["n/a"])
    for said in arguments.test:
        test(arguments.folder, table, said, arguments)


if __name__ == "__main__":
    main()
