"""A GPU node may have torch, lightning, numpy, safetensors, pydantic and yaml, and nothing else."""

import subprocess
import sys

from tests.helpers.packs import KEYS, write_pack

LACKING = ("nibabel", "ants", "nipype", "snakemake", "pandas", "nilearn", "SimpleITK")
# Lightning's metrics use scipy where it is installed; pmrpipe must not need it.
PROGRAM = f"""
import builtins
import sys

for name in {LACKING}:
    sys.modules[name] = None  # its import fails
whole = builtins.__import__


def without_scipy(name, globals=None, *rest, **named):
    importer = (globals or {{}}).get("__name__") or ""
    if importer.startswith("pmrpipe") and name.partition(".")[0] == "scipy":
        raise ModuleNotFoundError(f"{{importer}} imports scipy")
    return whole(name, globals, *rest, **named)


builtins.__import__ = without_scipy

from pathlib import Path
from pmrpipe.methods.load import load_method
from pmrpipe.methods.refine import Refined, Refinement
from pmrpipe.methods.spec import Schedule, spec
from pmrpipe.stages.train.fit import fit
from pmrpipe.study.pack import open_arrays

pack, out = map(Path, sys.argv[1:])
keys = {KEYS}
method = spec("voxelmorph")
schedule = Schedule(max_steps=2, validate_every=2)
method = method.model_copy(update={{"schedule": schedule}})
fit(method, pack, out, train=keys[:2], validation=keys[2:], network_mm=1.0, device="cpu")
_, network = load_method("voxelmorph", weights=out, network_mm=1.0)
arrays = open_arrays(pack)
images = [arrays.image(key, arrays.grid.shape) for key in keys[2:4]]
refined = Refined(network, Refinement(steps=2, mm=(1.0,)))
print(tuple(refined.register(*images, arrays.grid).displacement.shape))
"""


def test_arrays_are_trained_on_and_registered_there(tmp_path):
    pack = write_pack(tmp_path / "arrays.safetensors")
    command = [sys.executable, "-c", PROGRAM, str(pack), str(tmp_path / "fit")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].startswith("(1, 3, ")
