"""NePhi: a fresh field is the identity, points are enough, and derivatives are those of the map."""

import pytest
import torch

from pmrpipe.losses.consistency import JacobianInverseConsistency, jacobian_inverse_consistency
from pmrpipe.losses.points import correlation_at, points_inside, points_within
from pmrpipe.methods.finetune import Finetuning, finetune
from pmrpipe.methods.load import build_network
from pmrpipe.methods.nephi import NePhi
from pmrpipe.methods.spec import spec
from pmrpipe.networks.neural_field import Codes, ModulatedField, PairEncoder
from pmrpipe.spatial.maps import Affine, Pointwise, on_in_chunks
from tests.helpers.parts import batch, grid_of

SHAPE = (20, 24, 18)


def images(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    noise = torch.rand(2, 1, *SHAPE, generator=torch.Generator().manual_seed(seed))
    smooth = torch.nn.functional.avg_pool3d(noise, 5, 1, 2)
    inside = torch.zeros(SHAPE)
    inside[4:-4, 4:-4, 4:-4] = 1
    return tuple((smooth * inside).split(1))


def nephi(trained: bool = True, direct: bool = False, **options) -> NePhi:
    torch.manual_seed(0)
    shape = {"codes": 16, "width": 16, "features": 8, "deviation": 0.3, "direct": direct}
    fields = [ModulatedField(**shape) for _ in range(2)]
    if trained:
        for last in (part for f in fields for part in (f.last, f.direct) if part is not None):
            torch.nn.init.normal_(last.weight, std=0.02)
    encoder = PairEncoder([4, 8, 8], local_at=2, codes=8, hidden=16)
    return NePhi(encoder, *fields, JacobianInverseConsistency(1.0, 50), points=500, **options)


def test_widths_and_counts_are_the_published_ones() -> None:
    method = build_network(spec("nephi-published"))
    counts = [sum(p.numel() for p in part.parameters())
              for part in (method.encoder, method.there, method.back)]  # fmt: skip
    assert counts == [2_986_136, 140_419, 140_419]
    shape = (175, 175, 175)
    image = torch.empty(1, 1, *shape, device="meta")
    codes = method.to("meta").eval().codes(image, image)
    assert tuple(codes.local.shape) == (1, 32, 22, 22, 22)
    assert tuple(codes.whole.shape) == (1, 32)


@pytest.mark.parametrize("direct", [False, True])
@torch.no_grad()
def test_a_fresh_field_is_the_identity_bit_for_bit(direct) -> None:
    method = nephi(trained=False, direct=direct)
    deformation = method.register(*images(), grid_of(images()[0]))
    assert torch.equal(deformation.displacement, torch.zeros(1, 3, *SHAPE))
    assert torch.equal(deformation.inverse().displacement, torch.zeros(1, 3, *SHAPE))


@torch.no_grad()
def test_a_grid_in_chunks_is_the_grid_at_once() -> None:
    method, pair = nephi(), images()
    there, _ = method.maps(method.codes(*pair), pair[0].shape[2:])
    whole = there.on(SHAPE, "cpu")
    assert float(whole.abs().max()) > 0.05
    for chunk in (777, 10**6):
        assert torch.allclose(on_in_chunks(there, SHAPE, "cpu", chunk), whole, atol=1e-5)
    two = [torch.cat([image, image.flip(2)]) for image in pair]
    maps, _ = method.maps(method.codes(*two), pair[0].shape[2:])
    assert torch.allclose(on_in_chunks(maps, SHAPE, "cpu", 777)[:1], whole, atol=1e-5)


def test_a_constant_local_code_is_one_for_the_pair() -> None:
    torch.manual_seed(0)
    whole, local = torch.randn(1, 4), torch.randn(1, 4)
    codes = Codes(whole, local[:, :, None, None, None].expand(-1, -1, 3, 5, 4), (2.0, 4.0, 3.0))
    unit = 2 * torch.rand(1, 3, 30) - 1
    expected = torch.cat([whole, local], 1)[..., None].expand(-1, -1, 30)
    assert torch.allclose(codes.at(unit), expected, atol=1e-6)


@torch.no_grad()
def test_local_codes_move_with_the_images() -> None:
    """By one cell, four voxels, everywhere: a cell is as large in the middle as near a face."""
    torch.manual_seed(0)
    encoder, size = PairEncoder([4, 8, 8], local_at=2, codes=8, hidden=16), 39
    blob = torch.rand(1, 1, 7, 7, 7)
    pairs = [torch.zeros(1, 1, size, size, size) for _ in range(2)]
    for first, image in zip((14, 18), pairs, strict=True):
        image[..., *(slice(first, first + 7) for _ in range(3))] = blob
    voxels = 12 + 12 * torch.rand(1, 3, 40)
    here, there = (
        encoder(image, image).at(2 * (voxels + moved) / (size - 1) - 1)[:, 8:]
        for image, moved in zip(pairs, (0, 4), strict=True)
    )
    assert float(here.std()) > 0.1
    assert torch.allclose(here, there, atol=1e-4)


def test_the_jacobian_by_autograd_is_that_of_differences() -> None:
    method, pair = nephi().double(), [image.double() for image in images()]
    codes = method.encoder(*pair)
    there, back = method.maps(codes, pair[0].shape[2:])
    torch.manual_seed(1)
    points, step = points_within(pair[0], 20).double(), 1e-5
    total = 0.0
    with torch.no_grad():
        for outer, inner in ((there, back), (back, there)):
            for axis in range(3):
                shift = torch.zeros(1, 3, 1).double()
                shift[0, axis] = step
                ends = [p - outer.at(inner.at(p)) for p in (points + shift, points - shift)]
                slope = (ends[0] - ends[1]) / (2 * step)
                total += float(slope.square().mean()) / 3 / 2
    value = jacobian_inverse_consistency(there, back, points)
    assert float(value.detach()) == pytest.approx(total, rel=1e-3)
    value.backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in method.there.parameters())


