"""One Nipype interface per step, around the `run` of its module.

Nothing in Nipype wraps antspyx; these do. Each writes its files under the node's folder, named as
its inputs say. Import this module through `workflow`, which keeps Nipype's telemetry and personal
configuration out of the way.
"""

from __future__ import annotations

from collections.abc import Callable
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
from pmrpipe.stages.preprocess import affine, brain, coregister, labels, resample, whiten
from pmrpipe.study.options.common import Options
from pmrpipe.study.options.flags import Flag, flags
from pmrpipe.study.options.preprocessing import (
    Coregistration,
    Extraction,
    Labelling,
    Normalisation,
    Voxels,
    Whitening,
)


class _StepInterface(SimpleInterface):
    """Runs `_step` in the node's folder, and keeps the error for the workflow.

    Nipype turns an exception into a long text with a traceback; the one-line error is taken from
    `failures` instead.
    """

    failures: ClassVar[list[PmrpipeError]] = []
    # The step on files, and its kind of options: traits of their names are handed on as one.
    _step: ClassVar[Callable[..., None]]
    _options: ClassVar[type[Options] | None] = None

    def _run_interface(self, runtime: Any) -> Any:
        values = {k: _plain(v) for k, v in self.inputs.get().items() if isdefined(v)}
        outputs = {k: Path(runtime.cwd) / v for k, v in values.items() if k.startswith("out_")}
        try:
            type(self)._step(**self._arguments(values | outputs))
        except PmrpipeError as error:
            self.failures.append(error)
            raise
        self._results.update({k: str(path) for k, path in outputs.items()})
        return runtime

    def _arguments(self, values: dict[str, Any]) -> dict[str, Any]:
        if "out_file" in values:
            values["out"] = values.pop("out_file")
        if self._options is None:
            return values
        own = {name: values.pop(name) for name in self._options.model_fields if name in values}
        return values | {"options": self._options(**own)}


def _plain(value: Any) -> Any:
    return Path(value) if isinstance(value, str) and Path(value).is_absolute() else value


def _with_options(
    name: str, spec: type[BaseInterfaceInputSpec], model: type[Options]
) -> type[BaseInterfaceInputSpec]:
    """An input specification with a trait for each option too; `name` is where it is found."""
    options = {flag.field: _trait(flag) for flag in flags(model)}
    return type(name, (spec,), {"__module__": __name__} | options)


def _trait(flag: Flag) -> Any:
    if flag.default is None:
        text = {"desc": flag.description}
        return File(exists=True, **text) if flag.path else traits.Str(**text)
    if flag.choices:
        first = (flag.default, *(item for item in flag.choices if item != flag.default))
        return traits.Enum(*first, usedefault=True, desc=flag.description)
    kinds = {bool: traits.Bool, int: traits.Int, float: traits.Float}
    return kinds[type(flag.default)](flag.default, usedefault=True, desc=flag.description)


class _BrainFiles(BaseInterfaceInputSpec):
    t1w = File(exists=True, mandatory=True, desc="T1w scan as it comes, any orientation")
    out_mask = traits.Str(mandatory=True, desc="file name of the brain mask")
    out_brain = traits.Str(mandatory=True, desc="file name of the brain")


_BrainInputSpec = _with_options("_BrainInputSpec", _BrainFiles, Extraction)


class _BrainOutputSpec(TraitedSpec):
    out_mask = File(exists=True, desc="brain mask (0, 1) on the native grid")
    out_brain = File(exists=True, desc="brain on the native grid, background 0")


class ExtractBrain(_StepInterface):
    """Brain mask and brain on the native grid."""

    input_spec = _BrainInputSpec
    output_spec = _BrainOutputSpec
    _step, _options = staticmethod(brain.run), Extraction


class _ResampleFiles(BaseInterfaceInputSpec):
    brain = File(exists=True, mandatory=True, desc="brain on the native grid")
    out_file = traits.Str(mandatory=True, desc="file name of the isotropic brain")


_ResampleInputSpec = _with_options("_ResampleInputSpec", _ResampleFiles, Voxels)


class _ResampleOutputSpec(TraitedSpec):
    out_file = File(exists=True, desc="brain with isotropic voxels, axes along RAS (mm)")


