"""Stages of a schedule: what each of them trains, and that a broken run ends as a whole one."""

import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load_file

from pmrpipe.base.errors import InputError
from pmrpipe.base.files import read_tsv
from pmrpipe.methods.load import build, build_network
from pmrpipe.methods.spec import Schedule, Stage, spec
from tests.helpers.parts import batch
from tests.helpers.stepwise import small_gradicon, three_steps
from tests.stages.train.test_fit import Stop, outputs, run

LATER = {"begin": 4, "regularisers": ["inverse_gradient"]}
STAGES = [{"begin": 0, "steps": 2, "regularisers": ["smooth"], "coarser": 2}, LATER]


def staged(steps: int = 8, **changes):
    plan = {"max_steps": steps, "validate_every": 2, "learning_rate": 1e-3, "stages": STAGES}
    return small_gradicon(**(plan | changes))


def broken(spec, pack, out, step):
    """Stopped after so many steps, before their checkpoint is written."""

    def say(text):
        if text.startswith(f"step {step}:"):
            raise Stop

    with pytest.raises(Stop):
        run(spec, pack, out, say=say)


def images() -> tuple[torch.Tensor, torch.Tensor]:
    noise = torch.rand(2, 1, 16, 12, 14, generator=torch.Generator().manual_seed(0))
    return tuple(torch.nn.functional.avg_pool3d(noise, 3, 1, 1).split(1))


def test_a_run_broken_in_the_second_stage_ends_as_an_unbroken_one_to_the_byte(pack, tmp_path):
    whole = run(staged(), pack, tmp_path / "whole")
    broken(staged(), pack, tmp_path / "cut", 8)
    said = []
    run(staged(), pack, tmp_path / "cut", say=said.append)
    assert "resuming at step 6" in said[0]
    assert outputs(tmp_path / "cut") == outputs(whole)


def test_each_stage_trains_its_own_steps_and_terms(pack, tmp_path):
    out = run(staged(), pack, tmp_path / "fit")
    history = read_tsv(out / "history.tsv", ("smooth", "inverse_gradient"))
    assert history["smooth"].notna().tolist() == [True, True, False, False]
    assert history["inverse_gradient"].notna().tolist() == [False, False, True, True]
    only_first = run(staged(steps=4), pack, tmp_path / "first")
    fresh = build_network(staged(), 1.0).state_dict()
    early, late = (load_file(folder / "weights.safetensors") for folder in (only_first, out))
    third = [name for name in fresh if name.startswith("steps.steps.2.")]
    assert third
    assert all(torch.equal(early[name], fresh[name]) for name in third)
    assert not torch.equal(early["steps.steps.1.network.flow.bias"], torch.zeros(3))
    last = load_file(out / "checkpoints" / "best" / "weights.safetensors")
    assert {*last} == {*late} == {*fresh}


@torch.no_grad()
def test_a_step_that_joins_in_changes_neither_map_nor_loss():
    torch.manual_seed(0)
    method, pair = three_steps(size=0.05), images()
    said = []
    for stage in (Stage(steps=2), Stage()):
        method.enter(stage)
        torch.manual_seed(1)
        there, back = method.maps(*pair)
        points = 12 * torch.rand(1, 3, 500)
        said.append((there.at(points), back.at(points), method.objective(batch(*pair))))
    (there, back, terms), (there_now, back_now, terms_now) = said
    assert float((there - points).abs().max()) > 0.1
    assert torch.equal(there, there_now)
    assert torch.equal(back, back_now)
    for name, value in terms.items():
        assert float(terms_now[name]) == pytest.approx(float(value), rel=1e-5)


def test_a_step_that_joined_in_is_trained():
    method = three_steps(size=0.05)
    head = method.steps.steps[2].network.flow
    for stage, joined in ((Stage(steps=2), False), (Stage(), True)):
        method.enter(stage)
        method.zero_grad()
        method.objective(batch(*images()))["total"].backward()
        assert (head.weight.grad is not None) is joined


def test_a_coarser_stage_sees_smaller_images():
    method, seen = three_steps(), []
    method.steps.register_forward_pre_hook(lambda _, pair: seen.append(pair[0].shape))
    method.steps.both = lambda m, f: method.steps(torch.cat([m, f]), torch.cat([f, m]))
    for coarser in (2, 1):
        method.enter(Stage(coarser=coarser))
        method.objective(batch(*images()))
    assert [tuple(shape[2:]) for shape in seen] == [(8, 6, 7), (16, 12, 14)]


def test_a_begin_below_1_is_a_part_of_the_training_and_above_a_step():
    plan = Schedule(stages=[{"begin": 0}, {"begin": 0.25}, {"begin": 70}])
    assert [plan.stage(n, n / 100) for n in (0, 24, 25, 69, 70, 99)] == [0, 0, 1, 1, 2, 2]
    assert Schedule().stage(5, 0.5) is None
    assert plan.shaped_by_length
    assert not Schedule(stages=[{"begin": 0}, {"begin": 70}]).shaped_by_length


def test_a_method_in_use_is_as_in_its_last_stage():
    assert build(staged()).counted == ["inverse_gradient"]
    assert build(spec("gradicon")).steps.active is None
    assert build(spec("carl")).counted == ["inverse_gradient"]


@pytest.mark.parametrize(
    ("stage", "said"),
    [
        ({"steps": 4}, "asks for 4 steps, and the method's `Then` has 3"),
        ({"regularisers": ["bending"]}, "lacks: bending"),
    ],
)
def test_what_the_method_lacks_is_told_before_the_first_step(stage, said):
    with pytest.raises(InputError, match=said):
        build(staged(stages=[stage]))


def test_only_then_can_grow_and_other_methods_have_no_stages():
    for name, said in (("constricon", "has 0"), ("pmr", "knows no stages")):
        changed = Schedule(stages=[{"steps": 2}])
        with pytest.raises(InputError, match=said):
            build(spec(name).model_copy(update={"schedule": changed}))


def test_the_first_stage_begins_at_0():
    with pytest.raises(ValidationError, match="the first of `stages` begins at 0"):
        Schedule(stages=[{"begin": 5}])
