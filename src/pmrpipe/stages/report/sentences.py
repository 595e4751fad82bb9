"""The paragraph of methods text, and what the page says in sentences."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from pmrpipe.metrics import entries
from pmrpipe.metrics.finite import finite_mean
from pmrpipe.stages.report.collect import MethodResult, Study, cohort_counts
from pmrpipe.study.keys import subject_of

_ALWAYS = {
    "Bootstrap over subjects": "Owen A B. The pigeonhole bootstrap. Ann. Appl. Stat. 1 (2007) 386.",
}


def references(study: Study, citations: Mapping[str, str]) -> list[tuple[str, str]]:
    """(what, citation) of the methods, of what else was used, and of the measures."""
    named = {_title(m): m.info.citation for m in study.methods if m.info.citation}
    named |= citations
    further = _ALWAYS | {"Template": study.results.space.citation}
    further |= {metric.title: metric.citation for metric in entries.METRICS}
    named |= {what: citation for what, citation in further.items() if what not in named}
    return [(what, " ".join(citation.split())) for what, citation in named.items() if citation]


def numbered(sources: list[tuple[str, str]]) -> list[tuple[int, list[str], str]]:
    """The list of references: (number, what it is for, citation), equal citations once."""
    uses: dict[str, list[str]] = {}
    for what, citation in sources:
        uses.setdefault(citation, []).append(what)
    return [(n, names, citation) for n, (citation, names) in enumerate(uses.items(), start=1)]


def _title(method: MethodResult) -> str:
    return method.info.title or method.name


def methods_text(study: Study, sources: list[tuple[str, str]]) -> str:
    """A paragraph for a paper: data, preparation, methods, measures; [n] refers to `sources`."""
    mark = {what: f" [{n}]" for n, names, _ in numbered(sources) for what in names}
    names = "; ".join(f"{_title(m)}{mark.get(_title(m), '')}" for m in study.methods)
    sentences = [
        _data_sentence(study),
        "Brains were extracted, brought to the template "
        f"{study.results.space.name}{mark.get('Template', '')} by one affine transformation each, "
        "resampled once from native space, and whitened inside the brain mask.",
        f"Compared were: {names}.",
        *_measure_sentences(study, mark),
    ]
    return " ".join(sentence for sentence in sentences if sentence)


def _data_sentence(study: Study) -> str:
    roles = {split: (scans, subjects) for split, scans, subjects, _ in cohort_counts(study.cohort)}
    subjects = {subject_of(key) for pair in study.pairs for key in pair}
    start = f"{len(study.pairs)} ordered pairs of {len(subjects)} test subjects were registered"
    parts = [f"{roles[role][1]} for {what}" for role, what in _ROLES.items() if role in roles]
    return f"{start} (subjects: {', '.join(parts)})." if parts else f"{start}."


_ROLES = {"train": "training", "validation": "validation", "test": "testing"}


def _measure_sentences(study: Study, mark: Mapping[str, str]) -> list[str]:
    spacing = f"{study.results.mm:g} mm"
    labels = (
        "Native labels were warped through the composed transform with "
        f"{_interpolation(study)} interpolation in one resampling, and Dice was averaged over "
        "labels, in regions over the region's labels. Intervals are 95 % bootstrap intervals of "
        f"the mean, subjects being resampled{mark.get('Bootstrap over subjects', '')}."
    )
    scored = f"Every method was scored on the same grid of {spacing}."
    return [scored, labels if study.labelled else "", _definitions(mark)]


def _definitions(mark: Mapping[str, str]) -> str:
    """What the metrics are, each with its reference."""
    text = "; ".join(f"{m.sentence}{mark.get(m.title, '')}" for m in entries.METRICS if m.sentence)
    return f"{text[:1].upper()}{text[1:]}." if text else ""


def _interpolation(study: Study) -> str:
    kinds = {
        str(value)
        for method in study.methods
        for value in method.scores.by_pair["interpolation"].dropna().unique()
    }
    return " and ".join(sorted(kinds)) or "nearest"


def headline(study: Study) -> list[tuple[str, str, str]]:
    """Key figures: (title, value, remark)."""
    subjects = {subject_of(key) for pair in study.pairs for key in pair}
    cards = [("Pairs", str(len(study.pairs)), f"{len(subjects)} subjects, ordered")]
    column, name = ("dice", "Dice") if study.labelled else ("ncc", "NCC")
    means = {m.name: float(np.nanmean(m.scores.by_pair[column])) for m in study.methods}
    best = max(means, key=lambda key: means[key])
    cards.insert(0, (f"Highest mean {name}", f"{means[best]:.3f}", best))
    plain = next((m.name for m in study.methods if not m.deforms), best)
    if plain != best:
        gain = f"{means[best] - means[plain]:+.3f}"
        cards.insert(1, (f"Gain over {plain}", gain, f"{plain} alone {means[plain]:.3f}"))
    shown = next(method.scores.by_pair for method in study.methods if method.name == best)
    folding, strain = (finite_mean(shown[name]) for name in ("folding_percent", "strain"))
    cards.append(("Folding", f"{folding:.2g} %", f"mean of {best}, of the brain's voxels"))
    if np.isfinite(strain):
        cards.append(("Strain", f"{strain:.3f}", f"mean of {best}, 0 = rigid"))
    return cards
