"""What a study's plan says of teachers and of further cohorts."""

from pathlib import Path

import numpy as np
import pytest
import yaml

from pmrpipe.base.errors import InputError
from pmrpipe.images.volume import Grid
from pmrpipe.methods.spec import spec
from pmrpipe.study.pack import Origin, pack
from pmrpipe.study.tensors import Entry, write_tensors
from pmrpipe.workflow import commands, files
from pmrpipe.workflow.commands import targets
from pmrpipe.workflow.plan import Plan

BLANK = Entry("bias", (1,), lambda: np.zeros(1))
REPO = Path(__file__).resolve().parents[3]
IMITATE = yaml.safe_load((REPO / "tests" / "helpers" / "imitate.yaml").read_text())


def plan(**keys: object) -> Plan:
    return Plan.of(yaml.safe_load((REPO / "config" / "tiny.yaml").read_text()) | keys)


def student(tmp_path: Path, name: str = "imitate", **changes: object) -> str:
    path = tmp_path / f"{name}.yaml"
    path.write_text(yaml.safe_dump(IMITATE | {"name": name} | changes))
    return str(path)


def many(**keys: object) -> Plan:
    split = {"train": [f"{n:02d}" for n in range(1, 7)], "test": ["07", "08"]}
    return plan(embedded={"subjects": 8, "mm": 4.0, "seed": 1}, split=split, **keys)


def test_the_pairs_of_a_teacher_are_of_training_subjects(tmp_path):
    teaching = many(methods=["affine", student(tmp_path)]).teaching
    assert teaching.of("imitate") == ("greedy", 300)
    assert teaching.of("affine") is None
    pairs = teaching.pairs("greedy")
    assert len(pairs) == len(set(pairs)) == 6 * 5
    assert {key for pair in pairs for key in pair} == {f"sub-{n:02d}" for n in range(1, 7)}
    assert all(moving != fixed for moving, fixed in pairs)


def test_scans_that_a_network_is_shown_are_packed_beside_those_that_train(tmp_path):
    methods = ["affine", student(tmp_path, teacher={"method": "greedy", "moving": "T2w"})]
    heads = {"subjects": 8, "mm": 4.0, "seed": 1, "contrasts": ["T2w"]}
    split = {"train": [f"{n:02d}" for n in range(1, 7)], "test": ["07", "08"]}
    keys = {"embedded": heads, "split": split, "methods": methods}
    study = plan(**keys, inputs={"also": ["T2w"]})
    packed = {f"sub-{n:02d}{contrast}" for n in range(1, 7) for contrast in ("", "_T2w")}
    assert set(commands.pack(study).keys) == packed == {*study.scans} - {"sub-07", "sub-08"}
    assert study.results.preproc("sub-01_T2w") in files.packing(study)
    assert commands.train(study, "imitate").train == tuple(f"sub-{n:02d}" for n in range(1, 7))
    assert {key for pair in study.teaching.pairs("greedy") for key in pair} <= packed
    assert not any("T2w" in key for pair in study.teaching.pairs("greedy") for key in pair)
    pairs, weights = [line for line in study.remarks if "imitate" in line]
    assert "pairs: {moving: T2w, fixed: T1w}" in pairs
    assert "init: {imitate: FOLDER}" in weights
    across = plan(**keys, inputs={"also": ["T2w"]}, pairs={"moving": "T2w", "fixed": "T1w"})
    assert not any("pairs are" in line for line in across.remarks)
    with pytest.raises(InputError, match="imitate: is shown T2w, and the study packs T1w"):
        _ = plan(**keys).teaching


def test_two_students_share_a_teacher_s_fields(tmp_path):
    few = student(tmp_path, "few", teacher={"method": "greedy", "pairs": 5})
    more = student(tmp_path, "more", teacher={"method": "greedy", "pairs": 20})
    teaching = many(methods=["affine", few, more], pairs_per_job=4).teaching
    assert teaching.pairs("greedy", 20)[:5] == teaching.pairs("greedy", 5)
    assert sum(map(len, teaching.batches("greedy").values())) == 20
    assert set(teaching.batches_of("greedy", 5)) < set(teaching.batches_of("greedy", 20))
    assert set(teaching.batches_of("greedy", 20)) == set(teaching.batches("greedy"))


def test_another_seed_draws_other_pairs(tmp_path):
    methods = ["affine", student(tmp_path, teacher={"method": "greedy", "pairs": 5})]
    one, two = (many(methods=methods, seed=seed).teaching.pairs("greedy") for seed in (1, 2))
    assert one != two


def test_a_teacher_s_yaml_lies_beside_its_student_s(tmp_path):
    greedy = yaml.safe_load((REPO / "src/pmrpipe/data/methods/greedy.yaml").read_text())
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(greedy | {"name": "mine"}))
    methods = ["affine", student(tmp_path, teacher={"method": "mine.yaml"})]
    study = plan(methods=methods)
    before = study.teaching.digest("mine", "teach"), study.method_digest("imitate", "train")
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(greedy | {"name": "mine", "title": "new"}))
    study = plan(methods=methods)
    after = study.teaching.digest("mine", "teach"), study.method_digest("imitate", "train")
    assert before[0] != after[0]
    assert before[1] == after[1]


def test_given_weights_need_no_teacher(tmp_path):
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "model.json").write_text('{"method": "imitate"}')
    write_tensors(tmp_path / "old" / "weights.safetensors", [BLANK], "F16", {})
    study = plan(methods=["affine", student(tmp_path)], weights={"imitate": str(tmp_path / "old")})
    assert study.teaching.teachers == {}