def test_the_jacobian_of_affines_is_in_closed_form_where_gradients_are_off_too() -> None:
    torch.manual_seed(0)
    p, q = (torch.eye(4) + 0.1 * torch.randn(4, 4) for _ in range(2))
    p[3] = q[3] = torch.tensor([0.0, 0, 0, 1])
    missed = [torch.eye(3) - (a @ b)[:3, :3] for a, b in ((p, q), (q, p))]
    expected = sum(float(m.square().mean()) for m in missed) / 2
    with torch.no_grad():
        value = jacobian_inverse_consistency(Affine(p), Affine(q), 10 * torch.rand(1, 3, 7))
    assert float(value) == pytest.approx(expected, rel=1e-4)


def test_points_are_drawn_inside_of_each_image_and_evenly() -> None:
    image = torch.zeros(2, 1, 5, 6, 7)
    image[0, 0, 1, 2, 3] = image[0, 0, 4, 5, 6] = 1
    image[1, 0, 2:4, 2:4, 2:4] = 1
    torch.manual_seed(0)
    voxels = points_inside(image, 4000).round().long()
    for number in range(2):
        seen = image[number, 0][tuple(voxels[number])]
        assert (seen > 0).all()
    share = (voxels[0, 0] == 1).float().mean()
    assert float(share) == pytest.approx(0.5, abs=0.03)
    assert len(torch.unique(voxels[1], dim=1).T) == 8
    assert points_inside(torch.zeros(1, 1, 4, 4, 4), 9).isfinite().all()


def test_correlation_sees_neither_gain_nor_offset() -> None:
    moving, _ = images()
    torch.manual_seed(0)
    points = points_within(moving, 300)
    same = Pointwise(lambda p: p)
    for gain, sign in ((3.0, 1), (-2.0, -1)):
        value = correlation_at(moving, gain * moving + 0.2, same, points)
        assert float(value) == pytest.approx(sign, abs=1e-3)


def test_many_pairs_are_learned_by_the_layer_from_the_codes() -> None:
    """Balls that lie up to three voxels apart: of the dissimilarity a part is left."""
    assert _after_training(nephi(trained=False, direct=True, prior=0.001)) < 0.72


def _after_training(method: NePhi) -> float:
    optimiser, draw = torch.optim.Adam(method.parameters(), 2e-3), torch.Generator().manual_seed(0)
    steps = torch.stack(torch.meshgrid(*(torch.arange(n) for n in SHAPE), indexing="ij"))
    shares = []
    for _ in range(150):
        apart = 3 * torch.rand(3, 2, generator=draw) - 1.5
        middles = torch.tensor([10.0, 12, 9]).view(3, 1) + apart
        moving, fixed = (
            torch.exp(-(steps - m.view(3, 1, 1, 1)).square().sum(0) / 18)[None, None]
            for m in middles.T
        )
        terms = method.objective(batch(moving, fixed))
        optimiser.zero_grad()
        terms["total"].backward()
        optimiser.step()
        with torch.no_grad():
            points = points_within(fixed, 500)
            before = 1 - correlation_at(moving, fixed, Pointwise(lambda p: p), points)
        shares.append(float((2 * terms["image"] / before).detach()))
    return sum(shares[-30:]) / 30


@pytest.mark.parametrize("options", [{}, {"inside": False}, {"window": 5}, {"direct": True}])
def test_every_weight_learns(options) -> None:
    method = nephi(**options)
    terms = method.objective(batch(*images()))
    assert set(terms) == {"image", "image_back", "inverse", "prior", "total"}
    terms["total"].backward()
    assert all(p.grad is not None for p in method.parameters())


def test_a_pair_s_own_codes_begin_with_what_the_encoder_says() -> None:
    method, pair = nephi(), images()
    own = method.for_pair(*pair)
    names = {name for name, _ in own.named_parameters()}
    assert {"encoder.whole", "encoder.local"} <= names
    assert not any(name.startswith("encoder.levels") for name in names)
    grid = grid_of(pair[0])
    with torch.no_grad():
        one, other = (m.deform(*pair, grid).displacement for m in (method, own))
    assert torch.equal(one, other)


def test_tuning_moves_codes_and_fields_and_leaves_the_method_alone() -> None:
    method, pair = nephi().eval(), images()
    first = {name: value.clone() for name, value in method.state_dict().items()}
    tuned, (before, after) = finetune(method, batch(*pair), Finetuning(steps=20, rate=2e-3))
    assert after < before
    codes = method.codes(*pair)
    assert not torch.equal(tuned.encoder.local, codes.local)
    assert not torch.equal(tuned.there.layers[0].weight, method.there.layers[0].weight)
    assert all(torch.equal(value, method.state_dict()[name]) for name, value in first.items())
