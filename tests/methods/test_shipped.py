"""The weights in the package: whose data they saw, and what they do on brains they never saw."""

from __future__ import annotations

import pytest
import torch

from pmrpipe.base.errors import InputError
from pmrpipe.base.files import read_json, write_json
from pmrpipe.methods.deformation import Deformation
from pmrpipe.methods.load import load_method, shipped_weights
from pmrpipe.methods.refine import Refined, Refinement
from pmrpipe.methods.spec import names, spec
from pmrpipe.methods.weights import MODEL, WEIGHTS
from pmrpipe.spatial.integrate import integrate
from pmrpipe.spatial.resize import resize_displacement
from pmrpipe.spatial.warp import warp
from pmrpipe.stages.train import ship as shipping
from pmrpipe.study.space import template_brain

SHIPPED = [name for name in names() if shipped_weights(name)]


@pytest.fixture(scope="module")
def brain():
    """The template's brain at 2 mm without its blurred rim, and its grid; no network saw it."""
    volume = template_brain(2.0)
    image = torch.from_numpy(volume.data)[None, None]
    return torch.where(image > 0.3, image, 0), volume.grid


@pytest.fixture(scope="module")
def method():
    return load_method("pmr-plus", weights=shipped_weights("pmr-plus"))[1]


def missed(deformation: Deformation, truth: torch.Tensor, image: torch.Tensor) -> float:
    """Mean distance in mm over the brain, on a grid of 2 mm."""
    field = resize_displacement(deformation.displacement, image.shape[2:])
    return float(2 * (field - truth).square().sum(1).sqrt()[image[0] > 0].mean())


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_network_says_where_it_comes_from(name):
    folder = shipped_weights(name)
    assert (folder / WEIGHTS).stat().st_size < 10_000_000
    model = read_json(folder / MODEL)
    assert model["data"]["License"] == "CC0"
    assert model["data"]["DatasetDOI"]
    assert len(model["train"]) >= 20
    assert model["hours"] > 0.5 or model["init_sha256"] is not None
    assert "dirty" not in model["commit"]
    assert model["network_mm"] == spec(name).network_mm
    assert _plain(model["specification"]["parameters"]) == _plain(spec(name).parameters)


def test_pmr_plus_is_shipped():
    assert "pmr-plus" in SHIPPED


def test_the_same_brain_stays_where_it_is(method, brain):
    image, grid = brain
    refined = Refined(method, Refinement(steps=20))
    for way, most in ((method, 0.01), (refined, 0.3)):
        assert missed(way.register(image, image, grid), torch.zeros(1), image) < most


@pytest.fixture(scope="module")
def warped(brain):
    """The brain after a known warp, and the displacement that undoes it."""
    image, grid = brain
    knots = 0.3 * torch.randn(1, 3, 8, 10, 8, generator=torch.Generator().manual_seed(0))
    velocity = resize_displacement(knots, grid.shape)
    return warp(image, integrate(velocity)), integrate(-velocity)


def test_a_known_warp_is_mostly_found_and_more_so_when_refined(method, brain, warped):
    image, grid = brain
    moving, truth = warped
    before = missed(Deformation(torch.zeros_like(truth), grid), truth, image)
    network, refined = (
        missed(way.register(moving, image, grid), truth, image)
        for way in (method, Refined(method, Refinement(steps=20)))
    )
    assert before > 3
    assert network < 0.6 * before
    assert refined < 0.4 * before


def test_the_network_of_contrasts_needs_no_common_contrast(brain, warped):
    """Bright for dark in one of the images, which are not made alike first."""
    image, grid = brain
    moving, truth = warped
    other = torch.where(moving > 0, 1.05 - moving, 0).clamp(0, 1)
    before = missed(Deformation(torch.zeros_like(truth), grid), truth, image)
    known, unknown = (
        missed(network.register(other, image, grid), truth, image)
        for network in (
            load_method(name, weights=shipped_weights(name))[1]
            for name in ("pmr-plus-contrasts", "pmr-plus")
        )
    )
    assert known < 0.8 * before
    assert known < 0.9 * unknown


def test_both_directions_undo_each_other(method, brain, warped):
    image, grid = brain
    deformation = method.register(warped[0], image, grid)
    assert deformation.inverse_consistency(image[0, 0] > 0) < 0.3
    assert float(deformation.jacobian().min()) > 0


def trained(tmp_path, **changes):
    folder = shipped_weights("pmr-plus")
    (tmp_path / "trained").mkdir()
    (tmp_path / "trained" / WEIGHTS).write_bytes((folder / WEIGHTS).read_bytes())
    write_json(tmp_path / "trained" / MODEL, read_json(folder / MODEL) | changes)
    return tmp_path / "trained"


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Another place than the package's own."""
    monkeypatch.setattr(shipping, "shipped_folder", lambda name: tmp_path / "package" / name)
    return tmp_path / "package"


def test_ship_copies_weights_and_names_their_data(tmp_path, package):
    about = {"Name": "study", "License": "CC0", "DatasetDOI": "10.1/x", "Authors": []}
    write_json(tmp_path / "dataset_description.json", about)
    source = trained(tmp_path, hours=7)
    assert shipping.ship(source, tmp_path) == package / "pmr-plus"
    assert (package / "pmr-plus" / WEIGHTS).read_bytes() == (source / WEIGHTS).read_bytes()
    model = read_json(package / "pmr-plus" / MODEL)
    assert model["hours"] == 7
    assert model["data"] == {"Name": "study", "License": "CC0", "DatasetDOI": "10.1/x"}


@pytest.mark.parametrize(
    ("licence", "changes", "said"),
    [
        (None, {}, "states no License"),
        ("CC0", {"method": "pmr"}, "does not fit the network of pmr"),
    ],
)
def test_ship_refuses_unlicensed_data_and_unfit_weights(tmp_path, package, licence, changes, said):
    write_json(tmp_path / "dataset_description.json", {"Name": "study", "License": licence})
    with pytest.raises(InputError, match=said):
        shipping.ship(trained(tmp_path, **changes), tmp_path)
    assert not package.exists()


def _plain(parameters):
    """Without the names of components: weights may be older than these, or than a new home."""
    if not isinstance(parameters, dict):
        return parameters
    return {name: _plain(value) for name, value in parameters.items() if name != "component"}
