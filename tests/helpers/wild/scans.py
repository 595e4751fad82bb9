"""What can be wrong with the files of one subject: headers and values.

Each corruption takes the subject's files and a random generator, and changes the files in place.
`HARMLESS` are those after which the chain must give what it gives for the whole files.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
from numpy.random import Generator


@dataclass(frozen=True)
class Files:
    """The files of one subject."""

    t1w: Path
    mask: Path
    labels: Path

    @property
    def all(self) -> tuple[Path, Path, Path]:
        return self.t1w, self.mask, self.labels


Corrupt = Callable[[Files, Generator], None]


def rewritten(path: Path, change: Callable[[nib.Nifti1Image], nib.Nifti1Image]) -> None:
    image = nib.load(path)
    loaded = nib.Nifti1Image(np.asanyarray(image.dataobj), image.affine, image.header)
    path.unlink()
    nib.save(change(loaded), path)


def with_data(path: Path, change: Callable[[np.ndarray], np.ndarray]) -> None:
    def changed(image: nib.Nifti1Image) -> nib.Nifti1Image:
        return nib.Nifti1Image(change(np.asarray(image.dataobj, np.float32)), image.affine)

    rewritten(path, changed)


def with_raw_header(path: Path, **fields: object) -> None:
    """Fields of the raw header, whatever nibabel thinks of them."""
    raw = bytearray(gzip.decompress(path.read_bytes()))
    header = np.frombuffer(bytes(raw), nib.Nifti1Header.template_dtype, 1).copy()
    for name, value in fields.items():
        header[name] = value
    raw[: header.nbytes] = header.tobytes()
    path.write_bytes(gzip.compress(bytes(raw)))


def header(**fields: object) -> Corrupt:
    """Of all three files, so that their grids agree."""

    def corrupt(files: Files, _: Generator) -> None:
        for path in files.all:
            with_raw_header(path, **fields)

    return corrupt


def values(change: Callable[[np.ndarray, Generator], np.ndarray]) -> Corrupt:
    return lambda files, draw: with_data(files.t1w, lambda data: change(data, draw))


def moved(change: Callable[[np.ndarray, Generator], np.ndarray]) -> Corrupt:
    """Another affine for all three files."""

    def corrupt(files: Files, draw: Generator) -> None:
        matrix = change(nib.load(files.t1w).affine, draw)
        for path in files.all:
            rewritten(path, lambda image: nib.Nifti1Image(np.asanyarray(image.dataobj), matrix))

    return corrupt


def typed(kind: type) -> Corrupt:
    return lambda files, _: rewritten(
        files.t1w,
        lambda image: nib.Nifti1Image(np.asarray(image.dataobj).astype(kind), image.affine),
    )


def stored(change: Callable[[nib.Nifti1Image], nib.Nifti1Image]) -> Corrupt:
    """The same image, its voxels stored in another order."""

    def corrupt(files: Files, _: Generator) -> None:
        for path in files.all:
            rewritten(path, change)

    return corrupt


def bytes_of(change: Callable[[bytes, Generator], bytes]) -> Corrupt:
    def corrupt(files: Files, draw: Generator) -> None:
        files.t1w.write_bytes(change(files.t1w.read_bytes(), draw))

    return corrupt


def _codes(sform: int, qform: int) -> Corrupt:
    """Both forms say the same; the codes say which of them counts."""

    def changed(image: nib.Nifti1Image) -> nib.Nifti1Image:
        image.set_sform(image.affine, 1)
        image.set_qform(image.affine, 1)
        return image

    def corrupt(files: Files, _: Generator) -> None:
        for path in files.all:
            rewritten(path, changed)
            with_raw_header(path, sform_code=sform, qform_code=qform)

    return corrupt


def _disagreeing(image: nib.Nifti1Image) -> nib.Nifti1Image:
    away = image.affine.copy()
    away[:3, 3] += (12, -7, 5)
    image.set_sform(image.affine, 1)
    image.set_qform(away, 1)
    return image


def _sheared(matrix: np.ndarray, draw: Generator) -> np.ndarray:
    shear = np.eye(4)
    shear[0, 1] = np.tan(np.deg2rad(draw.uniform(5, 20)))
    return shear @ matrix


def _turned(matrix: np.ndarray, draw: Generator) -> np.ndarray:
    angle = draw.uniform(-np.pi, np.pi)
    turn = np.eye(4)
    turn[1:3, 1:3] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    return turn @ matrix


def _scaled(factor: float) -> Corrupt:
    return moved(lambda matrix, _: np.diag([factor] * 3 + [1.0]) @ matrix)


def _shifted(matrix: np.ndarray, draw: Generator) -> np.ndarray:
    out = matrix.copy()
    out[:3, 3] += draw.uniform(-900, 900, 3)
    return out


def _spotted(data: np.ndarray, draw: Generator, value: float, count: int = 3) -> np.ndarray:
    out = data.copy()
    inside = np.argwhere(data > np.quantile(data, 0.8))
    for place in draw.choice(inside, count):
        out[tuple(place)] = value
    return out


def _put(data: np.ndarray, value: float) -> np.ndarray:
    out = data.copy()
    out[tuple(n // 2 for n in data.shape)] = value
    return out


def _half(files: Files, draw: Generator) -> None:
    axis = int(draw.integers(3))

    def cut(image: nib.Nifti1Image) -> nib.Nifti1Image:
        part = [slice(None)] * 3
        part[axis] = slice(0, image.shape[axis] // 2)
        return image.slicer[tuple(part)]

    for path in files.all:
        rewritten(path, cut)


def _of(which: str, change: Callable[[np.ndarray], np.ndarray]) -> Corrupt:
    return lambda files, _: with_data(getattr(files, which), change)


def _other_grid(which: str) -> Corrupt:
    return lambda files, _: rewritten(getattr(files, which), lambda image: image.slicer[1:, :, :])


def _many_volumes(count: int) -> Corrupt:
    return values(lambda data, _: np.stack([data] * count, axis=-1))


def _swapped(image: nib.Nifti1Image) -> nib.Nifti1Image:
    return image.as_reoriented(np.array([[2, -1], [0, 1], [1, -1]]))


def _flipped_byte(content: bytes, draw: Generator) -> bytes:
    out = bytearray(content)
    out[int(draw.integers(20, len(out) - 8))] ^= 0xFF
    return bytes(out)


def _empty_folder(files: Files, _: Generator) -> None:
    files.t1w.unlink()
    files.t1w.mkdir()


HARMLESS: dict[str, Corrupt] = {
    "sform alone": _codes(1, 0),
    "qform alone": _codes(0, 1),
    "sform and qform disagree": stored(_disagreeing),
    "one volume of four dimensions": _many_volumes(1),
    "scl_slope 0": lambda files, _: with_raw_header(files.t1w, scl_slope=0, scl_inter=0),
    "scl_slope NaN": lambda files, _: with_raw_header(files.t1w, scl_slope=np.nan),
    "voxels in another order": stored(_swapped),
    "units of micrometres": header(xyzt_units=3),
    "units unknown": header(xyzt_units=0),
    "double precision": typed(np.float64),
    "integers": typed(np.int16),
    "one hot voxel": values(lambda data, draw: _spotted(data, draw, 1e7, 1)),
    "some hot voxels": values(lambda data, draw: _spotted(data, draw, 3e5, 5)),
    "tiny values": values(lambda data, _: data * 1e-12),
    "huge values": values(lambda data, _: data * 1e12),
    "far from the origin": moved(_shifted),
}
# After these the chain may refuse, or give a result: that of the whole files, or a doubtful one.
DAMAGES: dict[str, Corrupt] = {
    "no form at all": _codes(0, 0),
    "NaN in the affine": header(srow_x=[[np.nan, 0, 0, 0]], sform_code=1),
    "infinity in the affine": header(srow_y=[[0, np.inf, 0, 0]], sform_code=1),
    "a row of zeros in the affine": header(srow_z=[[0, 0, 0, 0]], sform_code=1),
    "voxels of no size": header(pixdim=[[1, 0, 0, 0, 1, 1, 1, 1]]),
    "voxels of negative size": header(pixdim=[[1, -4, -4, -4, 1, 1, 1, 1]]),
    "NaN in the voxel size": header(pixdim=[[1, np.nan, 4, 4, 1, 1, 1, 1]], sform_code=0),
    "two volumes": _many_volumes(2),
    "one slice": values(lambda data, _: data[:, :, :1]),
    "colours": lambda files, _: with_raw_header(files.t1w, datatype=128, bitpix=24),
    "an unknown type": lambda files, _: with_raw_header(files.t1w, datatype=3),
    "no dimensions": lambda files, _: with_raw_header(files.t1w, dim=[[0] * 8]),
    "dimensions that the data lack": lambda files, _: with_raw_header(
        files.t1w, dim=[[3, 500, 500, 500, 1, 1, 1, 1]]
    ),
    "no magic": lambda files, _: with_raw_header(files.t1w, magic=b"xxxx"),
    "data that begin elsewhere": lambda files, _: with_raw_header(files.t1w, vox_offset=9000),
    "cut short": bytes_of(lambda content, draw: content[: int(draw.integers(30, 9000))]),
    "a damaged byte": bytes_of(_flipped_byte),
    "no gzip": bytes_of(lambda content, _: gzip.decompress(content)),
    "gzip twice": bytes_of(lambda content, _: gzip.compress(content)),
    "empty": bytes_of(lambda content, _: b""),
    "a page of a login": bytes_of(lambda content, _: b"<!DOCTYPE html><html>Sign in</html>\n" * 40),
    "a folder in place of the file": _empty_folder,
    "complex": typed(np.complex64),
    "one NaN": values(lambda data, _: _put(data, np.nan)),
    "NaN around": values(lambda data, _: np.where(data > 0, data, np.nan)),
    "NaN alone": values(lambda data, _: data * np.nan),
    "infinity": values(lambda data, _: _put(data, np.inf)),
    "zero alone": values(lambda data, _: data * 0),
    "constant": values(lambda data, _: data * 0 + 7),
    "negative": values(lambda data, _: -data),
    "shifted below zero": values(lambda data, _: data - 1000),
    "noise alone": values(lambda data, draw: draw.random(data.shape).astype(np.float32)),
    "inverted": values(lambda data, _: data.max() - data),
    "sheared": moved(_sheared),
    "turned": moved(_turned),
    "micrometres in the affine": _scaled(1000),
    "metres in the affine": _scaled(0.001),
    "half the size": _scaled(0.5),
    "twice the size": _scaled(2),
    "half the head": _half,
    "mask of nothing": _of("mask", lambda data: data * 0),
    "mask of everything": _of("mask", lambda data: data * 0 + 1),
    "mask of three values": _of("mask", lambda data: data * (1 + np.indices(data.shape)[0] % 3)),
    "mask on another grid": _other_grid("mask"),
    "labels on another grid": _other_grid("labels"),
    "labels with fractions": _of("labels", lambda data: data + 0.4),
    "negative labels": _of("labels", lambda data: -data),
    "no label": _of("labels", lambda data: data * 0),
}  # fmt: skip
EVERY = HARMLESS | DAMAGES


def corruption(number: int) -> tuple[str, Corrupt]:
    """The corruption of that number and its name; they come in turn."""
    name = list(EVERY)[number % len(EVERY)]
    return name, EVERY[name]
