"""Small registrations of steps, as specifications and as modules, for tests."""

from typing import Any

import torch

from pmrpipe.losses.consistency import Diffusion, GradientInverseConsistency
from pmrpipe.losses.similarity import SquaredDifference
from pmrpipe.methods.consistent import Consistent
from pmrpipe.methods.operators import Down, Then
from pmrpipe.methods.spec import MethodSpec, spec
from pmrpipe.methods.steps import Displacement, Step
from pmrpipe.networks.tall_unet import TallUNet

NARROW = {"down": [4, 8], "up": [4, 4], "norm": "instance", "window": 3}


def unet_step(size: float = 0.0) -> Step:
    """A displacement step; `size` is the deviation of its head's weights."""
    network = TallUNet(**NARROW)
    torch.nn.init.normal_(network.flow.weight, std=size)
    return Step(network, Displacement())


def three_steps(size: float = 0.0) -> Consistent:
    """GradICON's order; the last step begins at zero whatever `size`."""
    steps = Then([Down(unet_step(size)), unet_step(size), unet_step()])
    regularisers = {"smooth": Diffusion(1.0), "inverse_gradient": GradientInverseConsistency()}
    return Consistent(steps, SquaredDifference(), regularisers)


def small_gradicon(**schedule: Any) -> MethodSpec:
    """`gradicon` with narrow networks and steps at 1/2, 1 and 1."""
    part: dict[str, Any] = {"component": "pmrpipe.networks.tall_unet:TallUNet"} | NARROW
    step = {
        "component": "pmrpipe.methods.steps:Step",
        "network": part,
        "parametrisation": {"component": "pmrpipe.methods.steps:Displacement"},
    }
    down = {"component": "pmrpipe.methods.operators:Down", "step": step}
    steps = {"component": "pmrpipe.methods.operators:Then", "steps": [down, step, step]}
    whole = spec("gradicon")
    smooth = {"component": "pmrpipe.losses.consistency:Diffusion", "weight": 0.1}
    regularisers = whole.parameters["regularisers"] | {"smooth": smooth}
    parameters = whole.parameters | {"steps": steps, "regularisers": regularisers}
    content = whole.model_dump() | {"parameters": parameters, "schedule": schedule}
    return MethodSpec.model_validate(content)
