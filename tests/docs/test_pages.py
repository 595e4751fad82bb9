"""What the documentation names exists: files, modules, links, commands and their flags."""

from __future__ import annotations

import importlib
import importlib.util
import re
from pathlib import Path

import pytest

from pmrpipe.cli import VERBS, main

from .pages import DOCS, REPO, blocks, pages, prose, slug

FOLDERS = "src|docs|benchmarks|config|tests|rules|profiles|envs|workflow"
# The study that a user writes, and file names that stand for any.
MADE_MODULES = {"pmrpipe.stages.cohort.listed", "pmrpipe.metrics.displacement"}
MADE_BY_THE_READER = {"config/mine.yaml", "study.yaml"} | {
    f"src/{module.replace('.', '/')}.py" for module in MADE_MODULES
}
NAMES = [str(page.relative_to(REPO)) for page in pages()]


def _paths(text: str) -> set[str]:
    named = re.findall(rf"(?<![\w./-])(?:{FOLDERS})/[\w./-]*\w/?", text)
    return set(named) - MADE_BY_THE_READER


def _modules(text: str) -> set[str]:
    named = re.findall(r"(?<![\w./'-])pmrpipe(?:\.[A-Za-z_]\w*)+(?![\w/-])", text)
    return set(named) - MADE_MODULES


def _sources(text: str) -> set[str]:
    """`room/module.py`, with or without ": name", seen from the package or one of its stages."""
    return set(re.findall(r"`([a-z_]+/(?:[a-z_]+/)*[a-z_]+\.py(?:: [\w.]+)?)`", text))


def _exists(dotted: str) -> bool:
    parts = dotted.split(".")
    for end in range(len(parts), 0, -1):
        name = ".".join(parts[:end])
        try:
            spec = importlib.util.find_spec(name)
        except ModuleNotFoundError:
            spec = None
        if spec is not None:
            value = importlib.import_module(name)
            return all((value := getattr(value, part, None)) is not None for part in parts[end:])
    return False


@pytest.mark.parametrize("name", NAMES)
def test_every_path_that_a_page_names_exists(name: str) -> None:
    text = (REPO / name).read_text(encoding="utf-8")
    # `workflow/` is a folder of the repository and a package.
    roots = (REPO, REPO / "src" / "pmrpipe")
    missing = [
        path
        for path in sorted(_paths(text))
        if not any((root / (path + end)).exists() for root in roots for end in ("", ".py"))
    ]
    assert missing == []


@pytest.mark.parametrize("name", NAMES)
def test_every_module_that_a_page_names_exists(name: str) -> None:
    text = (REPO / name).read_text(encoding="utf-8")
    assert [module for module in sorted(_modules(text)) if not _exists(module)] == []


@pytest.mark.parametrize("name", NAMES)
def test_every_source_that_a_page_names_holds_the_named_code(name: str) -> None:
    package = REPO / "src" / "pmrpipe"
    missing = []
    for source in sorted(_sources(prose(REPO / name))):
        path, _, code = source.partition(": ")
        roots = (REPO, package, package / "stages")
        file = next((root / path for root in roots if (root / path).exists()), None)
        text = file.read_text(encoding="utf-8") if file else ""
        words = code.split(".") if code else []
        if not file or not all(re.search(rf"\b(?:class|def) {w}\b", text) for w in words):
            missing.append(source)
    assert missing == []


@pytest.mark.parametrize("name", NAMES)
def test_every_relative_link_leads_to_a_file_and_a_heading(name: str) -> None:
    page = REPO / name
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        if not file.exists() or (anchor and anchor not in _anchors(file)):
            broken.append(target)
    assert broken == []


def _anchors(page: Path) -> set[str]:
    return {slug(line) for line in re.findall(r"^#+ (.*)$", prose(page), re.M)}


def test_every_page_can_be_reached_from_the_index() -> None:
    reached, waiting = set(), [DOCS / "index.md"]
    while waiting:
        page = waiting.pop()
        if page in reached or page.suffix != ".md" or not page.exists():
            continue
        reached.add(page)
        links = re.findall(r"\]\(([^)\s#]+)", prose(page))
        waiting += [(page.parent / link).resolve() for link in links if ":" not in link]
    assert set(DOCS.rglob("*.md")) - reached == set()


def _commands(program: str) -> list[tuple[str, str]]:
    """Page and words of every line in a code block that calls a program."""
    lines = [
        (page.name, line.strip())
        for page in pages()
        for block in blocks(page)
        if block.language in ("", "sh", "bash")
        for line in block.text.replace("\\\n", " ").splitlines()
    ]
    call = re.compile(rf"^(?:python -m )?{program} (.*?)(?:\s+#.*)?$")
    return [(page, match[1]) for page, line in lines if (match := call.match(line))]


def test_verbs_and_flags_in_code_blocks_are_those_of_the_command(
    capsys: pytest.CaptureFixture[str],
) -> None:
    wrong, seen = [], 0
    for page, words in _commands("pmrpipe"):
        verb, *rest = words.split()
        seen += 1
        if verb not in VERBS:
            wrong.append(f"{page}: {verb}")
            continue
        with pytest.raises(SystemExit):
            main([verb, "--help"])
        text = capsys.readouterr().out
        flags = (word for word in rest if word.startswith("--"))
        wrong += [f"{page}: {verb} {flag}" for flag in flags if not _has(text, flag)]
    assert wrong == []
    assert seen > 5


def _has(text: str, flag: str) -> bool:
    return re.search(rf"(?<![\w-]){re.escape(flag)}(?![\w-])", text) is not None


def test_targets_of_make_in_code_blocks_are_in_the_makefile() -> None:
    makefile = (REPO / "Makefile").read_text(encoding="utf-8").replace("$(VENV)", ".venv")
    named = {words.split()[0] for _, words in _commands("make")}
    assert named
    assert {t for t in named if not re.search(rf"^{re.escape(t)}:", makefile, re.M)} == set()


def test_configurations_in_commands_of_snakemake_exist() -> None:
    files = {f for _, w in _commands("snakemake") for f in re.findall(r"--configfile (\S+)", w)}
    assert "config/tiny.yaml" in files
    assert {f for f in files - MADE_BY_THE_READER if not (REPO / f).exists()} == set()


def test_each_decision_has_three_lines() -> None:
    text = (DOCS / "decisions.md").read_text(encoding="utf-8")
    entries = re.split(r"^\*\*", text, flags=re.M)[1:]
    assert len(entries) > 30
    for entry in entries:
        assert re.findall(r"^- (\w+): ", entry, re.M) == ["Decision", "Reason", "Cost"], entry
