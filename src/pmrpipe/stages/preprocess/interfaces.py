"""One Nipype interface per step, around the functions of `steps`.

Nothing in Nipype wraps antspyx; these do. Each writes its files under the node's folder, named as
its inputs say. Import this module through `workflow`, which keeps Nipype's telemetry and personal
configuration out of the way.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from nipype.interfaces.base import (
    BaseInterfaceInputSpec,
    File,
    SimpleInterface,
    TraitedSpec,
    isdefined,
    traits,
)

from pmrpipe.base.errors import PmrpipeError
from pmrpipe.stages.preprocess import steps


class _StepInterface(SimpleInterface):
    """Runs `_step` in the node's folder, and keeps the error for the workflow.

    Nipype turns an exception into a long text with a traceback; the one-line error is taken from
    `failures` instead.
    """

    failures: ClassVar[list[PmrpipeError]] = []

    def _run_interface(self, runtime: Any) -> Any:
        given = {k: _plain(v) for k, v in self.inputs.get().items() if isdefined(v)}
        outputs = {k: Path(runtime.cwd) / v for k, v in given.items() if k.startswith("out_")}
        try:
            self._step(**given | outputs)
        except PmrpipeError as error:
            self.failures.append(error)
            raise
        self._results.update({k: str(path) for k, path in outputs.items()})
        return runtime

    def _step(self, **given: Any) -> None:
        raise NotImplementedError


def _plain(value: Any) -> Any:
    return Path(value) if isinstance(value, str) and Path(value).is_absolute() else value


class _BrainInputSpec(BaseInterfaceInputSpec):
    t1w = File(exists=True, mandatory=True, desc="T1w scan as it comes, any orientation")
    out_mask = traits.Str(mandatory=True, desc="file name of the brain mask")
    out_brain = traits.Str(mandatory=True, desc="file name of the brain")
    state = traits.Enum("head", "brain", usedefault=True, desc="what the scan holds")
    method = traits.Enum(
        "deepbet", "template", "mask", "nonzero", usedefault=True, desc="brain extraction"
    )
    mask = File(exists=True, desc="existing brain mask on the grid of the scan")
    head_template = File(exists=True, desc="whole head, for the method template")
    brain_template = File(exists=True, desc="its brain probability, mask or extracted brain")
    orientation = traits.Str(desc="directions of the voxel axes, for headers that state none")
    n4 = traits.Bool(False, usedefault=True, desc="correct the brain's intensity bias")
    threads = traits.Range(low=1, value=1, usedefault=True, desc="number of threads")


class _BrainOutputSpec(TraitedSpec):
    out_mask = File(exists=True, desc="brain mask (0, 1) on the native grid")
    out_brain = File(exists=True, desc="brain on the native grid, background 0")


class ExtractBrain(_StepInterface):
    """Brain mask and brain on the native grid."""

    input_spec = _BrainInputSpec
    output_spec = _BrainOutputSpec

    def _step(self, **given: Any) -> None:
        steps.brain(**given)


class _ResampleInputSpec(BaseInterfaceInputSpec):
    brain = File(exists=True, mandatory=True, desc="brain on the native grid")
    out_file = traits.Str(mandatory=True, desc="file name of the isotropic brain")
    mm = traits.Float(1.0, usedefault=True, desc="voxel size (mm)")


class _ResampleOutputSpec(TraitedSpec):
    out_file = File(exists=True, desc="brain with isotropic voxels, axes along RAS (mm)")


class ResampleIsotropic(_StepInterface):
    """Isotropic voxels in subject space."""

    input_spec = _ResampleInputSpec
    output_spec = _ResampleOutputSpec

    def _step(self, *, out_file: Path, **given: Any) -> None:
        steps.resample(out=out_file, **given)


class _AffineInputSpec(BaseInterfaceInputSpec):
    brain_iso = File(exists=True, mandatory=True, desc="brain with isotropic voxels")
    template = File(exists=True, mandatory=True, desc="template brain")
    out_mat = traits.Str(mandatory=True, desc="file name of the affine")
    out_json = traits.Str(mandatory=True, desc="file name of its sidecar")
    subject = traits.Str(mandatory=True, desc="name for messages")
    seed = traits.Int(2019, usedefault=True, desc="random seed of the sampling")
    threads = traits.Range(low=1, value=1, usedefault=True, desc="number of threads of ITK")


class _AffineOutputSpec(TraitedSpec):
    out_mat = File(exists=True, desc="ITK affine, template points to scan points (LPS mm)")
    out_json = File(exists=True, desc="direction, frame, units and quality")


class NormaliseAffine(_StepInterface):
    """Affine normalisation to the template by antspyx."""

    input_spec = _AffineInputSpec
    output_spec = _AffineOutputSpec

    def _step(self, **given: Any) -> None:
        steps.affine(**given)


class _WhitenInputSpec(BaseInterfaceInputSpec):
    brain = File(exists=True, mandatory=True, desc="brain on the native grid")
    mask = File(exists=True, mandatory=True, desc="brain mask on the native grid")
    xfm = File(exists=True, mandatory=True, desc="ITK affine, template to scan points (LPS mm)")
    template = File(exists=True, mandatory=True, desc="image on the template grid")
    out_file = traits.Str(mandatory=True, desc="file name of the whitened brain")


class _WhitenOutputSpec(TraitedSpec):
    out_file = File(exists=True, desc="brain on the template grid, in [0, 1], background 0")


class Whiten(_StepInterface):
    """One resampling from native to the template grid, and whitening."""

    input_spec = _WhitenInputSpec
    output_spec = _WhitenOutputSpec

    def _step(self, *, out_file: Path, **given: Any) -> None:
        steps.whiten(out=out_file, **given)


class _LabelsInputSpec(BaseInterfaceInputSpec):
    dseg = File(exists=True, mandatory=True, desc="label map on the native grid")
    t1w = File(exists=True, mandatory=True, desc="its T1w scan")
    xfm = File(exists=True, mandatory=True, desc="ITK affine, template to scan points (LPS mm)")
    template = File(exists=True, mandatory=True, desc="image on the template grid")
    out_file = traits.Str(mandatory=True, desc="file name of the labels")
    interpolation = traits.Enum("nearest", "genericLabel", usedefault=True, desc="of the labels")
    orientation = traits.Str(desc="directions of the voxel axes, for headers that state none")


class _LabelsOutputSpec(TraitedSpec):
    out_file = File(exists=True, desc="labels on the template grid")


class ResampleLabels(_StepInterface):
    """One resampling of the labels from native to the template grid."""

    input_spec = _LabelsInputSpec
    output_spec = _LabelsOutputSpec

    def _step(self, *, out_file: Path, **given: Any) -> None:
        steps.labels(out=out_file, **given)
