import html.parser
import re
import shutil
import subprocess

import numpy as np
import pandas as pd
import pytest

from pmrpipe.base.errors import InputError
from pmrpipe.base.files import read_tsv, write_tsv
from pmrpipe.methods.geodesic_file import write_energies
from pmrpipe.metrics.choice import choose_pairs
from pmrpipe.stages.report.collect import MethodInfo, collect, without_paths
from pmrpipe.stages.report.page import build_report
from pmrpipe.study.paths import Results
from pmrpipe.study.timings import stage_costs
from tests.helpers.reference_study import REFERENCE, compare
from tests.helpers.synthetic_study import LABELS, METHODS, QUALITY, make_study

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


def build(results: Results, **changes) -> str:
    options = {
        "methods": METHODS,
        "title": "Made up <cohort>",
        "label_table": LABELS,
        "config_summary": {"root": "/home/someone/data/brains", "network_mm": 2},
        "citations": {"ANTs": "Avants et al. NeuroImage 54 (2011) 2033."},
        "excluded": [{"key": "sub-98", "reason": "cannot read /data/in/sub-98_T1w.nii.gz"}],
        "versions": {"torch": "2.13.0"},
    }
    return build_report(results, results.report, **(options | changes)).read_text("utf-8")


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Results:
    return make_study(tmp_path_factory.mktemp("study"))


@pytest.fixture(scope="module")
def page(study) -> str:
    return build(study)


class _Reader(html.parser.HTMLParser):
    """Open and close tags, ids, links and images of a page."""

    void = ("meta", "link", "img", "source", "br")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open, self.ids, self.links, self.images = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        named = dict(attributes)
        self.ids += [named["id"]] if "id" in named else []
        self.links += [named["href"]] if "href" in named else []
        if tag in ("img", "source"):
            self.images.append(named)
        if tag not in self.void:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_page_is_well_formed_and_its_inner_links_lead_somewhere(page):
    reader = _Reader(page)
    assert reader.open == []
    assert len(set(reader.ids)) == len(reader.ids)
    assert {link[1:] for link in reader.links if link.startswith("#")} <= set(reader.ids)


def test_everything_is_inside_the_page(page, study):
    reader = _Reader(page)
    for image in reader.images:
        assert (image.get("src") or image["srcset"]).startswith("data:image/")
    assert not re.search(r"(src|href|url\()=?[\"']?(https?:)?//", page)
    files = [link for link in reader.links if not link.startswith(("#", "data:"))]
    assert files
    for link in files:
        assert (study.report.parent / link).exists()


def test_every_image_says_what_it_shows(page):
    images = [image for image in _Reader(page).images if "src" in image]
    assert len(images) > 50
    assert all(len(image["alt"]) > 20 for image in images)


def test_no_absolute_path_and_text_is_escaped(page, study):
    assert str(study.root) not in page
    assert "/home/someone" not in page
    assert "/data/in" not in page
    assert "sub-98_T1w.nii.gz" in page
    assert "Made up &lt;cohort&gt;" in page


def test_page_shows_what_was_run(page):
    for text in (
        "moved during the scan",
        "2.13.0",
        "Avants et al. NeuroImage",
        "Liu et al. MICCAI (2019), arXiv 1907.01922.",
        "no difference is called significant",
        "Hippocampus",
        "Learning curves",
        "6 ordered pairs of 3 test subjects",
    ):
        assert text in page


def test_best_value_is_marked_and_affine_does_not_win_folding(page):
    row = page[page.index('data-value="affine"') : page.index('data-value="syn"')]
    assert "best" not in row
    assert page.count('class="num best"') >= 9  # Dice, seven regions, seconds


def test_accuracy_stands_beside_its_strain(page, study):
    charts = re.findall(r"<h3>(Accuracy against [a-z]+)</h3>", page)
    assert charts == [f"Accuracy against {what}" for what in ("folding", "strain", "time")]
    assert '<span class="name">Strain</span>' in page
    overview = read_tsv(study.report.parent / "tables" / "overview.tsv").set_index("method")
    assert overview.columns[-1] == "strain"
    assert overview.loc["affine", "strain"] == 0
    # The further a method goes the way to the other brain, the more it strains.
    assert overview["strain"].sort_values().index.tolist() == sorted(QUALITY, key=QUALITY.get)


