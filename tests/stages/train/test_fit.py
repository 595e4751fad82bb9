"""The fit: what it writes, that it repeats, resumes, and refuses."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from pmrpipe.base.errors import InputError, WorkError
from pmrpipe.base.files import read_json, read_tsv
from pmrpipe.methods.load import build, weights_folder
from pmrpipe.methods.spec import spec
from pmrpipe.methods.weights import load_weights
from pmrpipe.stages.train.fit import fit
from pmrpipe.stages.train.module import Fit
from pmrpipe.stages.train.trainer import choose_precision
from tests.helpers.packs import KEYS, write_pack


def run(spec, pack, out, **options):
    keys = {"train": KEYS[:2], "validation": KEYS[2:]}
    fit(spec, pack, out, **(keys | {"network_mm": 1.0, "device": "cpu"} | options))
    return out


def longer(spec, steps):
    schedule = spec.schedule.model_copy(update={"max_steps": steps})
    return spec.model_copy(update={"schedule": schedule})


def outputs(folder):
    return [(folder / name).read_bytes() for name in ("weights.safetensors", "history.tsv")]


def test_it_writes_weights_model_and_history(small, pack, tmp_path):
    said = []
    out = run(small, pack, tmp_path / "fit", say=said.append, facts={"commit": "abc"})
    model = read_json(out / "model.json")
    assert model["method"] == "pmr"
    assert model["commit"] == "abc"
    assert model["train"] == list(KEYS[:2])
    assert model["grid"]["shape"] == [24, 20, 28]
    assert model["specification"]["schedule"]["max_steps"] == model["steps"] == 4
    history = read_tsv(out / "history.tsv", ("total", "image", "feature_norm_4"))
    assert history["step"].tolist() == [2, 4]
    assert history["validation_dice"].between(0.3, 1).all()
    assert len(said) == 2
    load_weights(build(small, 1.0), small, out)


def test_nothing_else_is_left_behind(small, pack, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    out = run(small, pack, tmp_path / "fit")
    assert sorted(p.name for p in out.iterdir() if p.name != "tensorboard") == [
        "checkpoints",
        "history.tsv",
        "model.json",
        "weights.safetensors",
    ]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["arrays.safetensors", "fit"]


def test_the_same_seed_gives_the_same_bytes(small, pack, tmp_path):
    first = outputs(run(small, pack, tmp_path / "a", seed=1))
    assert outputs(run(small, pack, tmp_path / "b", seed=1)) == first
    assert outputs(run(small, pack, tmp_path / "c", seed=2)) != first


def test_tensorboard_gets_the_history(small, pack, tmp_path):
    event_pb2 = pytest.importorskip("tensorboardX.proto.event_pb2")
    run(small, pack, tmp_path)
    (path,) = (tmp_path / "tensorboard").glob("events.*")
    content, scalars = path.read_bytes(), {}
    while content:  # A record: its length, a checksum of 4 bytes, itself, another checksum.
        length = int.from_bytes(content[:8], "little")
        event = event_pb2.Event.FromString(content[12 : 12 + length])
        scalars |= {(event.step, v.tag): v.simple_value for v in event.summary.value}
        content = content[16 + length :]
    for row in read_tsv(tmp_path / "history.tsv", ("step",)).to_dict("records"):
        for name in ("total", "validation_dice"):
            assert scalars[row["step"], name] == pytest.approx(row[name], rel=1e-5)


def test_a_longer_run_continues_a_shorter_one_to_the_byte(small, pack, tmp_path):
    run(small, pack, tmp_path / "two")
    said = []
    run(longer(small, 8), pack, tmp_path / "two", say=said.append)
    assert "resuming at step 4" in said[0]
    run(longer(small, 8), pack, tmp_path / "one")
    assert outputs(tmp_path / "two") == outputs(tmp_path / "one")


def test_a_checkpoint_of_another_training_is_not_resumed(small, pack, tmp_path):
    run(small, pack, tmp_path / "fit", seed=1)
    said = []
    run(small, pack, tmp_path / "fit", seed=2, say=said.append)
    assert "anew" in said[0]
    assert outputs(tmp_path / "fit") == outputs(run(small, pack, tmp_path / "new", seed=2))


def test_a_broken_checkpoint_starts_anew(small, pack, tmp_path):
    expected = outputs(run(small, pack, tmp_path / "fit"))
    last = tmp_path / "fit" / "checkpoints" / "last.ckpt"
    last.write_bytes(last.read_bytes()[:500])
    assert outputs(run(small, pack, tmp_path / "fit")) == expected


def test_training_begins_with_given_weights(small, pack, tmp_path):
    before = run(small, pack, tmp_path / "before")
    still = small.schedule.model_copy(update={"learning_rate": 1e-12, "max_steps": 2})
    gentle = small.model_copy(update={"schedule": still})
    after = run(gentle, pack, tmp_path / "after", init=before)
    weights = [load_file(folder / "weights.safetensors") for folder in (before, after)]
    for name, value in weights[0].items():
        assert torch.allclose(value, weights[1][name], atol=1e-6), name
    assert len(read_json(after / "model.json")["init_sha256"]) == 64
    assert read_json(before / "model.json")["init_sha256"] is None
    renamed = run(gentle.model_copy(update={"name": "own"}), pack, tmp_path / "own", init=before)
    assert read_json(renamed / "model.json")["init_sha256"] is not None
    with pytest.raises(InputError, match="does not fit the network of faim"):
        run(spec("faim"), pack, tmp_path / "other", init=before)
    with pytest.raises(InputError, match="faim: has no shipped weights"):
        weights_folder("shipped", "faim")


def test_minutes_stop_it(small, pack, tmp_path):
    schedule = small.schedule.model_copy(update={"max_minutes": 0.02, "max_steps": 10**6})
    out = run(small.model_copy(update={"schedule": schedule}), pack, tmp_path / "fit")
    assert 0 < read_json(out / "model.json")["hours"] < 0.05


def test_one_validation_scan_is_paired_with_training_scans(small, pack, tmp_path):
    out = run(small, pack, tmp_path / "fit", train=KEYS[:3], validation=KEYS[3:])
    assert read_tsv(out / "history.tsv")["validation_dice"].notna().all()


def test_without_labels_the_objective_decides(small, tmp_path):
    pack = write_pack(tmp_path / "bare.safetensors", labelled=())
    out = run(small, pack, tmp_path / "fit")
    assert read_tsv(out / "history.tsv")["validation_objective"].notna().all()


def test_without_validation_the_last_weights_count(small, pack, tmp_path):
    out = run(small, pack, tmp_path / "fit", validation=())
    assert "validation_dice" not in read_tsv(out / "history.tsv")
    assert (out / "weights.safetensors").exists()


def test_it_learns(small, pack, tmp_path):
    """Shifted balls: a hundred steps bring two of the training scans onto each other."""
    schedule = small.schedule.model_copy(
        update={"max_steps": 100, "validate_every": 25, "learning_rate": 1e-2}
    )
    options = {"train": KEYS[:2], "validation": KEYS[:2]}
    out = run(small.model_copy(update={"schedule": schedule}), pack, tmp_path / "fit", **options)
    history = read_tsv(out / "history.tsv")
    assert history["validation_dice"].max() > history["validation_dice"].iloc[0] + 0.1
    assert history["image"].iloc[-1] < 0.8 * history["image"].iloc[0]


def test_a_missing_scan_and_a_broken_pack_end_in_one_line(small, pack, tmp_path):
    with pytest.raises(InputError, match="lacks sub-09"):
        run(small, pack, tmp_path / "fit", train=("sub-01", "sub-09"))
    pack.write_bytes(b"nothing")
    with pytest.raises(InputError, match="no pack of pmrpipe"):
        run(small, pack, tmp_path / "fit")
    with pytest.raises(InputError, match="no such file"):
        run(small, tmp_path / "absent", tmp_path / "fit")


def test_one_subject_is_no_training_set(small, pack, tmp_path):
    with pytest.raises(InputError, match="two subjects"):
        run(small, pack, tmp_path / "fit", train=KEYS[:1])


def test_divergence_ends_in_one_line(small, pack, tmp_path):
    schedule = small.schedule.model_copy(update={"learning_rate": 1e20, "max_steps": 50})
    with pytest.raises(WorkError, match="learning_rate"):
        run(small.model_copy(update={"schedule": schedule}), pack, tmp_path / "fit")
    assert not (tmp_path / "fit" / "weights.safetensors").exists()


_KILLED = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from pmrpipe.methods.spec import MethodSpec
from tests.stages.train.test_fit import run
method = MethodSpec.model_validate_json({method!r})
run(method, Path({pack!r}), Path({out!r}), say=lambda text: print(text, flush=True))
"""


