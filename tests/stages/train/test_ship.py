"""Only weights of data that may be passed on are shipped."""

import pytest

from pmrpipe.base.errors import InputError
from pmrpipe.base.files import read_json, write_json
from pmrpipe.stages.train.fit import fit
from pmrpipe.stages.train.licence import allowed_licence
from pmrpipe.stages.train.ship import ship
from tests.helpers.packs import KEYS

ALLOWED = {
    "CC0": ["CC0", "cc0", "CC0-1.0", "CC0 1.0 Universal", "Creative Commons Zero v1.0 Universal",
            "https://creativecommons.org/publicdomain/zero/1.0/"],
    "PDDL": ["PDDL", "PDDL-1.0", "ODC-PDDL-1.0", "Public Domain Dedication and License",
             "This dataset is made available under the Public Domain Dedication and License \n"
             "v1.0, whose full text can be found at \n"
             "http://www.opendatacommons.org/licenses/pddl/1.0/"],
    "CC BY": ["CC BY 4.0", "CC-BY-4.0", "CC-BY-3.0", "CC BY", "ccby",
              "Creative Commons Attribution 4.0 International",
              "Creative Commons Attribution 4.0 International License",
              "http://creativecommons.org/licenses/by/4.0/legalcode"],
    "Apache": ["Apache-2.0", "Apache License 2.0", "Apache License, Version 2.0",
               "https://www.apache.org/licenses/LICENSE-2.0"],
    "MIT": ["MIT", "MIT License", "The MIT License"],
    "BSD": ["BSD", "BSD-3-Clause", "BSD 2-Clause License", "New BSD License"],
}  # fmt: skip
REFUSED = [
    None, "", "CC BY-NC 4.0", "CC-BY-SA-4.0", "CC BY-ND", "CC-BY-NC-ND-4.0", "GPL-3.0", "n/a",
    "Creative Commons Attribution-NonCommercial 4.0 International",
    "Creative Commons Attribution-ShareAlike 4.0", "Attribution-NoDerivatives", "ODbL", "PDDL, NC",
    "https://creativecommons.org/licenses/by-nc/4.0/", "custom", "MIT, for academic use only",
    "not CC0", "CC0 for the T1w, others restricted",
]  # fmt: skip


@pytest.mark.parametrize("text", [t for texts in ALLOWED.values() for t in texts])
def test_usual_spellings_of_open_licences_are_known(text):
    assert text in ALLOWED[allowed_licence(text)]


@pytest.mark.parametrize("text", REFUSED)
def test_any_other_licence_is_none_of_them(text):
    assert allowed_licence(text) is None


@pytest.fixture
def trained(small, pack, tmp_path, monkeypatch):
    monkeypatch.setattr("pmrpipe.stages.train.ship.shipped_folder", lambda _: tmp_path / "shipped")
    monkeypatch.setattr("pmrpipe.stages.train.ship.spec", lambda _: small)
    out = tmp_path / "fit"
    brief = small.model_copy(
        update={"schedule": small.schedule.model_copy(update={"max_steps": 1})}
    )
    fit(brief, pack, out, train=KEYS[:2], network_mm=1.0, device="cpu")
    return out


def with_licences(folder, **licences):
    model = read_json(folder / "model.json")
    cohorts = {name: {"Name": "N", "License": text} for name, text in licences.items()}
    write_json(folder / "model.json", model | {"cohorts": cohorts})


def test_every_cohort_must_allow_it(trained, tmp_path):
    with_licences(trained, own="CC0", other="CC BY-NC 4.0")
    with pytest.raises(InputError, match=r"cohort `other` .*`CC BY-NC 4.0` is not one of those"):
        ship(trained)
    with_licences(trained, own="CC0", other="")
    with pytest.raises(InputError, match=r"cohort `other` .*states no License"):
        ship(trained)
    assert not (tmp_path / "shipped").exists()
    with_licences(trained, own="CC0", other="CC-BY-4.0")
    model = read_json(ship(trained) / "model.json")
    assert model["cohorts"]["other"]["License"] == "CC-BY-4.0"
    assert model["data"]["License"] == "CC0"


def test_the_dataset_s_own_word_counts_for_the_own_cohort(trained, tmp_path):
    with pytest.raises(InputError, match=r"cohort `own` .*states no License"):
        ship(trained)
    said = {"Name": "Ours", "License": "PDDL", "DatasetDOI": "10.1/x"}
    write_json(tmp_path / "data" / "dataset_description.json", said)
    model = read_json(ship(trained, tmp_path / "data") / "model.json")
    assert said.items() <= model["cohorts"]["own"].items()
    assert model["data"] == said