def test_a_comparison_from_before_a_metric_is_shown_without_it(tmp_path):
    results = make_study(tmp_path, methods={"affine": 0, "pmr": 0.5}, pictures=False)
    path = results.summary.with_name("comparison.tsv")
    table = read_tsv(path)
    write_tsv(path, table[[name for name in table if not name.startswith("strain")]])
    paired = build(results).split("<h3>Paired differences</h3>")[1].split("</table>")[0]
    assert ">Dice</button>" in paired
    assert "Strain" not in paired


def test_figures_and_tables_lie_beside_the_page(study, page):
    folder = study.report.parent
    for name in ("regions", "dice-folding", "dice-strain", "dice-seconds", "training"):
        assert (folder / "figures" / f"{name}.svg").read_bytes().startswith(b"<?xml")
        assert (folder / "figures" / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    assert len(list((folder / "figures").glob("pmr_*.png"))) == 6
    assert len(list((folder / "figures").glob("pmr_*_levels.png"))) == 3
    tables = sorted(path.name for path in (folder / "tables").iterdir())
    assert tables == ["comparison.tsv", "labels.tsv", "overview.tsv", "stages.tsv", "summary.tsv"]


def test_uncertainty_and_levels_are_shown_where_there_are_any(page, study):
    alts = [image.get("alt", "") for image in _Reader(page).images]
    maps = [alt for alt in alts if alt.startswith("Uncertainty, colours from 0 to ")]
    assert len(maps) == 6  # two networks, three pairs
    assert sum("as level 2 of pmr alone deforms it" in alt for alt in alts) == 3
    assert not any("level 1 of pmr-cc" in alt for alt in alts)
    assert page.count('class="bar"') == 6
    overview = read_tsv(study.report.parent / "tables" / "overview.tsv").set_index("method")
    # The list's pair that is no longer in the study does not count.
    assert overview.loc["pmr", "uncertainty_mm"] == 0.25
    assert np.isnan(overview.loc["syn", "uncertainty_mm"])


def test_without_uncertainty_and_levels_nothing_speaks_of_them(tmp_path):
    page = build(make_study(tmp_path, subjects=2, methods={"affine": 0, "syn": 0.5}))
    for text in ("ncertainty", "evel 1", "SD:"):
        assert text not in page


def test_same_results_give_the_same_bytes(tmp_path):
    results = make_study(tmp_path, subjects=2, methods={"pmr": 0.5})
    page = build(results)
    before = {path: path.read_bytes() for path in results.report.parent.rglob("*.*")}
    assert build(results) == page
    assert before == {path: path.read_bytes() for path in results.report.parent.rglob("*.*")}


def test_pictures_do_not_depend_on_the_number_of_processes(tmp_path):
    results = make_study(tmp_path, methods={"affine": 0, "pmr": 0.5})
    assert build(results, workers=2) == build(results)


def test_errors_of_moved_images_are_drawn_where_somebody_measured_them(tmp_path):
    results = make_study(tmp_path, pictures=False)
    assert "Moved images" not in build(results)
    rows = [(METHODS[1].name, motion, amount, group, 0.1 * amount, 0.7 - amount / 100)
            for motion in ("translation", "rotation")
            for amount, group in ((0.0, "[U,U]"), (8.0, "[U,U]"), (8.0, "[W,U]"))]  # fmt: skip
    names = ["method", "motion", "amount", "group", "error_mm", "dice"]
    write_tsv(results.equivariance, pd.DataFrame(rows, columns=names))
    assert 'id="equivariance"' in build(results)
    assert (results.report.parent / "figures" / "equivariance.svg").exists()
    write_tsv(results.equivariance, pd.DataFrame(rows, columns=names).drop(columns="group"))
    with pytest.raises(InputError, match=r"equivariance\.tsv"):
        build(results)


def test_methods_beside_their_reference_have_a_section(tmp_path):
    results = make_study(tmp_path, trained=False)
    assert "Beside the reference" not in build(results)
    compare(results)
    page = build(results)
    reader = _Reader(page)
    assert reader.open == []
    section = page.split('id="reference-title"')[1].split("</section>")[0]
    headings = re.findall(r"<h3>(.*?)</h3>", section)
    assert headings == [
        "Target overlap",
        "Distance to the map of the reference",
        "Change of volume",
        "Time of a registration",
    ]
    folder = results.report.parent
    for name in ("overlap", "errors", "jacobians", "devices"):
        assert (folder / "figures" / f"reference-{name}.svg").exists()
    errors = read_tsv(folder / "tables" / "reference_errors.tsv").set_index("method")
    assert f">{errors.loc['pmr', 'p99.7_mm']:.2f}<" in section
    without = [info for info in METHODS if info.name != REFERENCE]
    assert "Beside the reference" not in build(results, methods=without)


def test_times_on_several_devices_are_drawn_where_somebody_measured_them(tmp_path):
    results = make_study(tmp_path, trained=False, pictures=True)
    compare(results)
    rows = [("pmr", "cuda", number, 6, 1 / number) for number in (1, 2, 4)]
    names = ["method", "device", "number", "pairs", "seconds_median"]
    write_tsv(results.devices, pd.DataFrame(rows, columns=names))
    build(results)
    drawn = (results.report.parent / "figures" / "reference-devices.svg").read_text()
    assert "Devices (cuda)" in drawn


def test_energies_are_drawn_with_the_pairs_of_a_method_that_has_them(tmp_path):
    results = make_study(tmp_path, subjects=2, methods={"syn": 0.5, "pmr": 0.6}, trained=False)
    assert "The energy at every iteration" not in build(results)
    rows = [
        {"level_mm": mm, "iteration": n, "total": 9.0 - n, "regularity": 1.0 + n, "matching": 8.0}
        for mm in (8.0, 4.0)
        for n in range(3)
    ]
    write_energies(results.energies("syn", "sub-01", "sub-02"), rows)
    page = build(results)
    assert page.count("The energy at every iteration") == 1
    drawn = list((results.report.parent / "figures").glob("syn_*_sub-01_to_sub-02_energy.svg"))
    assert len(drawn) == 1
    assert "matching: images that differ" in drawn[0].read_text()


def test_cohort_without_labels_and_training(tmp_path):
    page = build(make_study(tmp_path, subjects=2, labelled=False, trained=False), label_table=None)
    _Reader(page)
    assert "without labels" in page
    assert "Highest mean NCC" in page
    assert 'id="training"' not in page
    assert "Dice by region" not in page
    assert "Jacobian" in page


def test_pictures_gone_leave_the_numbers(tmp_path):
    page = build(make_study(tmp_path, pictures=False, methods={"affine": 0, "pmr": 0.5}))
    assert 'id="pairs"' not in page
    assert "Without scores, and so not shown: syn, pmr-cc" in page
    assert 'id="summary"' in page


def test_two_subjects_have_no_interval_and_no_median_pair(tmp_path):
    results = make_study(tmp_path, subjects=2, methods={"pmr": 0.5}, trained=False)
    page = build(results, methods=[MethodInfo("pmr")], citations=None, versions=None)
    assert "Best" in page
    assert "Median <small>" not in page


def test_all_warnings_are_collected_with_links(tmp_path):
    results = make_study(tmp_path, methods={"affine": 0, "pmr": 0.5}, pictures=False)
    cohort = read_tsv(results.cohort)
    cohort.loc[len(cohort), ["t1w", "skipped"]] = "sub-09/sub-09_t1w.nii.gz", "name is not BIDS"
    write_tsv(results.cohort, cohort)
    qc = {"key": ["sub-01", "sub-02"], "outlier": ["snr low", None], "reasons": ["is noisy", None]}
    write_tsv(results.qc, pd.DataFrame(qc))
    results.qc_page("sub-01").write_text("page")
    path = results.score("pmr") / "by_pair.tsv"
    pairs = read_tsv(path)
    pairs["doubts"] = None
    pairs.loc[2, "doubts"] = "the map folds"
    write_tsv(path, pairs)
    page = build(results)
    look = page.split('id="look-title"')[1].split("</section>")[0]
    for text in ("is noisy", "name is not BIDS", "the map folds", "sub-09/sub-09_t1w.nii.gz"):
        assert text in look
    assert f"cohort.tsv, row {len(cohort)}" in look
    assert "score/pmr/by_pair.tsv, row 3" in look
    links = re.findall(r'href="(.*?)"', look)
    assert links[0] == "../sub-01.html"
    assert "../score/pmr/by_pair.tsv" in links
    assert all((results.report.parent / link).exists() for link in links)
    table = read_tsv(results.report.parent / "tables" / "look_at.tsv").set_index("kind")
    assert table.loc["scan", "name"] == "sub-01"
    assert table.loc["registration", "place"] == "score/pmr/by_pair.tsv, row 3"


def test_without_a_warning_there_is_no_section_of_warnings(tmp_path):
    results = make_study(tmp_path, subjects=2, methods={"pmr": 1.0}, pictures=False)
    assert read_tsv(results.score("pmr") / "by_pair.tsv")["doubts"].isna().all()
    assert "Look at these" not in build(results)


def test_without_a_score_table_there_is_no_page(tmp_path):
    with pytest.raises(InputError, match="holds no score table"):
        build(Results(tmp_path))
    assert not (tmp_path / "report").exists()


def test_chosen_pairs_are_ordered_by_dice(study):
    collected = collect(study, METHODS, LABELS)
    for method in collected.methods:
        roles, _, _, scores = zip(*choose_pairs(method.scores.by_pair), strict=True)
        assert roles == ("best", "median", "worst")
        assert scores[0] == np.nanmax(method.dice)
        assert scores[2] == np.nanmin(method.dice)
        assert scores[0] >= scores[1] >= scores[2]
    assert [method.name for method in collected.methods] == list(QUALITY)


def test_stage_costs_add_up(tmp_path):
    for n, (seconds, memory) in enumerate([("1.5", "100"), ("2.5", "-")]):
        (tmp_path / "train").mkdir(exist_ok=True)
        text = f"s\th:m:s\tmax_rss\n{seconds}\t0:0:1\t{memory}\n"
        (tmp_path / "train" / f"{n}.tsv").write_text(text)
    (tmp_path / "train" / "foreign.tsv").write_text("a\tb\n1\t2\n")
    (row,) = stage_costs(tmp_path).to_dict("records")
    assert row == {"stage": "train", "jobs": 2, "seconds": 4.0, "memory_mb": 100.0}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/a/b/c.nii.gz: broken", "c.nii.gz: broken"),
        ("cannot read '/a/b/d.nii'", "cannot read 'd.nii'"),
        ("1/2 of sub-1/anat", "1/2 of sub-1/anat"),
        ("https://example.org/a/b", "https://example.org/a/b"),
        (r"C:\data\x.nii", "x.nii"),
        (["/x/y", {"k": "~/z/w"}], ["y", {"k": "w"}]),
        (3, 3),
    ],
)
def test_absolute_paths_are_cut(text, expected):
    assert without_paths(text) == expected