def test_shipped_weights_are_ready_to_teach(tmp_path):
    methods = ["affine", student(tmp_path, teacher={"method": "pmr-plus"})]
    teacher = plan(methods=methods, network_mm=8).teaching.teachers["pmr-plus"]
    assert (teacher.weights / "weights.safetensors").exists()
    assert teacher.network_mm is None


@pytest.mark.parametrize(
    ("teacher", "problem"),
    [
        ("gredy", "gredy: is neither a method of pmrpipe nor a YAML file; is it greedy?"),
        ("voxelmorph", "imitate: its teacher `voxelmorph` has no weights, and would have to be"),
        ("affine", "imitate: its teacher `affine` deforms nothing"),
    ],
)
def test_a_teacher_that_cannot_teach_ends_in_one_line(tmp_path, teacher, problem):
    with pytest.raises(InputError, match=problem) as error:
        plan(methods=["affine", student(tmp_path, teacher={"method": teacher})])
    assert "\n" not in str(error.value)


def test_one_training_subject_is_too_few_for_a_teacher(tmp_path):
    with pytest.raises(InputError, match="at least two training subjects to train imitate"):
        plan(methods=["affine", student(tmp_path)], split={"train": ["01"], "test": ["03", "04"]})


def test_warped_images_have_no_teacher(tmp_path):
    path = student(tmp_path, schedule={"augmentation": {"warp_mm": 2}})
    with pytest.raises(InputError, match=r"with a `teacher`, `warp_mm` and `affine` .* must be 0"):
        spec(path)
    with pytest.raises(InputError, match="`teacher` is for learned methods alone"):
        spec(student(tmp_path, kind="classical"))


def packed(path: Path, subjects: int = 2, shape: tuple[int, int, int] | None = None) -> str:
    grid = plan().results.space.grid(4)
    grid = grid if shape is None else Grid(shape, grid.affine)
    keys = tuple(f"sub-{n}" for n in range(subjects))
    blank = np.zeros(grid.shape, np.uint16)
    pack(dict.fromkeys(keys, blank), {}, grid, path, origin=Origin("b", keys))
    return str(path)


def test_further_cohorts_are_named_by_their_arrays_or_their_study(tmp_path):
    arrays = packed(tmp_path / "b")
    assert plan(cohorts={"b": {"arrays": arrays}}).further_arrays == {"b": Path(arrays)}
    other = yaml.safe_load((REPO / "config" / "tiny.yaml").read_text())
    other |= {"cohort": "b", "results": str(tmp_path / "results")}
    (tmp_path / "b.yaml").write_text(yaml.safe_dump(other))
    path = tmp_path / "results" / "b" / "train" / "arrays_res-4.safetensors"
    packed(path)
    cohorts = {"b": {"study": str(tmp_path / "b.yaml"), "weight": 2}, "tiny": {"weight": 3}}
    assert plan(cohorts=cohorts).further_arrays == {"b": path}
    assert plan(cohorts=cohorts, methods=["affine"]).further_arrays == {}


def test_a_further_cohort_that_cannot_train_ends_in_one_line(tmp_path):
    cases = {
        "no such file: cohort `b` is not packed": {"arrays": str(tmp_path / "none")},
        "cohort `b` has fewer than two training": {"arrays": packed(tmp_path / "one", subjects=1)},
        "`b` needs one of `study` and `arrays`": {"weight": 2},
    }
    for problem, cohort in cases.items():
        with pytest.raises(InputError, match=problem) as error:
            plan(cohorts={"b": cohort})
        assert "\n" not in str(error.value)
    with pytest.raises(InputError, match="`tiny` is this study itself"):
        plan(cohorts={"tiny": {"arrays": packed(tmp_path / "two")}})


def test_arrays_of_another_grid_are_refused(tmp_path):
    path = packed(tmp_path / "b", shape=(4, 4, 4))
    with pytest.raises(InputError, match="cohort `b` has a grid of 4x4x4, this study one of"):
        plan(cohorts={"b": {"arrays": path}})


def test_a_student_stays_in_its_own_study(tmp_path):
    cohorts = {"b": {"arrays": packed(tmp_path / "b")}}
    with pytest.raises(InputError, match="`imitate` has a teacher, which knows pairs of this"):
        plan(methods=["affine", student(tmp_path)], cohorts=cohorts)


def test_methods_that_share_weights_are_not_trained_and_need_their_owner():
    both = many(methods=["affine", "quicksilver-lpc", "quicksilver-lpc2"])
    assert both.trained == ["quicksilver-lpc"]
    assert both.weights("quicksilver-lpc2") == both.weights("quicksilver-lpc")
    assert both.teaching.of("quicksilver-lpc") == ("lddmm", 100)
    assert both.teaching.of("quicksilver-lpc2") is None
    with pytest.raises(InputError, match="uses the weights of `quicksilver-lpc`"):
        many(methods=["affine", "quicksilver-lpc2"])
    with pytest.raises(InputError, match="seeds: `quicksilver-lpp` uses the weights of"):
        many(methods=["quicksilver", "quicksilver-lpp"], seeds={"quicksilver-lpp": [3]})


def test_a_change_of_the_teacher_retrains_its_students_alone():
    """Their targets are files of the teacher; nothing of another method's training names them."""
    study = many(methods=["pmr", "quicksilver", "quicksilver-lpc", "quicksilver-lpc2"])
    wanted = {m: targets(study, m) for m in study.learned}
    assert wanted["pmr"] is None
    assert wanted["quicksilver"] == wanted["quicksilver-lpc"]
    assert "lddmm_pairs-100" in str(wanted["quicksilver"])
