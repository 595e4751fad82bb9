"""L-BFGS finds minima that are known, and agrees with SciPy's on a curved valley."""

from __future__ import annotations

import numpy as np
import scipy.optimize
import torch

from pmrpipe.methods.descent import Descent


def unlimited(direction):
    return 1.0 / float(direction.norm())


def test_a_quadratic_in_a_few_iterations():
    weights = torch.linspace(1, 50, 20, dtype=torch.float64)
    aim = torch.arange(20, dtype=torch.float64)
    descent = Descent(
        lambda x: {"total": (weights * (x - aim) ** 2).sum()},
        torch.zeros(20, dtype=torch.float64),
        unlimited,
        tolerance=0,
    )
    list(descent.run(60))
    torch.testing.assert_close(descent.point, aim, rtol=1e-4, atol=1e-4)


def test_rosenbrock_as_scipy():
    def rosenbrock(x):
        return {"total": (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()}

    start = np.array([-1.2, 1.0, 0.5])
    theirs = scipy.optimize.minimize(scipy.optimize.rosen, start, method="L-BFGS-B")
    descent = Descent(rosenbrock, torch.from_numpy(start), unlimited, tolerance=0)
    list(descent.run(200))
    np.testing.assert_allclose(descent.point, theirs.x, atol=1e-3)


def test_the_energy_never_rises_and_every_iteration_is_kept():
    descent = Descent(
        lambda x: {"total": (x**4).sum() + torch.sin(3 * x).sum()},
        torch.full((5,), 2.0, dtype=torch.float64),
        lambda d: 0.3 / float(d.abs().max()),
    )
    done = list(descent.run(30))
    values = [terms["total"] for terms in descent.terms]
    assert len(values) == len(done) + 1
    assert values == sorted(values, reverse=True)
    assert len(done) < 30  # stopped on the relative change


def test_at_a_minimum_nothing_is_done():
    descent = Descent(lambda x: {"total": (x**2).sum()}, torch.zeros(3), lambda d: 1.0)
    assert list(descent.run(10)) == []