_CLICKS = """<script>
const out = [], rows = () => [...document.querySelectorAll("#summary table")[0].tBodies[0].rows];
const header = document.querySelectorAll("#summary thead button")[1];
for (let n = 0; n < 2; n++) { header.click(); out.push(rows()[0].cells[0].textContent.trim()); }
const tabs = document.querySelectorAll("[role=tab]");
tabs[0].focus();
tabs[0].dispatchEvent(new KeyboardEvent("keydown", {key: "ArrowRight", bubbles: true}));
out.push(tabs[1].getAttribute("aria-selected"), document.activeElement.id);
const compare = document.querySelector(".compare"), panel = compare.closest(".panels");
compare.click();
const of = (name) => panel.querySelector(`[data-panel=${name}] img`).src;
out.push(of("warped") === of("fixed"));
compare.click();
out.push(of("warped") === of("fixed"), document.documentElement.scrollWidth <= innerWidth);
document.title = out.join("|");
</script></body>"""


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
def test_page_works_in_a_browser_without_a_word_on_the_console(study, page, tmp_path):
    file = tmp_path / "clicked.html"
    file.write_text(page.replace("</body>", _CLICKS), "utf-8")
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"]
    command += ["--enable-logging=stderr", file.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert "CONSOLE" not in done.stderr
    title = re.search("<title>(.*?)</title>", done.stdout).group(1)
    order = read_tsv(study.report.parent / "tables" / "overview.tsv").sort_values("dice")["method"]
    assert title == f"{order.iloc[-1]}|{order.iloc[0]}|true|tab-1-2|true|false|true"