def test_a_killed_run_resumes_to_the_same_bytes(small, pack, tmp_path):
    """SIGKILL once a checkpoint is there; the second run ends as an unbroken one does."""
    script = _KILLED.format(
        tests=str(Path(__file__).resolve().parents[3]),
        method=longer(small, 20).model_dump_json(),
        pack=str(pack),
        out=str(tmp_path / "killed"),
    )
    child = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    for line in child.stdout:
        if line.startswith("step 6"):
            break
    time.sleep(0.05)
    child.send_signal(signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL
    child.stdout.close()
    assert not (tmp_path / "killed" / "weights.safetensors").exists()
    run(longer(small, 20), pack, tmp_path / "killed")
    run(longer(small, 20), pack, tmp_path / "whole")
    assert outputs(tmp_path / "killed") == outputs(tmp_path / "whole")


def test_long_stretches_show_progress(small, pack, tmp_path, monkeypatch):
    monkeypatch.setattr("pmrpipe.stages.train.keeper._TELL_EVERY", 0.0)
    said = []
    run(small, pack, tmp_path / "fit", say=said.append)
    assert sum("of 4 steps" in line for line in said) == 4


def annealed(spec, steps):
    schedule = spec.schedule.model_copy(update={"anneal": True, "max_steps": steps})
    return spec.model_copy(update={"schedule": schedule})


class Stop(Exception):
    """Ends a training from within."""


def stop_after_four(spec, pack, out):
    def say(text):
        if text.startswith("step 6"):
            raise Stop  # Before the checkpoint of step 6 is written.

    with pytest.raises(Stop):
        run(spec, pack, out, say=say)


def test_an_annealed_rate_falls_to_zero_along_half_a_cosine(small, pack, tmp_path, monkeypatch):
    rates = []
    step = torch.optim.Adam.step

    def spy(self, *args, **kwargs):
        rates.append(self.param_groups[0]["lr"] / small.schedule.learning_rate)
        return step(self, *args, **kwargs)

    monkeypatch.setattr(torch.optim.Adam, "step", spy)
    run(annealed(small, 4), pack, tmp_path / "fit")
    assert rates == pytest.approx([1.0, (1 + 0.5**0.5) / 2, 0.5, (1 - 0.5**0.5) / 2])


def test_an_annealed_run_resumes_to_the_byte_and_only_at_its_own_length(small, pack, tmp_path):
    whole = run(annealed(small, 8), pack, tmp_path / "whole")
    stop_after_four(annealed(small, 8), pack, tmp_path / "cut")
    said = []
    run(annealed(small, 8), pack, tmp_path / "cut", say=said.append)
    assert "resuming at step 4" in said[0]
    assert outputs(tmp_path / "cut") == outputs(whole)
    stop_after_four(annealed(small, 8), pack, tmp_path / "other")
    run(annealed(small, 6), pack, tmp_path / "other", say=said.append)
    assert any("another training" in text for text in said)


def test_a_cluster_s_time_limit_saves_first(small, pack, tmp_path):
    """SIGTERM in mid-epoch: one line, exit, and the next run continues at that very step."""
    plan = {"max_steps": 20, "validate_every": 10}
    spec = small.model_copy(update={"schedule": small.schedule.model_copy(update=plan)})
    script = _KILLED.format(
        tests=str(Path(__file__).resolve().parents[3]),
        method=spec.model_dump_json(),
        pack=str(pack),
        out=str(tmp_path / "cut"),
    ).replace(
        "from pathlib", "import pmrpipe.stages.train.keeper as k; k._TELL_EVERY = 0.0\nfrom pathlib"
    )
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    child = subprocess.Popen([sys.executable, "-c", script], text=True, **pipes)
    for line in child.stdout:
        if line.startswith("step 12:"):
            child.send_signal(signal.SIGTERM)
            break
    _, errors = child.communicate()
    assert child.returncode != 0
    assert "stopped by SIGTERM at step" in errors
    step = int(errors.rsplit("at step ", 1)[1].split(";")[0])
    assert 12 <= step < 20
    said = []
    run(spec, pack, tmp_path / "cut", say=said.append)
    assert f"resuming at step {step}" in said[0]
    assert outputs(tmp_path / "cut") == outputs(run(spec, pack, tmp_path / "whole"))


def test_a_checkpoint_within_an_epoch_is_enough(small, pack, tmp_path, monkeypatch):
    monkeypatch.setattr("pmrpipe.stages.train.keeper._SAVE_EVERY", 0.0)
    monkeypatch.setattr("pmrpipe.stages.train.keeper._TELL_EVERY", 0.0)
    plan = {"max_steps": 12, "validate_every": 6}
    spec = small.model_copy(update={"schedule": small.schedule.model_copy(update=plan)})

    def say(text):
        if text.startswith("step 9:"):
            raise Stop

    with pytest.raises(Stop):
        run(spec, pack, tmp_path / "cut", say=say)
    said = []
    run(spec, pack, tmp_path / "cut", say=said.append)
    assert "resuming at step 9" in said[0]
    assert outputs(tmp_path / "cut") == outputs(run(spec, pack, tmp_path / "whole"))


def test_a_cohort_larger_than_memory_is_read_as_it_is_drawn(small, pack, tmp_path):
    held = outputs(run(small, pack, tmp_path / "held"))
    module = {}
    keep = Fit.__init__

    def spy(self, *words, **named):
        keep(self, *words, **(named | {"budget": 1000}))
        module["held"] = self.sampler.held

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Fit, "__init__", spy)
        assert outputs(run(small, pack, tmp_path / "streamed")) == held
    assert not module["held"].kept


def test_precision_follows_the_processor(monkeypatch):
    class Information:
        flags = "avx512f"

        def read_text(self, **_):
            return self.flags

    monkeypatch.setattr("pmrpipe.stages.train.trainer.Path", lambda _: Information())
    assert choose_precision("cpu") is None
    Information.flags = "avx512f amx_bf16"
    assert choose_precision("cpu") is torch.bfloat16
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: True)
    assert choose_precision("cuda") is torch.bfloat16


def test_an_objective_that_is_no_number_ends_the_training(small, pack, tmp_path):
    schedule = small.schedule.model_copy(update={"learning_rate": 1e30, "clip": 1e30})
    with pytest.raises(WorkError, match="not finite at step"):
        run(small.model_copy(update={"schedule": schedule}), pack, tmp_path / "fit")
    assert not (tmp_path / "fit" / "weights.safetensors").exists()
