"""What the rules say to the verbs, and which files their jobs read."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml

from pmrpipe.cli import VERBS
from pmrpipe.study.config import parse
from pmrpipe.study.options.flags import words
from pmrpipe.workflow import commands, files
from pmrpipe.workflow.plan import Plan
from pmrpipe.workflow.verbs import WORK

REPO = Path(__file__).resolve().parents[3]
TINY = yaml.safe_load((REPO / "config" / "tiny.yaml").read_text())
SHIPPED = {"methods": ["affine", "syn", "pmr-plus"], "weights": {"pmr-plus": "shipped"}}


def plan(**keys: object) -> Plan:
    # Unchecked: the folders of weights that are named here do not exist.
    return Plan(parse(TINY | keys))


def test_a_scan_s_exceptions_reach_its_job() -> None:
    study = plan(
        overrides={"sub-03": {"input_state": "brain"}},
        orientation="LAS",
        bias_correction="n4",
        threads={"brain": 2, "affine": 3},
    )
    usual, other = (commands.brain(study, key) for key in ("sub-04", "sub-03"))
    assert (other.state, other.method, other.orientation) == ("brain", "nonzero", "LAS")
    assert (usual.state, usual.method) == ("head", "deepbet")
    assert usual.n4
    assert usual.threads == 2
    whole = commands.preprocess(study, "sub-03")
    assert (whole.threads, whole.mm, whole.orientation) == (3, 4.0, "LAS")
    assert commands.labels(study, "sub-03").orientation == "LAS"
    assert commands.quality(study, "sub-03").orientation == "LAS"


def test_templates_are_said_and_read_only_where_they_are_used() -> None:
    template = {"head": "~/head.nii", "brain": "brain.nii"}
    study = plan(head_template=template, overrides={"sub-03": {"brain": "template"}})
    assert commands.brain(study, "sub-03").head_template == Path("~/head.nii").expanduser()
    assert commands.brain(study, "sub-04").head_template is None
    assert set(files.raw_scan(study, "sub-03")) == {"t1w", "head_template", "brain_template"}
    assert set(files.raw_scan(study, "sub-04")) == {"t1w"}


def test_training_is_told_of_the_seed_and_limits_of_its_row() -> None:
    study = plan(seeds={"pmr": [7]}, init={"pmr": "old"}, training={"max_steps": 3}, device="cpu")
    again = commands.train(study, "pmr_seed-7")
    assert (again.method, again.seed, again.max_steps, again.device) == ("pmr", 7, 3, "cpu")
    assert again.init == Path("old")
    assert (again.train, again.validation) == (("sub-01", "sub-02"), ())
    assert files.training(study, "pmr")["init"] == Path("old/weights.safetensors")
    assert set(files.training(study, "pmr-cc")) == {"arrays"}


def test_a_refined_row_is_named_and_an_unrefined_one_is_not() -> None:
    study = plan(**SHIPPED, refine={"pmr-plus": 5}, refine_mm=2, refine_elastic=0.5, uncertainty=4)
    ((batch, pairs),) = study.batches("pmr-plus").items()
    refined = commands.register_pairs(study, "pmr-plus_refine-5", batch)
    plain = commands.register_pairs(study, "pmr-plus", batch)
    assert (refined.name, refined.refine, refined.refine_mm) == ("pmr-plus_refine-5", 5, 2)
    assert (plain.name, plain.refine, plain.refine_mm) == (None, 0, 1)
    assert (refined.refine_elastic, plain.refine_elastic) == (0.5, 0.7)
    assert (refined.uncertainty, plain.uncertainty) == (4, 4)
    assert plain.pairs == tuple(f"{moving}_to_{fixed}" for moving, fixed in pairs)
    assert "weights" in files.registration(study, "pmr-plus", batch)


def test_a_row_with_tuned_weights_is_told_of_its_steps_and_nobody_else() -> None:
    study = plan(**SHIPPED, refine={"pmr-plus": 5}, finetune={"pmr-plus": 7}, finetune_rate=1e-4)
    assert study.methods[2:] == ["pmr-plus", "pmr-plus_refine-5", "pmr-plus_finetune-7"]
    rows = [commands.register_pairs(study, name, next(iter(study.batches(name))))
            for name in study.methods[2:]]  # fmt: skip
    assert [(row.name, row.refine, row.finetune) for row in rows] == [
        (None, 0, 0), ("pmr-plus_refine-5", 5, 0), ("pmr-plus_finetune-7", 0, 7),
    ]  # fmt: skip
    assert [row.finetune_rate for row in rows] == [2e-5, 2e-5, 1e-4]
    assert study.weights("pmr-plus_finetune-7") == study.weights("pmr-plus")
    assert "pmr-plus_finetune-7" not in study.trained
    tuned = study.specs["pmr-plus_finetune-7"]
    assert (tuned.posterior, tuned.levels) == (False, False)
    refined = study.specs["pmr-plus_refine-5"]
    assert (refined.posterior, refined.levels) == (True, False)
    assert "tuned to each pair in 7 steps" in tuned.title
    digests = {name: study.method_digest(name, "register-pairs") for name in study.methods[2:]}
    assert len(set(digests.values())) == 3


def test_what_is_asked_of_registrations_trains_no_network_anew() -> None:
    keys = {"methods": ["affine", "pmr"], "split": {"train": ["01", "02"], "test": ["03", "04"]}}
    plain, asked = plan(**keys), plan(**keys, uncertainty=4, refine={"pmr": 5})
    assert plain.method_digest("pmr", "train") == asked.method_digest("pmr", "train")
    before, after = (p.method_digest("pmr", "register-pairs") for p in (plain, asked))
    assert before != after


def test_a_classical_method_is_told_of_no_weights_and_no_device_of_the_networks() -> None:
    study = plan(device="cuda")
    batch = next(iter(study.batches("syn")))
    options = commands.register_pairs(study, "syn", batch)
    assert (options.weights, options.device) == (None, "auto")
    assert "weights" not in files.registration(study, "syn", batch)


def test_labels_and_orientations_are_said_of_the_job_s_scans_alone() -> None:
    study = plan(orientation="LAS")
    batch = next(iter(study.batches("syn")))
    options = commands.register_pairs(study, "syn", batch)
    assert set(options.labels) == set(study.batch_keys("syn", batch))
    assert options.orientations == dict.fromkeys(study.batch_keys("syn", batch), "LAS")


def test_scores_know_whether_fields_go() -> None:
    assert "--discard-fields" not in words(commands.score_pairs(plan(), "syn"))
    assert "--discard-fields" in words(commands.score_pairs(plan(fields=False), "syn"))


def test_the_words_of_a_path_with_a_space_are_quoted() -> None:
    study = plan(init={"pmr": "my weights"})
    assert "--init 'my weights' " in commands.line(commands.train(study, "pmr"))


def test_arrays_hold_training_and_validation_scans() -> None:
    packing = commands.pack(plan())
    assert packing.keys == packing.labelled == ("sub-01", "sub-02")
    assert commands.pack(plan(labels=None)).labelled == ()


def test_every_verb_has_its_work_and_no_other() -> None:
    assert set(WORK) == set(VERBS)


@pytest.mark.parametrize("module", sorted({name for names in WORK.values() for name in names}))
def test_work_modules_are_there_and_no_part_of_the_command(module: str) -> None:
    assert find_spec(module) is not None
    assert not module.startswith("pmrpipe.cli")


def test_each_rule_carries_the_digest_of_the_verb_that_it_calls() -> None:
    """`simulate` has a digest of its own, which holds the label table too."""
    for path in sorted((REPO / "rules").glob("*.smk")):
        for rule in re.split(r"^ *rule ", path.read_text(), flags=re.M)[1:]:
            (verb,) = re.findall(r"python -m pmrpipe ([a-z-]+)", rule)
            digests = re.findall(r"digest\((?:[\w.]+, )?\"([a-z-]+)\"\)", rule) or ["simulate"]
            assert digests == [verb], f"{path.name}: {rule.split(':')[0]}"
