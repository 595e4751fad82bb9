"""Every result path in one place.

`Results` builds paths for one cohort's result folder. The same methods serve the workflow: given
wildcard texts such as "{folder}" and "{key}" they return Snakemake patterns.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from pmrpipe.study.keys import (
    T1W,
    WILDCARD,
    contrast_of,
    folder_of,
    pair_name,
    resolution,
    scan_and_contrast,
)
from pmrpipe.study.space import DEFAULT_SPACE, SaysGrid, Space


@dataclass(frozen=True)
class Results:
    """Paths below `root`, the result folder of one cohort.

    mm : voxel size of its grid
    space : of the template to which its scans are brought

    The key of a scan says its contrast, and with it the suffix of its files.
    """

    root: Path
    mm: float = 1.0
    space: Space = field(default_factory=lambda: Space.load(DEFAULT_SPACE))

    def __post_init__(self) -> None:
        object.__setattr__(self, "root", Path(self.root))

    @classmethod
    def of(cls, root: Path, options: SaysGrid) -> Results:
        """Of a job that says voxel size and space."""
        return cls(root, options.mm, Space.load(options.space))

    # -- preprocess ---------------------------------------------------------------------------
    def _anat(self, key: str, ending: str, folder: str | None = None) -> Path:
        """`ending` with the scan's contrast in place of "{contrast}"."""
        scan, contrast = scan_and_contrast(key)
        ending = ending.replace(WILDCARD, contrast)
        return self.root / (folder or folder_of(key)) / "anat" / f"{scan}_{ending}"

    @property
    def _res(self) -> str:
        return f"res-{resolution(self.mm)}"

    @property
    def _space(self) -> str:
        return f"space-{self.space.name}_{self._res}"

    def mask(self, key: str, folder: str | None = None) -> Path:
        """Brain mask on the native grid; of another contrast than T1w it names the scan's space."""
        own = "" if contrast_of(key) == T1W else "space-{contrast}_"
        return self._anat(key, f"{own}desc-brain_mask.nii.gz", folder)

    def brain(self, key: str, folder: str | None = None) -> Path:
        """Brain on the native grid."""
        return self._anat(key, "desc-brain_{contrast}.nii.gz", folder)

    def resampled(self, key: str, folder: str | None = None) -> Path:
        """Brain in subject space with isotropic voxels."""
        return self._anat(key, self._res + "_desc-brain_{contrast}.nii.gz", folder)

    def affine(self, key: str, folder: str | None = None) -> Path:
        """ITK affine that maps points of the template to points of the native scan."""
        ending = "from-{contrast}_to-" + f"{self.space.name}_mode-image_xfm.mat"
        return self._anat(key, ending, folder)

    def rigid(self, key: str, folder: str | None = None) -> Path:
        """ITK rigid transform from points of the session's T1w to points of another scan."""
        return self._anat(key, "from-{contrast}_to-T1w_mode-image_xfm.mat", folder)

    def preproc(self, key: str, folder: str | None = None) -> Path:
        """Whitened brain on the template grid, in [0, 1], background 0."""
        return self._anat(key, self._space + "_desc-preproc_{contrast}.nii.gz", folder)

    def dseg(self, key: str, folder: str | None = None) -> Path:
        """Labels on the template grid; `desc-` names another contrast than T1w."""
        own = "" if contrast_of(key) == T1W else "_desc-{contrast}"
        return self._anat(key, f"{self._space}{own}_dseg.nii.gz", folder)

    @property
    def template(self) -> Path:
        """Template brain on the common grid."""
        return self.resampled(self.space.key)

    @property
    def arrays(self) -> Path:
        """Images and labels of the training and validation subjects, packed for training."""
        return self.root / "train" / f"arrays_res-{resolution(self.mm)}.safetensors"

    # -- qc -----------------------------------------------------------------------------------
    def qc_page(self, key: str) -> Path:
        """Quality page of one scan."""
        return self.root / f"{key}.html"

    def qc_figure(self, key: str, name: str) -> Path:
        """A figure of it, one of QC_FIGURES; of the template: template."""
        scan, contrast = scan_and_contrast(key)
        return self.root / "figures" / f"{scan}_desc-{name}_{contrast}.svg"

    def qc_measures(self, key: str) -> Path:
        """Measures of one scan."""
        return self.root / "qc" / f"{key}.json"

    @property
    def qc(self) -> Path:
        """Measures of every scan, outliers marked."""
        return self.root / "qc.tsv"

    # -- train --------------------------------------------------------------------------------
    def training(self, method: str) -> Path:
        """Folder of a learned method: weights, model.json, history.tsv, checkpoints/."""
        return self.root / "train" / method

    def teacher_field(self, teacher: str, moving: str, fixed: str) -> Path:
        """ITK displacement field (LPS mm) that a teacher gives of a pair of training scans."""
        name = pair_name(moving, fixed)
        folder = self.root / "train" / "teachers" / teacher / name
        return folder / f"{name}_mode-image_xfm.nii.gz"

    def teacher_momentum(self, teacher: str, moving: str, fixed: str) -> Path:
        """Initial momentum that a teacher gives of a pair, where it shoots."""
        name = f"{pair_name(moving, fixed)}_desc-initial_momentum.safetensors"
        return self.teacher_field(teacher, moving, fixed).with_name(name)

    def taught(self, teacher: str, batch: str) -> Path:
        """List of one job's pairs of a teacher, written when all of them are whole."""
        return self.root / "train" / "teachers" / teacher / "batches" / f"{batch}.tsv"

    def targets(self, teacher: str, count: int | str) -> Path:
        """A teacher's fields of so many pairs, packed for training."""
        return self.root / "train" / "teachers" / f"{teacher}_pairs-{count}.safetensors"

    # -- register -----------------------------------------------------------------------------
    def pair(self, method: str, moving: str, fixed: str) -> Path:
        """Folder of one registered pair."""
        return self.root / "register" / method / pair_name(moving, fixed)

    def warped(self, method: str, moving: str, fixed: str) -> Path:
        """Moving image on the template grid, warped onto the fixed one."""
        name = f"{pair_name(moving, fixed)}_desc-warped_{contrast_of(moving)}.nii.gz"
        return self.pair(method, moving, fixed) / name

    def warped_dseg(self, method: str, moving: str, fixed: str) -> Path:
        """Moving labels, from native through affine and field in one resampling."""
        name = f"{pair_name(moving, fixed)}_desc-warped_dseg.nii.gz"
        return self.pair(method, moving, fixed) / name

    def field(self, method: str, moving: str, fixed: str) -> Path:
        """ITK displacement field (LPS mm) from points of the fixed to the moving brain."""
        name = f"{pair_name(moving, fixed)}_mode-image_xfm.nii.gz"
        return self.pair(method, moving, fixed) / name

    def momentum(self, method: str, moving: str, fixed: str) -> Path:
        """Initial momentum of the geodesic, of methods that shoot."""
        name = f"{pair_name(moving, fixed)}_desc-initial_momentum.safetensors"
        return self.pair(method, moving, fixed) / name

    def energies(self, method: str, moving: str, fixed: str) -> Path:
        """Terms of the energy at every iteration, of methods that descend one."""
        return self.pair(method, moving, fixed) / f"{pair_name(moving, fixed)}_desc-energy.tsv"

    def uncertainty(self, method: str, moving: str, fixed: str) -> Path:
        """Standard deviation of the displacement, mm, on the template grid."""
        name = f"{pair_name(moving, fixed)}_desc-uncertainty_map.nii.gz"
        return self.pair(method, moving, fixed) / name

    def uncertain(self, method: str, batch: str) -> Path:
        """List of one job's uncertainty maps, written when all of them are whole."""
        return self.root / "register" / method / "uncertainty" / f"{batch}.tsv"

    def levels(self, method: str) -> Path:
        """Folder of the fields that single levels of a method contribute, of the pairs shown."""
        return self.root / "register" / method / "levels"

    def level_field(self, method: str, moving: str, fixed: str, level: int) -> Path:
        """ITK displacement field (LPS mm) that one level alone gives, 1 the finest."""
        name = f"{pair_name(moving, fixed)}_desc-level{level}_mode-image_xfm.nii.gz"
        return self.levels(method) / name

    def registered(self, method: str, batch: str) -> Path:
        """List of one job's registered pairs, written when all of them are whole."""
        return self.root / "register" / method / "batches" / f"{batch}.tsv"

    # -- parcellate ---------------------------------------------------------------------------
    def parcellated(self, key: str, ending: str = "dseg.nii.gz") -> Path:
        """A file of a scan's labels from atlases: `dseg.nii.gz` lies on the scan's own grid."""
        scan, _ = scan_and_contrast(key)
        return self.root / "parcellate" / key / f"{scan}_{ending}"

    @property
    def volumes(self) -> Path:
        return self.root / "parcellate" / "volumes.tsv"

    # -- maps ---------------------------------------------------------------------------------
    @property
    def maps(self) -> Path:
        return self.root / "maps"

    def log_jacobian(self, key: str) -> Path:
        """Smoothed logarithm of the Jacobian in the template's space."""
        return self.maps / f"{key}_{self._space}_desc-logjacobian_map.nii.gz"

    # -- change -------------------------------------------------------------------------------
    def changed(self, subject: str, name: str) -> Path:
        """A file of what changed in one person."""
        return self.root / "change" / subject / name

    @property
    def changes(self) -> Path:
        """What changed in all persons."""
        return self.root / "change" / "change.tsv"

    # -- modalities ---------------------------------------------------------------------------
    def modalities(self, t1w: str, name: str) -> Path:
        """A file of the scans of one session on its T1w's grid, by the key of that T1w."""
        return self.root / "modalities" / t1w / name

    def overlay(self, key: str, t1w: str) -> Path:
        """A scan of another contrast on its session's T1w's grid."""
        scan, contrast = scan_and_contrast(key)
        return self.modalities(t1w, f"{scan}_space-T1w_{contrast}.nii.gz")

    # -- score and report ---------------------------------------------------------------------
    def scored(self, method: str, batch: str) -> Path:
        """Folder of the scores of one job's pairs."""
        return self.root / "score" / method / "batches" / batch

    def score(self, method: str) -> Path:
        """Folder of a method's score tables."""
        return self.root / "score" / method

    @property
    def summary(self) -> Path:
        return self.root / "score" / "summary.tsv"

    @property
    def beside_reference(self) -> Path:
        """Folder of the tables that set methods beside a reference method."""
        return self.root / "score" / "beside_reference"

    def compared(self, method: str, job: str) -> Path:
        """Folder of what one job found between a method's maps and its reference's."""
        return self.beside_reference / "jobs" / method / job

    @property
    def devices(self) -> Path:
        """Seconds by number of devices, where `benchmarks/devices.py` has measured them."""
        return self.root / "score" / "devices.tsv"

    @property
    def equivariance(self) -> Path:
        """Errors for moved images, where `benchmarks/equivariance.py` has measured them."""
        return self.root / "score" / "equivariance.tsv"

    @property
    def report(self) -> Path:
        return self.root / "report" / "index.html"

    @property
    def cohort(self) -> Path:
        return self.root / "cohort.tsv"

    @property
    def pairs(self) -> Path:
        return self.root / "pairs.tsv"

    @property
    def description(self) -> Path:
        return self.root / "dataset_description.json"
