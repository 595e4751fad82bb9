"""Files of a template that a study makes, `template/NAME/`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pmrpipe.study.keys import resolution
from pmrpipe.study.paths import Results


@dataclass(frozen=True)
class TemplatePaths:
    """Paths below `folder`; `mm` is the voxel size of the template's grid."""

    folder: Path
    name: str
    mm: float = 1.0

    @classmethod
    def of(cls, results: Results, name: str) -> TemplatePaths:
        """Of a template of one cohort's results."""
        return cls(results.root / "template" / name, name, results.mm)

    def _image(self, ending: str) -> Path:
        return self.folder / f"tpl-{self.name}_res-{resolution(self.mm)}_{ending}.nii.gz"

    @property
    def brain(self) -> Path:
        """The template, in [0, 1], background 0."""
        return self._image("desc-brain_T1w")

    def along(self, contrast: str) -> Path:
        """The template in another contrast, in [0, 1], background 0."""
        return self._image(f"desc-brain_{contrast}")

    @property
    def mask(self) -> Path:
        """Where most of the warped brains are."""
        return self._image("desc-brain_mask")

    @property
    def dseg(self) -> Path:
        """The labels of most scans."""
        return self._image("dseg")

    @property
    def space(self) -> Path:
        """The YAML by which later studies name the template as their space."""
        return self.folder / f"tpl-{self.name}.yaml"

    @property
    def rounds(self) -> Path:
        """What each round did."""
        return self.folder / "rounds.tsv"

    @property
    def subjects(self) -> Path:
        """How each scan fits."""
        return self.folder / "subjects.tsv"

    @property
    def page(self) -> Path:
        return self.folder / "index.html"

    def field(self, key: str) -> Path:
        """ITK field from points of the template to points of the preprocessed scan."""
        return self.folder / "transforms" / f"{key}_to-{self.name}_mode-image_xfm.nii.gz"

    def round_template(self, number: int) -> Path:
        """The template after a round; 0 is what the rounds begin with."""
        return self._round(number) / "template.nii.gz"

    def round_mask(self, number: int) -> Path:
        """Its brain mask."""
        return self._round(number) / "mask.nii.gz"

    def round_field(self, number: int, key: str) -> Path:
        """What the registration of a scan to the template of the round before says."""
        return self._round(number) / f"{key}_mode-image_xfm.nii.gz"

    def _round(self, number: int) -> Path:
        return self.folder / "rounds" / f"round-{number:02d}"
