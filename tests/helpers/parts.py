"""Methods of small parts, and batches, as tests of methods need them."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from pmrpipe.images.volume import Grid
from pmrpipe.losses.likelihood import Likelihood
from pmrpipe.losses.similarity import LocalCorrelation
from pmrpipe.methods.batch import Batch
from pmrpipe.methods.faim import Faim
from pmrpipe.methods.pmr import PMR, MultilayerVelocity
from pmrpipe.methods.pmr_authors import PMRAuthors
from pmrpipe.methods.pmr_plus import PMRPlus
from pmrpipe.methods.voxelmorph import VoxelMorph
from pmrpipe.networks.inception import FaimNetwork
from pmrpipe.networks.multilayer import MultilayerNetwork
from pmrpipe.networks.pmr_authors import AuthorsNetwork
from pmrpipe.networks.pyramid import PyramidNetwork
from pmrpipe.networks.unet import VelocityUNet
from pmrpipe.spatial.integrate import ScalingAndSquaring
from pmrpipe.spatial.smooth import smoothed

FLOW = ScalingAndSquaring()


def grid_of(image: Tensor) -> Grid:
    """1 mm voxels, as many as the image has."""
    x, y, z = image.shape[2:]
    return Grid((x, y, z), np.eye(4))


def batch(moving: Tensor, fixed: Tensor) -> Batch:
    return Batch(moving, fixed, grid_of(moving))


def faim(window: int = 9, **options: Any) -> Faim:
    return Faim(FaimNetwork(), LocalCorrelation(window), **options)


def voxelmorph(image: dict[str, Any] | None = None, **options: Any) -> VoxelMorph:
    return VoxelMorph(VelocityUNet(), Likelihood(**(image or {})), FLOW, **options)


def pmr_authors(**network: Any) -> PMRAuthors:
    return PMRAuthors(AuthorsNetwork(**network), Likelihood(), FLOW)


def pmr(network: dict[str, Any], feature: dict[str, Any] | None = None, **options: Any) -> PMR:
    likelihoods = Likelihood(), Likelihood(**(feature or {}))
    return PMR(MultilayerNetwork(**network), *likelihoods, FLOW, **options)


def velocity_alone(network: dict[str, Any], **options: Any) -> MultilayerVelocity:
    network = network | {"probabilistic": False}
    return MultilayerVelocity(MultilayerNetwork(**network), Likelihood(), FLOW, **options)


def pmr_plus(network: dict[str, Any], **options: Any) -> PMRPlus:
    return PMRPlus(PyramidNetwork(**network), Likelihood(), Likelihood(), **options)


def smooth_noise(shape: tuple[int, int, int], channels: int, seed: int, deviation: float) -> Tensor:
    """(1, channels, X, Y, Z), smoothed by a Gaussian of so many voxels, at most 1 in size."""
    generator = torch.Generator().manual_seed(seed)
    drawn = smoothed(torch.randn(1, channels, *shape, generator=generator), deviation)
    return drawn / drawn.abs().max()
