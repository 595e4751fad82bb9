"""The template that a study makes: of which scans, by which method, into which files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pmrpipe.base.errors import InputError
from pmrpipe.methods.load import shipped_weights, weights_folder
from pmrpipe.methods.spec import spec, spec_path
from pmrpipe.methods.weights import WEIGHTS
from pmrpipe.stages.cohort.scans import Scan
from pmrpipe.stages.template.ready import steps_of
from pmrpipe.study.keys import T1W
from pmrpipe.study.options.template import Rounds, TemplateMaking
from pmrpipe.study.space_file import shipped_names
from pmrpipe.study.template_paths import TemplatePaths
from pmrpipe.workflow.digests import method_digest
from pmrpipe.workflow.plan import Plan


@dataclass(frozen=True)
class MeanBrain:
    """What the target `template` makes of a study."""

    plan: Plan

    @property
    def name(self) -> str:
        """InputError where the study names no template, or one of pmrpipe's own."""
        name = self.plan.study.template.name
        if name is None:
            remedy = "write template: {name: NAME} (docs/how-to/template.md)"
            raise InputError("template", "the study names none", remedy)
        if name in shipped_names():
            problem = f"{name} is a space that comes with pmrpipe"
            raise InputError("template.name", problem, "choose another name")
        return name

    @property
    def paths(self) -> TemplatePaths:
        return TemplatePaths.of(self.plan.results, self.name)

    @property
    def scans(self) -> list[Scan]:
        """T1w scans of the chosen subjects; InputError for one that is not there, or too few."""
        section = self.plan.study.template
        splits = () if section.split == "all" else (section.split,)
        scans = [
            scan
            for scan in (self.plan.cohort.of(*splits) if splits else self.plan.scans.values())
            if scan.contrast == T1W
        ]
        if section.subjects is not None:
            absent = set(section.subjects) - {scan.subject for scan in scans}
            if absent:
                problem = f"{min(absent)} has no T1w scan in split {section.split}"
                raise InputError("template.subjects", problem, "see cohort.tsv")
            scans = [scan for scan in scans if scan.subject in section.subjects]
        if len({scan.subject for scan in scans}) < 2:
            raise InputError("template", "needs two subjects at least", "see template.subjects")
        return scans

    @property
    def along(self) -> list[Scan]:
        """Scans of `contrasts` that go through a chosen T1w; InputError for too few of one."""
        chosen, contrasts = {scan.key for scan in self.scans}, self.plan.study.template.contrasts
        scans = [
            scan
            for scan in self.plan.scans.values()
            if scan.contrast in contrasts and scan.through in chosen
        ]
        for contrast in contrasts:
            if len({scan.subject for scan in scans if scan.contrast == contrast}) < 2:
                problem = f"{contrast}: fewer than two subjects have one that goes through a T1w"
                remedy = f"read them, pairs: {{moving: {contrast}, fixed: T1w}}, or leave it out"
                raise InputError("template.contrasts", problem, remedy)
        return scans

    @property
    def labels(self) -> dict[str, Path]:
        """Native label maps of those that have one; none where there are fewer than two."""
        labels = {scan.key: scan.labels for scan in self.scans if scan.labels}
        return labels if len(labels) > 1 else {}

    @property
    def weights(self) -> Path | None:
        """Folder of the network's weights: of the study's row, named by it, or shipped."""
        method = self.plan.study.template.method
        chosen = spec(method)
        if not chosen.learned:
            return None
        if chosen.name in self.plan.learned:
            return self.plan.weights(chosen.name)
        place = self.plan.study.weights.get(chosen.name, "shipped")
        if place == "shipped" and shipped_weights(chosen.name) is None:
            remedy = f"name weights: {{{chosen.name}: FOLDER}}, or another template.method"
            raise InputError(chosen.name, "has no weights", remedy)
        return weights_folder(place, chosen.name)

    @property
    def _network_mm(self) -> float | None:
        name = spec(self.plan.study.template.method).name
        return self.plan.network_mm(name) if name in self.plan.learned else None

    # -- what the rule says -------------------------------------------------------------------
    def options(self) -> TemplateMaking:
        """What the verb is told."""
        section, study = self.plan.study.template, self.plan.study
        self._require_possible()
        scans, labels = self.scans, self.labels
        return TemplateMaking(
            **{name: getattr(section, name) for name in Rounds.model_fields},
            mm=study.grid_mm,
            space=study.space,
            name=self.name,
            keys=tuple(scan.key for scan in scans),
            along=tuple(scan.key for scan in self.along),
            labels=labels,
            orientations={s.key: s.orientation for s in scans if s.orientation},
            table=study.labels,
            weights=self.weights,
            network_mm=self._network_mm,
            seed=study.seed,
            threads=study.threads.registration,
            device=study.device,
        )

    def _require_possible(self) -> None:
        """InputError for what the job would refuse, before the first of them."""
        section = self.plan.study.template
        steps_of(spec(section.method), section)
        if section.initial is not None and not section.initial.is_file():
            problem = f"there is no file {section.initial}"
            raise InputError("template.initial", problem, "correct it")

    def inputs(self) -> list[Path]:
        """Preprocessed scans, label maps and what brings them along, weights."""
        results, labels = self.plan.results, self.labels
        files = [results.preproc(scan.key) for scan in (*self.scans, *self.along)]
        files += [path for key, own in labels.items() for path in (own, results.affine(key))]
        if self.weights is not None:
            files.append(self.weights / WEIGHTS)
        initial = self.plan.study.template.initial
        return files + ([initial] if initial is not None else [])

    def outputs(self) -> list[Path]:
        """Every file that the target promises."""
        paths = self.paths
        files = [paths.brain, paths.mask, paths.space, paths.rounds, paths.subjects, paths.page]
        files += map(paths.along, self.plan.study.template.contrasts)
        return files + ([paths.dseg] if self.labels else [])

    def digest(self, verb: str) -> str:
        """Digest of a verb as the method runs it."""
        method = self.plan.study.template.method
        chosen = spec(method)
        refined = bool(steps_of(chosen, self.plan.study.template))
        return method_digest(chosen, spec_path(method), verb, refined=refined)
