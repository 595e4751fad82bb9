"""The presets of ICON's family: their sizes, what they share, and that each of them learns."""

import pytest
import torch

from pmrpipe.losses.consistency import Diffusion, GradientInverseConsistency
from pmrpipe.losses.similarity import GaussianCorrelation
from pmrpipe.methods.consistent import Consistent
from pmrpipe.methods.load import build
from pmrpipe.methods.operators import Down, Halfway, Then
from pmrpipe.methods.spec import names, spec
from pmrpipe.methods.steps import AffineGenerator, Displacement, Step, Velocity
from pmrpipe.networks.antisymmetric import AffineNetwork, Antisymmetric
from pmrpipe.networks.tall_unet import TallUNet
from pmrpipe.spatial.integrate import ScalingAndSquaring
from pmrpipe.stages.train.validation import mean_dice
from tests.helpers.parts import batch, grid_of

FAMILY = [n for n in names() if spec(n).component.endswith(":Consistent")]


@pytest.mark.parametrize(
    ("name", "steps", "parameters"),
    [
        ("icon-published", None, 53_010_687),
        ("gradicon-published", 2, 53_010_687),
        ("gradicon-published", 3, 70_680_916),
        ("constricon-published", None, 45_087_194),
        ("carl-published", None, 56_997_503),
    ],
)
def test_published_widths_have_the_published_numbers_of_parameters(name, steps, parameters):
    """Those of the steps in use: GradICON's last one joins in at its second stage."""
    with torch.device("meta"):
        method = build(spec(name), network_mm=2.0)
    used = method.steps.steps[:steps] if isinstance(method.steps, Then) else [method.steps]
    assert sum(p.numel() for step in used for p in step.parameters()) == parameters


def test_every_member_but_the_rotated_one_begins_with_the_identity_or_the_attention():
    images = torch.rand(2, 1, 1, 21, 18, 19, generator=torch.Generator().manual_seed(0))
    for name in ("icon", "gradicon", "constricon"):
        method = build(spec(name), network_mm=1.0).eval()
        deformation = method.register(*images, grid_of(images[0]))
        assert not deformation.displacement.any()
        assert not deformation.inverse().displacement.any()


def test_a_network_for_several_cohorts_is_gradicon():
    assert spec("gradicon-cohorts").parameters == spec("gradicon").parameters


def test_each_has_its_published_counterpart():
    assert {"icon", "gradicon", "constricon", "carl", "carl-rot"} <= set(FAMILY)
    assert {n + "-published" for n in ("icon", "gradicon", "constricon", "carl", "carl-rot")} <= {
        *FAMILY
    }


def ellipsoid(seed: int, size: int = 32) -> tuple[torch.Tensor, torch.Tensor]:
    """An image of two shells with a random place, axes and turn, and its label map."""
    draw = torch.Generator().manual_seed(seed)
    axis = torch.arange(size, dtype=torch.float32) - (size - 1) / 2
    points = torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij")).flatten(1)
    turn = torch.linalg.matrix_exp(torch.randn(3, 3, generator=draw).triu(1).mul(0.3))
    turn, _ = torch.linalg.qr(turn)
    axes = 7 + 4 * torch.rand(3, 1, generator=draw)
    centre = 2 * torch.randn(3, 1, generator=draw)
    radius = ((turn @ (points - centre)) / axes).norm(dim=0).view(1, 1, size, size, size)
    image = ((1.1 - radius) * 8).clamp(0, 1) * (0.5 + 0.5 * ((0.7 - radius) * 8).clamp(0, 1))
    return image, (radius < 1).long() + (radius < 0.6).long()


def unet_step(antisymmetric: bool = False) -> Step:
    network = TallUNet([8, 16, 16], [16, 8, 8], norm="instance", window=0)
    if antisymmetric:
        return Step(Antisymmetric(network), Velocity(ScalingAndSquaring(), along=4))
    return Step(network, Displacement())


def displacing(weight: float) -> Consistent:
    held = {"gradient": GradientInverseConsistency(weight)} if weight else {}
    return Consistent(Then([Down(unet_step()), unet_step()]), GaussianCorrelation(3.0), held)


def consistent() -> Consistent:
    affine = Step(Antisymmetric(AffineNetwork([8, 16, 16], 16)), AffineGenerator())
    steps = Halfway([affine, Down(unet_step(True)), unet_step(True)])
    smooth = {"smooth": Diffusion(1.0, "velocity")}
    return Consistent(steps, GaussianCorrelation(3.0), smooth, one_way=True)


def trained(method: Consistent, steps: int = 200) -> Consistent:
    optimiser = torch.optim.Adam(method.parameters(), lr=2e-3)
    for number in range(steps):
        pair = [ellipsoid(1000 + 2 * (number % 20) + way)[0] for way in (0, 1)]
        optimiser.zero_grad()
        method.objective(batch(*pair))["total"].backward()
        torch.nn.utils.clip_grad_norm_(method.parameters(), 1.0)
        optimiser.step()
    return method.eval()


@torch.no_grad()
def measured(method: Consistent) -> tuple[float, float, float, float]:
    """Dice before and after, percent of folds, and voxels by which a point misses itself."""
    sums = torch.zeros(4)
    for seed in range(4):
        (moving, source), (fixed, target) = ellipsoid(2 * seed), ellipsoid(2 * seed + 1)
        deformation = method.register(moving, fixed, grid_of(fixed))
        still = method.register(fixed, fixed, grid_of(fixed))
        still = type(still)(torch.zeros_like(still.displacement), still.grid)
        labels = torch.tensor([1, 2])
        before, after = (mean_dice(target, source, d, labels) for d in (still, deformation))
        inside = fixed[0, 0] > 0
        folds = 100 * float((deformation.jacobian()[0][inside] <= 0).float().mean())
        there, back = method.maps(moving, fixed)
        points = inside.nonzero().T[None].float()
        missed = (there.at(back.at(points)) - points).square().sum(1).sqrt().mean()
        sums += torch.tensor([before, after, folds, float(missed)])
    return tuple((sums / 4).tolist())


@pytest.mark.slow
@pytest.mark.timeout(2400)
def test_all_learn_and_are_as_consistent_as_they_promise():
    missed = {}
    for name, make in (
        ("constricon", consistent),
        ("gradicon", lambda: displacing(1.5)),
        ("unregularised", lambda: displacing(0.0)),
    ):
        torch.manual_seed(0)
        before, after, folds, missed[name] = measured(trained(make()))
        if name != "unregularised":
            assert after > before + 0.1
            assert folds < 0.1
    assert missed["constricon"] < 1e-3 < missed["gradicon"] < missed["unregularised"]
