"""What the workflow will do, worked out from the configuration and folder names alone.

The Snakefile asks this module; it opens no image and imports neither torch nor ants.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pmrpipe.base.digest import digest
from pmrpipe.base.errors import InputError
from pmrpipe.base.outputs import require_folder
from pmrpipe.methods.load import weights_folder
from pmrpipe.methods.spec import MethodSpec, names, spec, spec_path
from pmrpipe.methods.weights import require_usable
from pmrpipe.stages.cohort.index import cohort_rows, index, remarks
from pmrpipe.stages.cohort.pairs import Pair, batches, pairs_of
from pmrpipe.stages.cohort.results_folder import require_own_folder
from pmrpipe.stages.cohort.scans import Cohort, Scan
from pmrpipe.stages.cohort.simulated import require_simulated
from pmrpipe.study.config import Study, parse
from pmrpipe.study.keys import SEED_MARK
from pmrpipe.study.labels import labels_of
from pmrpipe.study.paths import Results
from pmrpipe.workflow.digests import columns_digest, method_digest
from pmrpipe.workflow.further import further_arrays, require_trainable
from pmrpipe.workflow.references import references
from pmrpipe.workflow.rows import Run, require_owners, rows
from pmrpipe.workflow.teaching import Teaching, contrast_remarks
from pmrpipe.workflow.verbs import WORK


@dataclass(frozen=True, eq=False)
class Plan:
    """A study with its cohort, pairs, methods and result paths."""

    study: Study

    @classmethod
    def of(cls, config: dict[str, Any]) -> Plan:
        """Plan a study from the merged configuration; InputError when it cannot be done."""
        plan = cls(parse(config))
        plan._check()
        return plan

    def _check(self) -> None:
        self.require_own_results()
        self.results.space.require_files()
        self._require_modules()
        if self.study.labels is not None:
            labels_of(self.study.labels)
        # A shipped method that this study leaves out may keep its keys.
        absent = set(names()) - set(self.methods)
        for key in ("seeds", "refine", "finetune", "init"):
            for name in set(getattr(self.study, key)) - absent:
                if name not in self.specs or not self.specs[name].learned:
                    problem = f"`{name}` is no learned method of this study"
                    raise InputError(key, problem, "see the key `methods`")
        require_owners(self.study, self._runs)
        owners = {run.weights for run in self._runs.values()}
        for name in set(self.study.weights) - absent - set(self.teaching.teachers):
            if name not in owners | set(self.methods):
                problem = f"`{name}` is not among the methods {', '.join(self.methods)}"
                raise InputError("weights", problem, "correct the name")
        if self.trained and len({scan.subject for scan in self.cohort.of("train")}) < 2:
            problem = f"needs at least two training subjects to train {', '.join(self.trained)}"
            raise InputError("split.train", problem, "or name weights: {METHOD: FOLDER}")
        self._check_cohorts()
        for method in self.learned:
            if self._runs[method].weights in self.study.weights:
                require_usable(self.weights(method), self._runs[method].weights)
            init = self.init(method)
            if init is not None:
                require_usable(init)
        _ = self.references
        _ = self.pairs  # without one nothing would be compared, unless the study says so

    def _check_cohorts(self) -> None:
        space = self.results.space
        grid = space.grid(self.study.grid_mm) if space.content.grid else None
        for name, path in self.further_arrays.items():
            require_trainable(path, name, grid)

    def _require_modules(self) -> None:
        """InputError for a module of one's own that is nowhere, before any job."""
        for name, chosen in self.specs.items():
            if not all(module.startswith("pmrpipe.") for module in chosen.modules()):
                self.method_digest(name, "register-pairs")

    def require_own_results(self) -> None:
        """InputError when the folder of results is a dataset that pmrpipe did not make, or below
        a file; or when heads would be simulated among scans of people."""
        require_folder(self.results.root)
        if self.study.reader == "embedded":
            require_simulated(self.study.input_root)
        require_own_folder(self.results.description, self.study.input_root)

    # -- who ----------------------------------------------------------------------------------
    @cached_property
    def cohort(self) -> Cohort:
        return index(self.study)

    @cached_property
    def scans(self) -> dict[str, Scan]:
        """Scans in a split and beside them, and T1w that they go through, by key.

        The others are not touched.
        """
        used = [scan for scan in self.cohort.scans if scan.split] + list(self.cohort.beside)
        needed = {scan.through for scan in used}
        used += [scan for scan in self.cohort.helpers if scan.key in needed]
        return {scan.key: scan for scan in used}

    @cached_property
    def remarks(self) -> list[str]:
        """What whoever runs the study is told before it begins: what is skipped, what lacks."""
        return [*remarks(self.cohort), *contrast_remarks(self.study, self.specs)]

    @cached_property
    def results(self) -> Results:
        return self.study.paths

    @property
    def contrasts(self) -> set[str]:
        """Contrasts of the scans."""
        return {scan.contrast for scan in self.scans.values()}

    def labelled(self, key: str) -> bool:
        return key in self.scans and self.scans[key].labels is not None

    def label_scan(self, key: str) -> Scan:
        """The scan on whose grid the labels of a scan lie: its own, or its session's T1w."""
        scan = self.scans[key]
        t1w = self.scans.get(scan.through or "", scan)
        return t1w if t1w.labels == scan.labels else scan

    # -- what ---------------------------------------------------------------------------------
    @cached_property
    def _runs(self) -> dict[str, Run]:
        return rows(self.study)

    @cached_property
    def specs(self) -> dict[str, MethodSpec]:
        return {name: run.named(name, spec(run.source)) for name, run in self._runs.items()}

    def spec_argument(self, method: str) -> str:
        """How a verb is told of a method: a shipped name, or the user's YAML file."""
        return self._runs[method].source

    def seed(self, method: str) -> int:
        """Seed of a method's training."""
        return self._runs[method].seed

    def refinement(self, method: str) -> int:
        """Steps of instance optimisation; 0 without."""
        return self._runs[method].refine

    def finetuning(self, method: str) -> int:
        """Steps in which the weights are tuned to each pair; 0 without."""
        return self._runs[method].finetune

    @property
    def methods(self) -> list[str]:
        return list(self.specs)

    @property
    def learned(self) -> list[str]:
        return [name for name, method in self.specs.items() if method.kind == "learned"]

    @property
    def trained(self) -> list[str]:
        """Learned methods without given weights, and without those of another."""
        own = (name for name in self.learned if self._runs[name].weights == name)
        return [name for name in own if name not in self.study.weights]

    @property
    def uncertain(self) -> list[str]:
        """Methods whose pairs get a map of uncertainty: none unless the study asks for it."""
        return [name for name, s in self.specs.items() if s.posterior and self.study.uncertainty]

    @property
    def multilevel(self) -> list[str]:
        """Methods of which the report shows what each level contributes."""
        return [name for name, method in self.specs.items() if method.levels]

    @cached_property
    def references(self) -> dict[str, str]:
        """Beside which method others are set, where they are."""
        return references(self.study, self.specs)

    def weights(self, method: str) -> Path:
        """Folder of a learned method's weights, given or trained here."""
        owner = self._runs[method].weights
        folder = self.study.weights.get(owner)
        return weights_folder(folder, owner) if folder else self.results.training(owner)

    def network_mm(self, method: str) -> float | None:
        """Voxel size inside a network, None for the method's own, which shipped weights keep."""
        folder = self.study.weights.get(self._runs[method].weights)
        return None if folder == "shipped" else self.study.network_mm

    def init(self, method: str) -> Path | None:
        """Folder of the weights with which a method's training begins, if any are named."""
        folder = self.study.init.get(self.specs[method].name.partition(SEED_MARK)[0])
        return weights_folder(folder, self._runs[method].source) if folder else None

    # -- whom and what training sees ----------------------------------------------------------
    @cached_property
    def teaching(self) -> Teaching:
        """Teachers of the methods that are trained here."""
        students = {name: self.specs[name] for name in self.trained if self.specs[name].teacher}
        return Teaching(self.study, students, self.cohort.of("train") if students else [])

    @cached_property
    def further_arrays(self) -> dict[str, Path]:
        """Arrays of other studies that the networks trained here see too."""
        return further_arrays(self.study) if self.trained else {}

    # -- pairs --------------------------------------------------------------------------------
    @cached_property
    def pairs(self) -> list[Pair]:
        """Registered pairs; none where `split.test` is an empty list: such a study only trains."""
        if self.study.split.test == []:
            return []
        return pairs_of(self.study, self.cohort, self.results.space.key)

    @cached_property
    def _batches(self) -> dict[str, dict[str, list[Pair]]]:
        # A classical pair takes minutes and loads nothing: a job of its own.
        shared, single = batches(self.pairs, self.study.pairs_per_job), batches(self.pairs, 1)
        return {m: single if s.slow else shared for m, s in self.specs.items()}

    def batches(self, method: str) -> dict[str, list[Pair]]:
        """Pairs of each job of a method, by the job's name."""
        return self._batches[method]

    def batch_keys(self, method: str, batch: str) -> list[str]:
        """Scans that a job needs, the template left out."""
        keys = {key for pair in self.batches(method)[batch] for key in pair}
        return sorted(keys - {self.results.space.key})

    def require_paper_table(self, name: str) -> None:
        """InputError when the study lacks a method or a region that a table of the paper needs."""
        from pmrpipe.stages.score.paper import require
        from pmrpipe.study.labels import read_label_table

        labels = self.study.labels
        regions = set() if labels is None else set(read_label_table(labels)["region"])
        require(name, self.methods, sorted(map(str, regions)))

    # -- sources ------------------------------------------------------------------------------
    def digest(self, verb: str) -> str:
        """Digest of all sources that a verb runs."""
        return digest(*WORK[verb])

    def simulation_digest(self) -> str:
        """Digest of the embedded cohort: its sources and what it takes of its label table."""
        labels = columns_digest("embedded", ("index", "tissue", "source"))
        return f"{self.digest('simulate')} {labels}"

    def labels_digest(self, *columns: str) -> str:
        """Digest of columns of the study's label table; all that scores depend on, by default."""
        name = self.study.labels
        return (
            columns_digest(name, columns or ("index", "name", "region", "scored")) if name else ""
        )

    def tables_digest(self) -> str:
        """Digest of what cohort.tsv, pairs.tsv and the results' description say."""
        rows = repr((self.study.cohort, cohort_rows(self.cohort), self.pairs))
        return hashlib.sha256(rows.encode()).hexdigest()[:12]

    def method_digest(self, method: str, verb: str) -> str:
        """Digest of a verb as one method runs it: the method's parts and YAML too."""
        if (method, verb) not in self._method_digests:
            # Of what is asked of the registrations the training knows nothing.
            registers = verb == "register-pairs"
            self._method_digests[method, verb] = method_digest(
                self.specs[method],
                spec_path(self.spec_argument(method)),
                verb,
                refined=registers and bool(self.refinement(method)),
                finetuned=registers and bool(self.finetuning(method)),
                uncertain=registers and method in self.uncertain,
            )
        return self._method_digests[method, verb]

    @cached_property
    def _method_digests(self) -> dict[tuple[str, str], str]:
        return {}  # Every job of a method asks.

    def study_json(self) -> str:
        """The configuration as one line of JSON, for the verbs that need all of it."""
        return json.dumps(self.study.model_dump(mode="json"), sort_keys=True)
