"""antspyx registers without its parts for learning and plotting, which others keep."""

import subprocess
import sys

import pytest

_SPARED = "from pmrpipe.base.ants_imports import spare_ants_imports; spare_ants_imports(); "
_REGISTER = """
import sys
import ants, numpy as np
x, y, z = (np.indices((32, 32, 32), np.float32) - 15.5) / 8
images = [ants.from_numpy(np.exp(-((x - s) ** 2) - 2 * y**2 - 3 * z**2)) for s in (0, 0.25)]
answer = ants.registration(*images, "Translation", outprefix=sys.argv[1])
shift = ants.read_transform(answer["fwdtransforms"][0]).parameters[9:]
assert np.allclose(shift, (2, 0, 0), atol=0.1), shift
"""


def _python(code: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], check=True, capture_output=True, text=True
    )
    return done.stdout


def test_registration_needs_none_of_what_is_spared(tmp_path):
    heavy = "print(sorted({'matplotlib', 'sklearn', 'nibabel'} & sys.modules.keys()))"
    assert _python(_SPARED + _REGISTER + heavy, f"{tmp_path}/").strip() == "[]"


@pytest.mark.parametrize("first", ["import ants; ", "import statsmodels.api; "])
def test_what_is_there_already_stays(first):
    code = f"{first}{_SPARED}import ants, statsmodels.api as sm; print(callable(ants.plot), sm.OLS)"
    assert _python(code).startswith("True")