class ResampleIsotropic(_StepInterface):
    """Isotropic voxels in subject space."""

    input_spec = _ResampleInputSpec
    output_spec = _ResampleOutputSpec
    _step, _options = staticmethod(resample.run), Voxels


class _CoregistrationFiles(BaseInterfaceInputSpec):
    scan = File(exists=True, mandatory=True, desc="scan as it comes, any contrast")
    t1w_brain = File(exists=True, mandatory=True, desc="brain of the session's T1w")
    t1w_mask = File(exists=True, mandatory=True, desc="its mask")
    out_mat = traits.Str(mandatory=True, desc="file name of the rigid transform")
    out_json = traits.Str(mandatory=True, desc="file name of its sidecar")
    subject = traits.Str(mandatory=True, desc="key of the scan")


_CoregistrationInputSpec = _with_options(
    "_CoregistrationInputSpec", _CoregistrationFiles, Coregistration
)


class _CoregistrationOutputSpec(TraitedSpec):
    out_mat = File(exists=True, desc="ITK rigid transform, T1w points to scan points (LPS mm)")
    out_json = File(exists=True, desc="direction, frame, units and quality")


class Coregister(_StepInterface):
    """Rigid transform to the T1w of the session by antspyx."""

    input_spec = _CoregistrationInputSpec
    output_spec = _CoregistrationOutputSpec
    _step, _options = staticmethod(coregister.run), Coregistration


class _AffineFiles(BaseInterfaceInputSpec):
    brain = File(exists=True, mandatory=True, desc="brain with isotropic voxels")
    template = File(exists=True, mandatory=True, desc="template brain")
    out_mat = traits.Str(mandatory=True, desc="file name of the affine")
    out_json = traits.Str(mandatory=True, desc="file name of its sidecar")
    subject = traits.Str(mandatory=True, desc="name for messages")


_AffineInputSpec = _with_options("_AffineInputSpec", _AffineFiles, Normalisation)


class _AffineOutputSpec(TraitedSpec):
    out_mat = File(exists=True, desc="ITK affine, template points to scan points (LPS mm)")
    out_json = File(exists=True, desc="direction, frame, units and quality")


class NormaliseAffine(_StepInterface):
    """Affine normalisation to the template by antspyx."""

    input_spec = _AffineInputSpec
    output_spec = _AffineOutputSpec
    _step, _options = staticmethod(affine.run), Normalisation


class _WhitenFiles(BaseInterfaceInputSpec):
    brain = File(exists=True, mandatory=True, desc="brain on the native grid")
    mask = File(exists=True, mandatory=True, desc="brain mask on the native grid")
    xfm = File(exists=True, mandatory=True, desc="ITK affine, template to scan points (LPS mm)")
    template = File(exists=True, mandatory=True, desc="image on the template grid")
    out_file = traits.Str(mandatory=True, desc="file name of the whitened brain")


_WhitenInputSpec = _with_options("_WhitenInputSpec", _WhitenFiles, Whitening)


class _WhitenOutputSpec(TraitedSpec):
    out_file = File(exists=True, desc="brain on the template grid, in [0, 1], background 0")


class Whiten(_StepInterface):
    """One resampling from native to the template grid, and whitening."""

    input_spec = _WhitenInputSpec
    output_spec = _WhitenOutputSpec
    _step, _options = staticmethod(whiten.run), Whitening


class _LabelFiles(BaseInterfaceInputSpec):
    dseg = File(exists=True, mandatory=True, desc="label map on the native grid")
    t1w = File(exists=True, mandatory=True, desc="its T1w scan")
    xfm = File(exists=True, mandatory=True, desc="ITK affine, template to scan points (LPS mm)")
    template = File(exists=True, mandatory=True, desc="image on the template grid")
    out_file = traits.Str(mandatory=True, desc="file name of the labels")


_LabelsInputSpec = _with_options("_LabelsInputSpec", _LabelFiles, Labelling)


class _LabelsOutputSpec(TraitedSpec):
    out_file = File(exists=True, desc="labels on the template grid")


class ResampleLabels(_StepInterface):
    """One resampling of the labels from native to the template grid."""

    input_spec = _LabelsInputSpec
    output_spec = _LabelsOutputSpec
    _step, _options = staticmethod(labels.run), Labelling
