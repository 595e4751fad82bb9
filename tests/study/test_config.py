"""Configuration: errors in one line, and a manual that says what the classes say."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from pmrpipe.base.errors import InputError
from pmrpipe.study.config import Study, load, parse
from pmrpipe.study.manual import SCHEMA, schema_text, with_table

CONFIG = Path(__file__).resolve().parents[2] / "config"


@pytest.mark.parametrize("path", sorted(CONFIG.glob("*.yaml")), ids=lambda path: path.name)
def test_shipped_configurations_are_valid(path: Path) -> None:
    import jsonschema

    assert load(path).methods
    jsonschema.validate(yaml.safe_load(path.read_text()), Study.model_json_schema())


def test_every_key_is_described() -> None:
    def check(schema: dict, where: str) -> None:
        for name, key in schema.get("properties", {}).items():
            assert key.get("description"), f"{where}.{name}"

    whole = Study.model_json_schema()
    check(whole, "Study")
    for name, part in whole["$defs"].items():
        check(part, name)


def test_manual_and_schema_are_up_to_date() -> None:
    page = (CONFIG / "README.md").read_text(encoding="utf-8")
    assert with_table(page) == page, "run python -m pmrpipe.study.manual"
    assert SCHEMA.read_text(encoding="utf-8") == schema_text(), "run python -m pmrpipe.study.manual"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"root": "x", "metods": []}, "unknown key `metods`"),
        ({"root": "x", "seed": 10**30}, "less than 2147483648"),
        ({"root": "x", "seeds": {"pmr": [-1]}}, "every seed is from 0 to"),
        ({"root": "x", "split": {"trian": []}}, "unknown key `split.trian`"),
        ({}, "key `root` is missing"),
        ({"root": "x", "grid_mm": "one"}, "key `grid_mm`"),
        ({"root": "x", "orientation": "RRS"}, "key `orientation`"),
        ({"root": "x", "split": {"train": 2.0}}, "between 0 and 1"),
        ({"root": ""}, "key `root`"),
        ({"root": "x", "results": ""}, "key `results`"),
        ({"root": "x", "cohort": "-x"}, "key `cohort`"),
        ({"root": "x", "subjects": ["S{10..01}"]}, "key `subjects`: .* counts nobody"),
        ({"root": "x", "split": {"train": ["{3..1}"]}}, "key `split.train.*counts nobody"),
        ({"root": "x", "grid_mm": True}, "key `grid_mm`: takes neither true nor false"),
        ({"root": "x", "split": {"train": True}}, "key `split.train`: takes neither true"),
        ({"root": "x", "refine": {"pmr": True}}, "key `refine`: takes neither true"),
        ({"root": "x", "seeds": {"pmr": [1, True]}}, "key `seeds`: takes neither true"),
        ({"root": "x", "overrides": {"01": {"mask": False}}}, "sub-01.mask|01.mask"),
        ({"root": "x", "refine": {"pmr": 0}}, "key `refine`: every method has one step"),
        ({"root": "x", "finetune": {"pmr": -3}}, "key `finetune`: every method has one step"),
        ({"root": "x", "network_mm": 900}, "key `network_mm`: .*equal to 32"),
        ({"root": "x", "subjects": []}, "key `subjects`: .*at least 1 item"),
        ({"root": "x", "template": {"subjects": []}}, "key `template.subjects`"),
        ({"root": "x", "pairs": {"file": "p.tsv"}}, "`file` goes with policy: file"),
        ({"root": "x", "pairs": {"subject": "01"}}, "`subject` goes with policy: to-subject"),
        ({"root": "x", "pairs": {"k": 2}}, "`k` goes with policy: random"),
        ({"root": "x", "split": {"column": "a", "train": ["1"]}}, "leave out the lists"),
        ({"root": "x", "training": {"max_steps": 2, "max_minutes": 1}}, "in place of max_steps"),
    ],
)
def test_wrong_keys_are_named(content: dict, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        parse(content)
    assert caught.value.exit_code == 2
    assert "\n" not in str(caught.value)


def test_what_may_be_true_may_be_and_sections_are_read_again() -> None:
    content = {
        "root": "x",
        "fields": False,
        "maps": {"with_affine": True},
        "split": {"column": "part", "test": []},
        "pairs": {"policy": "random", "k": 3},
    }
    study = parse(content)
    assert parse(study.model_dump()) == study
    parse({"root": "x", "pairs": {"policy": "all", "file": "of-the-file-below.tsv", "k": 3}})


def test_json_text_and_yaml_files_give_the_same_study(tmp_path: Path) -> None:
    study = load(CONFIG / "tiny.yaml")
    assert load(study.model_dump_json()) == study
    (tmp_path / "broken.yaml").write_text("a: [")
    with pytest.raises(InputError, match="is no YAML: line 1"):
        load(tmp_path / "broken.yaml")
