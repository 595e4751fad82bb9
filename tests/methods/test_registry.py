"""Methods by name: reading, refusing, building."""

from dataclasses import replace

import pytest
import torch
import yaml

from pmrpipe.base.errors import InputError
from pmrpipe.base.files import write_json
from pmrpipe.methods.load import build, load_method
from pmrpipe.methods.protocols import LearnsMomenta
from pmrpipe.methods.spec import names, spec, spec_path
from pmrpipe.methods.weights import MODEL, load_weights, save_weights
from tests.helpers.parts import batch

SMALL = {"component": "pmrpipe.networks.multilayer:MultilayerNetwork", "channels": [4, 4]}


def trained(name):
    chosen = spec(name)
    return chosen.learned and not chosen.shares


class NoNetwork:
    def __init__(self, **parts):
        pass


def own(tmp_path, parameters=None, **changes):
    content = yaml.safe_load(spec_path("pmr").read_text(encoding="utf-8")) | changes
    content["parameters"] |= parameters or {}
    path = tmp_path / "own.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return str(path)


def saved(tmp_path, method="pmr", network_mm=2.0):
    built = build(spec("pmr"), network_mm=2.0)
    (tmp_path / "w").mkdir()
    save_weights(built, tmp_path / "w")
    write_json(tmp_path / "w" / MODEL, {"method": method, "network_mm": network_mm})
    return built, tmp_path / "w"


def test_shipped_methods_are_valid_and_named_after_their_file():
    published = {"pmr", "pmr-cc", "pmr-authors", "pmr-concat", "pmr-last", "voxelmorph", "faim"}
    assert published | {"affine", "syn", "syn-cc"} <= set(names())
    for name in names():
        assert spec(name).name == name
        assert spec(name).citation


# Those with published widths take their step on the meta device: tests/methods/test_meta.py.
@pytest.mark.parametrize(
    "name", [n for n in names() if trained(n) and not n.endswith("-published")]
)
def test_every_learned_method_has_a_differentiable_objective(name):
    method = build(spec(name), network_mm=2.0)
    images = torch.rand(2, 1, 1, 16, 18, 20, generator=torch.Generator().manual_seed(0))
    shown = batch(*images)
    if isinstance(method, LearnsMomenta):
        method.patches = 1
        shown = replace(shown, target={"white": torch.ones(1, 3, 16, 18, 20)})
    for stage in spec(name).schedule.stages or [None]:
        if stage is not None:
            method.enter(stage)
        method.objective(shown)["total"].backward()
    slopes = [p.grad for p in method.parameters() if p.requires_grad]
    assert all(torch.isfinite(s).all() for s in slopes if s is not None)
    assert sum(s is not None for s in slopes) >= len(slopes) - 2


def test_unknown_method_and_unknown_key_end_in_one_line(tmp_path):
    with pytest.raises(InputError, match=r"is it pmr or pmr-cc\?"):
        spec("pmrr")
    with pytest.raises(InputError, match="learning_rates"):
        spec(own(tmp_path, schedule={"learning_rates": 1}))


def test_a_users_yaml_is_a_method(tmp_path):
    assert spec(own(tmp_path, name="my-pmr")).name == "my-pmr"


def test_a_method_s_modules_are_those_of_all_its_parts():
    assert spec("pmr").modules() == [
        "pmrpipe.methods.pmr",
        "pmrpipe.networks.multilayer",
        "pmrpipe.losses.likelihood",
        "pmrpipe.spatial.integrate",
    ]


def test_a_yaml_without_components_is_refused_by_name(tmp_path):
    """As methods of one's own were written before parts had names."""
    before = spec(own(tmp_path, parameters={"network": {"channels": [4, 4]}}))
    with pytest.raises(InputError, match="`network` names no component"):
        build(before)


def test_a_learned_method_must_be_one(tmp_path):
    with pytest.raises(InputError, match="is no learned method"):
        build(spec(own(tmp_path, component=f"{__name__}:NoNetwork")))


def test_the_seed_makes_the_initial_weights():
    first, second, other = (
        torch.cat([p.flatten() for p in build(spec("pmr"), seed=s).parameters()]) for s in (1, 1, 2)
    )
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


def test_weights_come_back(tmp_path):
    built, folder = saved(tmp_path)
    _, loaded = load_method("pmr", weights=folder, network_mm=2.0)
    for one, other in zip(built.parameters(), loaded.parameters(), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"method": "pmr-cc"}, "holds weights of `pmr-cc`"),
        ({"network_mm": 4.0}, "trained at 4.0 mm"),
    ],
)
def test_weights_of_something_else_are_refused(tmp_path, facts, message):
    _, folder = saved(tmp_path, **facts)
    with pytest.raises(InputError, match=message):
        load_method("pmr", weights=folder, network_mm=2.0)


def test_weights_of_another_network_and_broken_files_are_refused(tmp_path):
    _, folder = saved(tmp_path)
    other = build(spec(own(tmp_path, parameters={"network": SMALL})), network_mm=2.0)
    with pytest.raises(InputError, match="does not fit the network"):
        load_weights(other, spec("pmr"), folder)
    path = folder / "weights.safetensors"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(InputError, match="not readable"):
        load_method("pmr", weights=folder, network_mm=2.0)
    path.unlink()
    with pytest.raises(InputError, match="no such file"):
        load_method("pmr", weights=folder, network_mm=2.0)
