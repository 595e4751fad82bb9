"""Eq. 6 against an independent dense computation with the Laplacian written out as a matrix."""

import itertools
import math

import numpy as np
import pytest
import torch

from pmrpipe.losses.variational import EXACT, IMPLEMENTED, degree, kullback_leibler, reconstruction

SHAPE = (3, 4, 2)
LAMBDA = 7.0


def dense_laplacian() -> np.ndarray:
    """D - A of the 6-neighbour grid, voxel by voxel."""
    voxels = list(itertools.product(*map(range, SHAPE)))
    adjacency = np.array(
        [
            [float(sum(abs(a - b) for a, b in zip(p, q, strict=True)) == 1) for q in voxels]
            for p in voxels
        ]
    )
    return np.diag(adjacency.sum(1)) - adjacency


@pytest.fixture
def latent() -> tuple[torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(3)
    mean = torch.randn(1, 3, *SHAPE, generator=draw, dtype=torch.float64)
    return mean, torch.randn(1, 3, *SHAPE, generator=draw, dtype=torch.float64) - 2


def dense_terms(mean: torch.Tensor, log_variance: torch.Tensor) -> tuple[float, float, float]:
    """tr(lambda D Sigma), log det Sigma and mu' Lambda mu, summed over the three components."""
    laplacian = dense_laplacian()
    mu, logs = (t[0].reshape(3, -1).numpy() for t in (mean, log_variance))
    trace = sum(np.trace(LAMBDA * np.diag(np.diag(laplacian)) @ np.diag(np.exp(s))) for s in logs)
    log_determinant = sum(np.linalg.slogdet(np.diag(np.exp(s)))[1] for s in logs)
    quadratic = sum(m @ (LAMBDA * laplacian) @ m for m in mu)
    return trace, log_determinant, quadratic


def test_degree_counts_neighbours():
    expected = torch.tensor(np.diag(dense_laplacian()).reshape(1, 1, *SHAPE))
    assert torch.equal(degree(SHAPE, torch.device("cpu"), torch.float64), expected)
    inside = degree((5, 5, 5), torch.device("cpu"), torch.float32)[0, 0]
    assert [inside[2, 2, 2], inside[0, 2, 2], inside[0, 0, 2], inside[0, 0, 0]] == [6, 5, 4, 3]


def test_exact_form_is_half_the_dense_terms(latent):
    trace, log_determinant, quadratic = dense_terms(*latent)
    terms = kullback_leibler(*latent, LAMBDA, EXACT)
    assert float(terms["trace"]) == pytest.approx(trace / 2)
    assert float(terms["entropy"]) == pytest.approx(-log_determinant / 2)
    assert float(terms["smoothness"]) == pytest.approx(quadratic / 2)


def test_exact_form_differs_from_torchs_kl_by_a_constant(latent):
    """A prior with a regularised Laplacian: changes of q change both by the same amount."""
    small = 1e-6
    precision = torch.from_numpy(LAMBDA * dense_laplacian() + small * np.eye(math.prod(SHAPE)))
    prior = torch.distributions.MultivariateNormal(
        precision.new_zeros(len(precision)), precision_matrix=precision
    )

    def by_torch(mean, log_variance):
        return sum(
            torch.distributions.kl_divergence(
                torch.distributions.MultivariateNormal(m, torch.diag(s.exp())), prior
            )
            for m, s in zip(mean[0].reshape(3, -1), log_variance[0].reshape(3, -1), strict=True)
        )

    def by_us(mean, log_variance):
        return sum(kullback_leibler(mean, log_variance, LAMBDA, EXACT).values())

    mean, log_variance = latent
    other = mean.flip(2) * 2, log_variance * 0.5
    change = by_us(*other) - by_us(*latent)
    assert float(change) == pytest.approx(float(by_torch(*other) - by_torch(*latent)), abs=1e-3)


def test_implemented_form_is_that_of_the_codes(latent):
    """0.5 ndims [mean(lambda D var - logvar) + lambda 0.5/ndims sum_axes mean(difference^2)]."""
    mean, log_variance = (t[0].numpy() for t in latent)
    weight = np.diag(dense_laplacian()).reshape(SHAPE)
    spread = np.mean(LAMBDA * weight * np.exp(log_variance) - log_variance)
    rough = sum(np.mean(np.diff(mean, axis=axis) ** 2) for axis in (1, 2, 3))
    expected = 0.5 * 3 * (spread + LAMBDA * 0.5 / 3 * rough)
    terms = kullback_leibler(*latent, LAMBDA, IMPLEMENTED)
    assert float(sum(terms.values())) == pytest.approx(expected)


@pytest.mark.parametrize("factors", [EXACT, IMPLEMENTED])
def test_hand_made_fields(factors):
    """Constant: no smoothness. One voxel of height h inside: six differences."""
    constant = torch.full((1, 3, 5, 5, 5), 2.0)
    assert kullback_leibler(constant, constant, LAMBDA, factors)["smoothness"] == 0
    single = torch.zeros(1, 3, 5, 5, 5)
    single[0, 1, 2, 2, 2] = 3.0
    pairs, count = 6 * 9.0, 300 if factors.mean else 1
    smoothness = kullback_leibler(single, single, LAMBDA, factors)["smoothness"]
    assert float(smoothness) == pytest.approx(factors.smoothness * LAMBDA * pairs / count)


@pytest.mark.parametrize("factors", [EXACT, IMPLEMENTED])
def test_a_side_of_one_voxel_has_no_neighbours(factors):
    """A slab is as rough as its two axes."""
    slab = torch.randn(1, 3, 4, 5, 1, generator=torch.Generator().manual_seed(1))
    pairs = [slab.diff(dim=axis) ** 2 for axis in (2, 3)]
    rough = sum(p.mean() if factors.mean else p.sum() for p in pairs)
    smoothness = kullback_leibler(slab, slab, LAMBDA, factors)["smoothness"]
    assert float(smoothness) == pytest.approx(factors.smoothness * LAMBDA * float(rough))
    single = slab[:, :, :1, :1]
    assert kullback_leibler(single, None, LAMBDA, factors)["smoothness"] == 0


@pytest.mark.parametrize("factors", [EXACT, IMPLEMENTED])
def test_smallest_divergence_has_the_variance_of_the_prior(factors):
    """Per voxel trace + entropy is least where var = 1 / (lambda D)."""
    logs = -(LAMBDA * degree((4, 4, 4), torch.device("cpu"), torch.float64)).log()
    logs = logs.expand(1, 3, -1, -1, -1).clone().requires_grad_()
    terms = kullback_leibler(torch.zeros_like(logs), logs, LAMBDA, factors)
    (slope,) = torch.autograd.grad(sum(terms.values()), logs)
    assert slope.abs().max() < 1e-10


def test_reconstruction_factors():
    value = torch.tensor(0.08)
    assert float(reconstruction(value, 0.2, EXACT)) == pytest.approx(0.08 / (2 * 0.04))
    assert float(reconstruction(value, 0.2, IMPLEMENTED)) == pytest.approx(0.08 / 0.04)


def test_gradients(latent):
    leaves = [t.clone().requires_grad_() for t in latent]

    def total(mean, log_variance):
        return sum(kullback_leibler(mean, log_variance, LAMBDA, EXACT).values())

    assert torch.autograd.gradcheck(total, leaves)
