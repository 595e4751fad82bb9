"""Likelihoods against MONAI, brute force and closed forms."""

import pytest
import torch

from pmrpipe.losses.regularity import folding, squared_gradient
from pmrpipe.losses.similarity import box_sum, local_correlation, mean_squared_difference


def images(*shape: int) -> tuple[torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(0)
    fixed = torch.rand(1, 1, *shape, generator=draw)
    return fixed, 0.6 * fixed + 0.4 * torch.rand(1, 1, *shape, generator=draw)


@pytest.mark.parametrize("window", [1, 3, 5, 7, 9])
def test_box_sum_is_a_convolution_with_ones(window):
    image = torch.rand(2, 2, 11, 12, 10, generator=torch.Generator().manual_seed(1))
    kernel = torch.ones(2, 1, window, window, window)
    expected = torch.nn.functional.conv3d(image, kernel, padding=window // 2, groups=2)
    assert torch.allclose(box_sum(image, window), expected, rtol=1e-4, atol=1e-4)


def test_local_correlation_is_monais():
    losses = pytest.importorskip("monai.losses")
    fixed, warped = images(20, 22, 18)
    warped.requires_grad_()
    theirs = 1 + losses.LocalNormalizedCrossCorrelationLoss(
        spatial_dims=3, kernel_size=9, smooth_nr=0.0, smooth_dr=1e-5
    )(warped, fixed)
    ours = 1 - local_correlation(fixed, warped, 9)
    assert ours.item() == pytest.approx(theirs.item(), abs=1e-4)
    slopes = [torch.autograd.grad(loss, warped)[0] for loss in (ours, theirs)]
    assert torch.allclose(*slopes, atol=1e-4 * float(slopes[1].abs().max()))


def test_local_correlation_does_not_see_local_contrast():
    fixed, _ = images(20, 20, 20)
    inner = torch.zeros_like(fixed)
    inner[..., 8:12, 8:12, 8:12] = 1
    fixed = fixed * inner
    assert float(local_correlation(fixed, fixed)) == pytest.approx(
        float(local_correlation(fixed, 3 * fixed)), rel=1e-3
    )


def test_empty_images_have_no_correlation_and_a_finite_gradient():
    empty = torch.zeros(1, 1, 12, 12, 12, requires_grad=True)
    correlation = local_correlation(torch.zeros(1, 1, 12, 12, 12), empty)
    correlation.backward()
    assert correlation == 0
    assert torch.isfinite(empty.grad).all()


def test_gradients():
    fixed, warped = (image.double() for image in images(4, 5, 4))
    warped.requires_grad_()
    assert torch.autograd.gradcheck(lambda w: box_sum(w, 3), (warped,))
    assert torch.autograd.gradcheck(lambda w: local_correlation(fixed, w, 3), (warped,))
    fixed.requires_grad_()
    assert torch.autograd.gradcheck(lambda f: local_correlation(f, warped.detach(), 3), (fixed,))
    assert torch.autograd.gradcheck(lambda f, w: local_correlation(f, w, 3), (fixed, warped))


def test_squared_difference_is_the_mean_over_everything():
    fixed, warped = images(4, 5, 6)
    assert torch.isclose(mean_squared_difference(fixed, warped), ((fixed - warped) ** 2).mean())


def test_gradient_penalty_of_a_linear_field():
    """u_x = 2 x: one of nine derivatives is 2, so that the mean is 4 / 9."""
    field = torch.zeros(1, 3, 6, 5, 4)
    field[:, 0] = 2 * torch.arange(6.0).view(1, 6, 1, 1)
    assert float(squared_gradient(field)) == pytest.approx(4 / 9)
    assert float(squared_gradient(field[..., :1])) == pytest.approx(4 / 9)


def test_folding_counts_negative_determinants_only():
    field = torch.zeros(1, 3, 6, 5, 4)
    assert folding(field) == 0
    field[:, 0] = -2 * torch.arange(6.0).view(1, 6, 1, 1)
    assert float(folding(field)) == pytest.approx(6 * 5 * 4)


def test_self_similarity_does_not_ask_which_side_is_bright():
    from pmrpipe.losses.features import agreement_map, self_similarity

    generator = torch.Generator().manual_seed(3)
    image = torch.rand(1, 1, 14, 15, 16, generator=generator)
    other = torch.rand(1, 1, 14, 15, 16, generator=generator)
    known = self_similarity(image)
    assert known.shape == (1, 12, 14, 15, 16)
    assert float(known.min()) >= 0
    assert float(known.amax(1).min()) == pytest.approx(1)
    torch.testing.assert_close(self_similarity(3 - 2 * image), known, rtol=1e-3, atol=1e-3)
    assert float(agreement_map(known, 1 - image)[0].mean()) == pytest.approx(1, abs=1e-4)
    assert float(agreement_map(known, other)[0].mean()) < 0.7


def test_a_descriptor_of_what_does_not_count_has_no_slope():
    from pmrpipe.losses.features import agreement_map, self_similarity

    generator = torch.Generator().manual_seed(4)
    image, other = torch.rand(2, 1, 1, 16, 16, 16, generator=generator)
    counted = torch.ones_like(image)
    counted[..., 5:11, 5:11, 5:11] = 0
    leaf = other.clone().requires_grad_()
    similar, weight = agreement_map(self_similarity(image), leaf, counted=counted)
    (slope,) = torch.autograd.grad(similar.sum() / weight.sum(), leaf)
    # The spread's limits are means over the image: next to no slope, in place of none.
    assert float(slope[counted == 0].abs().max()) < 1e-3 * float(slope.abs().max())
