"""Opening image files that nobody vouches for.

`open_image` reads the header and checks it; `OpenImage.read` then reads the voxels, never taking
more memory than the file really holds, and reads a compressed file to its end so that its
checksum is verified. Every fault ends in one InputError that names the file.
"""

from __future__ import annotations

import io
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pmrpipe.base.errors import InputError
from pmrpipe.images.orientation import voxel_to_world

FORMATS = "NIfTI (.nii, .nii.gz), Analyze (.hdr/.img) or FreeSurfer (.mgz)"
_COMPRESSED = (".gz", ".mgz", ".bz2", ".zst")
# Deflate cannot shrink data more than 1032 times (RFC 1951: 258 bytes in two bits).
_MOST_COMPRESSION = 1040
_MOST_VOXELS = 2**30
_CHUNK = 1 << 20


@dataclass(frozen=True)
class OpenImage:
    """A checked header: `path`, the nibabel `image` (voxels not read), `affine` voxel -> RAS mm."""

    path: Path
    image: Any
    affine: np.ndarray

    @property
    def shape(self) -> tuple[int, ...]:
        """Numbers of voxels; trailing axes of one voxel beyond the third are left out."""
        return _squeezed(self.image.shape)

    def read(self, dtype: Any = None) -> np.ndarray:
        """Voxel values of shape `self.shape`, scaled by slope and intercept as nibabel does.

        Parameters
        ----------
        dtype : smallest type of the result, None keeps integers that are not scaled as they are

        Raises
        ------
        InputError : truncated, corrupted, shorter than its header says
        """
        try:
            with np.errstate(over="ignore"):  # an overflow to infinity is the caller's to judge
                array = np.asarray(_in_memory(self.path, self.image.dataobj), dtype=dtype)
        except InputError:
            raise
        except Exception as error:  # a parser on arbitrary bytes raises anything
            raise InputError(self.path, f"is truncated or damaged ({_brief(error)})") from None
        return array.reshape(self.shape)


def open_image(path: str | os.PathLike[str], orientation: str | None = None) -> OpenImage:
    """Read and check the header of an image file.

    Parameters
    ----------
    path : NIfTI-1/2, Analyze or FreeSurfer file
    orientation : three letters such as "RAS" or "LPS": the directions in which the first, second
        and third voxel axis run (nibabel's convention). Used only where the header states none;
        the world origin is then put at the centre of the image.

    Raises
    ------
    InputError : missing, unreadable, not an image, singular affine, zero voxel size, no orientation
    """
    name = Path(path)
    _require_file(name)
    image = _load(name)
    _check_size(name, image)
    affine = voxel_to_world(name, image, orientation)
    return OpenImage(name, image, affine)


def _require_file(path: Path) -> None:
    try:
        if path.is_dir():
            raise InputError(path, "is a folder, not an image", "name the image file itself")
        with open(path, "rb") as handle:
            head = handle.read(132)
    except FileNotFoundError:
        raise InputError(path, "no such file") from None
    except (OSError, ValueError) as error:
        problem = getattr(error, "strerror", None) or str(error)
        raise InputError(path, f"cannot be read ({problem})") from None
    if not head:
        raise InputError(path, "is empty")
    if head[128:132] == b"DICM" or path.suffix.lower() == ".dcm":
        raise InputError(path, "is DICOM", "convert it to NIfTI with dcm2niix")


def _load(path: Path) -> Any:
    """The image with its header read, voxels left on disk."""
    import nibabel as nib
    from nibabel.freesurfer import MGHImage

    try:
        # nibabel reports what it repairs in a header on stderr; the checks here say it better.
        with nib.imageglobals.LoggingOutputSuppressor():
            image = nib.load(path, mmap=False)
            zooms = _raw_zooms(image)
    except FileNotFoundError as error:
        missing = Path(error.filename).name if error.filename else "one of its two files"
        raise InputError(path, f"lacks {missing}", "an Analyze pair is .hdr and .img") from None
    except Exception as error:  # a parser on arbitrary bytes raises anything
        problem = f"is truncated or not an image ({_brief(error)})"
        raise InputError(path, problem, f"give {FORMATS}") from None
    if not isinstance(image, nib.AnalyzeImage | MGHImage):
        raise InputError(
            path, f"is {type(image).__name__}, not a supported image", f"give {FORMATS}"
        )
    if not np.all(np.isfinite(zooms)) or np.any(zooms == 0):
        raise InputError(
            path, f"voxel size {_numbers(zooms)} mm in its header", "repair the header"
        )
    return image


def _raw_zooms(image: Any) -> np.ndarray:
    """Voxel sizes as they stand in the file: nibabel replaces zeros by ones."""
    if "pixdim" not in getattr(image.header, "keys", lambda: ())():
        return np.ones(3)
    holder = image.file_map.get("header", image.file_map["image"])
    with holder.get_prepare_fileobj("rb") as handle:
        header = type(image.header).from_fileobj(handle, check=False)
    return np.asarray(header["pixdim"][1:4], np.float64)


def _squeezed(shape: tuple[int, ...]) -> tuple[int, ...]:
    shape = tuple(int(n) for n in shape)
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    return shape


def _check_size(path: Path, image: Any) -> None:
    """The header must promise a readable number of plain numbers that the file can hold."""
    shape, dtype = image.shape, np.dtype(image.dataobj.dtype)
    if len(shape) < 3 or min(shape, default=0) < 1:
        raise InputError(path, f"has shape {_numbers(shape)}, not that of a 3D image")
    if dtype.kind not in "iufb":
        raise InputError(path, f"holds {dtype} values", "give an image of plain intensities")
    if math.prod(shape) > _MOST_VOXELS:
        raise InputError(path, f"its header promises {_numbers(shape)} voxels, which is too many")
    data_file = Path(image.file_map["image"].filename)
    most = data_file.stat().st_size * (_MOST_COMPRESSION if _is_compressed(data_file) else 1)
    if _bytes_needed(image.dataobj) > most:
        problem = f"is truncated: its header promises {_numbers(shape)} voxels of {dtype}"
        raise InputError(data_file, problem, "copy or convert it again")


def _bytes_needed(proxy: Any) -> int:
    return int(proxy.offset) + math.prod(proxy.shape) * np.dtype(proxy.dtype).itemsize


def _is_compressed(path: Path) -> bool:
    return path.suffix.lower() in _COMPRESSED


def _in_memory(path: Path, proxy: Any) -> Any:
    """The array proxy on the decompressed bytes, or itself when the file is not compressed."""
    from nibabel.openers import ImageOpener

    source = Path(proxy.file_like)
    if not _is_compressed(source):
        return proxy
    needed, content = _bytes_needed(proxy), io.BytesIO()
    with ImageOpener(str(source), "rb") as handle:
        while content.tell() < needed:
            chunk = handle.read(min(_CHUNK, needed - content.tell()))
            if not chunk:
                problem = f"ends after {content.tell()} of {needed} bytes"
                raise InputError(path, f"is truncated: {problem}", "copy or convert it again")
            content.write(chunk)
        while handle.read(_CHUNK):  # to the end, where the checksum stands
            pass
    spec = (proxy.shape, proxy.dtype, proxy.offset, proxy.slope, proxy.inter)
    return type(proxy)(content, spec, mmap=False, order=proxy.order)


def _numbers(values: Any) -> str:
    return "x".join(f"{value:g}" for value in values)


def _brief(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 120 else text[:117] + "..."
