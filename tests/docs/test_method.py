"""docs/how-to/method.md, followed: its files are written into a folder, trained and used."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from pmrpipe.images.volume import Grid
from pmrpipe.methods.batch import Batch
from pmrpipe.methods.deformation import Deformation
from pmrpipe.methods.load import build, build_network, load_method
from pmrpipe.methods.spec import MethodSpec, spec
from pmrpipe.stages.train.fit import fit
from pmrpipe.stages.train.validation import mean_dice, validation_pairs
from pmrpipe.study.pack import Arrays, open_arrays
from tests.helpers.embedded_pack import TRAIN, VALIDATION, write_embedded_pack
from tests.helpers.parts import grid_of

from .pages import DOCS, blocks

PAGE = DOCS / "how-to" / "method.md"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The page's files; a block that is no whole file is left out."""
    for block in blocks(PAGE):
        if block.title and not block.text.startswith(" "):
            (tmp_path / block.title).write_text(block.text, encoding="utf-8")
    monkeypatch.setattr(sys, "path", list(sys.path))
    for path in tmp_path.glob("*.py"):
        # What is loaded of it is forgotten afterwards: the next test has a folder of its own.
        monkeypatch.delitem(sys.modules, path.stem, raising=False)
    yield tmp_path
    for path in tmp_path.glob("*.py"):
        sys.modules.pop(path.stem, None)


def balls(shift: int = 2) -> tuple[torch.Tensor, torch.Tensor, Grid]:
    """A soft ball, the same one shifted along the second axis, and their grid."""
    grid = Grid((24, 24, 24), np.diag([4.0, 4.0, 4.0, 1.0]))
    points = torch.stack(torch.meshgrid(*[torch.arange(24.0)] * 3, indexing="ij")) - 11.5
    fixed = torch.sigmoid(2 * (6 - points.square().sum(0).sqrt()))[None, None]
    return fixed.roll(shift, 3), fixed, grid


def with_huber(folder: Path) -> MethodSpec:
    """The first method with the similarity of the page's second section."""
    changed = next(b.text for b in blocks(PAGE) if b.text.startswith("  similarity"))
    content = yaml.safe_load((folder / "two-steps.yaml").read_text(encoding="utf-8"))
    content["parameters"] |= yaml.safe_load(changed)
    (folder / "huber.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    return spec(str(folder / "huber.yaml"))


def test_the_page_has_every_file_that_it_speaks_of(folder: Path) -> None:
    names = {path.name for path in folder.iterdir()}
    assert names == {
        "two-steps.yaml", "huber.py", "centre.py", "centre.yaml", "shift.py", "shift.yaml"
    }  # fmt: skip


def test_a_method_out_of_parts_is_built_with_two_networks_and_begins_as_the_identity(
    folder: Path,
) -> None:
    chosen = spec(str(folder / "two-steps.yaml"))
    assert {"pmrpipe.methods.operators", "pmrpipe.losses.consistency"} <= set(chosen.modules())
    method = build_network(chosen)
    one, other = (step.step.network for step in method.steps.steps)
    assert one is not other
    moving, fixed, grid = balls()
    deformation = method.register(moving, fixed, grid)
    assert float(deformation.displacement.abs().max()) < 1e-5
    assert deformation.inverse_consistency(fixed[0, 0] > 0.5) < 1e-4


def textured() -> Batch:
    """Smooth noise, and the same shifted by one voxel."""
    noise = torch.rand(1, 1, 24, 24, 24, generator=torch.Generator().manual_seed(0))
    moving = torch.nn.functional.avg_pool3d(noise, 7, 1, 3) * 6 - 2.5
    return Batch(moving, moving.roll(1, 3), grid_of(moving))


def test_its_loss_falls(folder: Path) -> None:
    method = build_network(spec(str(folder / "two-steps.yaml")))
    optimiser = torch.optim.Adam(method.parameters(), 1e-3)
    losses = []
    for _ in range(20):
        terms = method.objective(textured())
        optimiser.zero_grad()
        terms["total"].backward()
        optimiser.step()
        losses.append(float(terms["total"].detach()))
    assert set(terms) == {"image", "image_back", "inverse", "total"}
    assert losses[-1] < 0.7 * losses[0]
    assert all(p.grad is not None for p in method.parameters())


def test_a_similarity_of_one_s_own_is_what_it_is_trained_by(folder: Path) -> None:
    chosen, batch = with_huber(folder), textured()
    assert "huber" in chosen.modules()
    terms = build_network(chosen).objective(batch)
    # A new step moves nothing yet.
    expected = torch.nn.functional.huber_loss(batch.moving, batch.fixed, delta=0.1)
    assert torch.isclose(terms["image"], expected, rtol=1e-3)


def test_a_method_of_one_s_own_registers(folder: Path) -> None:
    moving, fixed, grid = balls()
    _, method = load_method(str(folder / "centre.yaml"))
    deformation = method.register(moving, fixed, grid)
    assert float((deformation.apply(moving) - fixed).abs().max()) < 1e-3
    assert deformation.inverse_consistency(fixed[0, 0] > 0.5) == pytest.approx(0, abs=1e-5)
    assert np.allclose(deformation.millimetres()[12, 12, 12], [0, 8, 0], atol=1e-2)


def test_a_network_of_one_s_own_learns_a_shift(folder: Path) -> None:
    method = build(spec(str(folder / "shift.yaml")))
    moving, fixed, grid = balls(1)
    optimiser = torch.optim.Adam(method.parameters(), 2e-2)
    for _ in range(60):
        optimiser.zero_grad()
        method.objective(Batch(moving, fixed, grid))["total"].backward()
        optimiser.step()
    displacement = method.register(moving, fixed, grid).displacement[0, :, 0, 0, 0]
    assert torch.allclose(displacement, torch.tensor([0.0, 1.0, 0.0]), atol=0.2)
    assert grid_of(fixed).shape == grid.shape


def validation_dice(arrays: Arrays, deform) -> float:  # type: ignore[no-untyped-def]
    """Mean over the validation pairs of the mean Dice of all labels."""
    labels, scores = torch.tensor(arrays.labels), []
    for moving, fixed in validation_pairs(TRAIN, VALIDATION):
        images = [arrays.image(key, arrays.grid.shape) for key in (moving, fixed)]
        maps = (arrays.dseg(key) for key in (fixed, moving))
        scores.append(mean_dice(*maps, deform(*images), labels))
    return float(np.mean(scores))


@pytest.mark.slow
def test_after_150_steps_it_stands_above_the_affine(folder: Path, tmp_path: Path) -> None:
    """On the embedded cohort's validation subject, at 4 mm, through the training code."""
    pack = write_embedded_pack(tmp_path / "arrays.safetensors")
    name = str(folder / "two-steps.yaml")
    fit(spec(name), pack, tmp_path / "fit", train=TRAIN, validation=VALIDATION, device="cpu")
    arrays = open_arrays(pack)
    _, method = load_method(name, weights=tmp_path / "fit")

    def still(moving: torch.Tensor, fixed: torch.Tensor) -> Deformation:
        return Deformation(torch.zeros(1, 3, *arrays.grid.shape), arrays.grid)

    affine = validation_dice(arrays, still)
    trained = validation_dice(arrays, lambda *images: method.register(*images, arrays.grid))
    assert 0.3 < affine < 0.6
    assert trained > affine + 0.03
