"""Who teaches whom in a study, and on which pairs of training scans."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pmrpipe.base.errors import InputError
from pmrpipe.methods.load import shipped_weights, weights_folder
from pmrpipe.methods.spec import MethodSpec, spec, spec_path
from pmrpipe.methods.weights import require_usable
from pmrpipe.stages.cohort.contrasts import paired
from pmrpipe.stages.cohort.pairs import Pair, batches
from pmrpipe.stages.cohort.scans import Scan
from pmrpipe.study.config import Study
from pmrpipe.workflow.digests import method_digest


@dataclass(frozen=True)
class Teacher:
    """A method whose results on training pairs others learn from.

    argument : how a verb is told of it, a shipped name or a YAML file
    weights : folder of its weights; None for a classical method
    network_mm : voxel size inside its network, None for its own
    """

    argument: str
    spec: MethodSpec
    weights: Path | None
    network_mm: float | None


def teacher_of(student: MethodSpec, study: Study) -> Teacher:
    """The teacher that a method names, a YAML beside the method's own before others.

    Raises
    ------
    InputError : there is no such method, it deforms nothing, or it would have to be trained first
    """
    assert student.teacher is not None
    name = student.teacher.method
    beside = student.folder / name if student.folder else None
    argument = str(beside) if beside is not None and beside.is_file() else name
    teacher = spec(argument)
    if not teacher.deforms:
        problem = f"its teacher `{teacher.name}` deforms nothing"
        raise InputError(student.name, problem, "name another in its YAML")
    place = study.weights.get(teacher.name)
    if not teacher.learned:
        return Teacher(argument, teacher, None, None)
    if place is None and shipped_weights(teacher.name) is None:
        problem = f"its teacher `{teacher.name}` has no weights, and would have to be trained first"
        raise InputError(student.name, problem, f"name weights: {{{teacher.name}: FOLDER}}")
    shipped = place in (None, "shipped")
    folder = weights_folder(place or "shipped", teacher.name)
    require_usable(folder, teacher.name)
    return Teacher(argument, teacher, folder, None if shipped else study.network_mm)


def _require_shown(student: MethodSpec, study: Study) -> None:
    """InputError where a student is shown a contrast that its study does not pack."""
    assert student.teacher is not None
    packed = {study.inputs.contrast, *study.inputs.also}
    for contrast in student.teacher.shown:
        if contrast is not None and contrast not in packed:
            problem = f"is shown {contrast}, and the study packs {', '.join(sorted(packed))}"
            raise InputError(student.name, problem, f"inputs: {{also: [{contrast}]}}")


def contrast_remarks(study: Study, specs: Mapping[str, MethodSpec]) -> list[str]:
    """What is said of networks that see another contrast than their teacher saw."""
    told = []
    for name, method in specs.items():
        if method.teacher is None or not any(method.teacher.shown):
            continue
        seen = tuple(contrast or study.inputs.contrast for contrast in method.teacher.shown)
        if paired(study) != seen:
            remedy = f"pairs: {{moving: {seen[0]}, fixed: {seen[1]}}}"
            pairs = " to ".join(paired(study))
            told.append(f"{name} is for {' to '.join(seen)} alone, and pairs are {pairs}: {remedy}")
        if name not in {**study.weights, **study.init}:
            told.append(
                f"{name} learns next to nothing from first weights: name those of a network that "
                f"was trained on one contrast, init: {{{name}: FOLDER}}"
            )
    return told


def teaching_pairs(scans: Sequence[Scan], count: int, seed: int) -> list[Pair]:
    """Ordered pairs of scans of different subjects, drawn; all of them where there are fewer.

    A longer list begins with the shorter one: more pairs leave the fields of the others as they
    are.
    """
    sizes = Counter(scan.subject for scan in scans)
    most = len(scans) ** 2 - sum(size**2 for size in sizes.values())
    draw = random.Random(f"{seed} teacher")
    pairs: dict[Pair, None] = {}
    while len(pairs) < min(count, most):
        moving, fixed = draw.choice(scans), draw.choice(scans)
        if moving.subject != fixed.subject:
            pairs[moving.key, fixed.key] = None
    return list(pairs)


class Teaching:
    """The teachers of a study's students, their pairs and jobs.

    Parameters
    ----------
    students : specifications of the methods that this study trains and that name a teacher
    scans : those that train

    Raises
    ------
    InputError : as `teacher_of`; two teachers of one name; cohorts of which no teacher knows; a
        contrast that the study does not pack
    """

    def __init__(
        self, study: Study, students: Mapping[str, MethodSpec], scans: Sequence[Scan]
    ) -> None:
        self.study, self.students, self.scans = study, dict(students), list(scans)
        self.teachers: dict[str, Teacher] = {}
        for name, student in students.items():
            if set(study.cohorts) - {study.cohort}:
                problem = f"`{name}` has a teacher, which knows pairs of this study alone"
                raise InputError("cohorts", problem, "train it in a study without further cohorts")
            _require_shown(student, study)
            teacher = teacher_of(student, study)
            other = self.teachers.setdefault(teacher.spec.name, teacher)
            if other.argument != teacher.argument:
                problem = f"are two teachers of one name, `{teacher.spec.name}`"
                subject = f"{other.argument} and {teacher.argument}"
                raise InputError(subject, problem, "rename one")

    def of(self, student: str) -> tuple[str, int] | None:
        """A student's teacher and how many pairs it learns from."""
        lesson = self.students[student].teacher if student in self.students else None
        if lesson is None:
            return None
        return teacher_of(self.students[student], self.study).spec.name, lesson.pairs

    def pairs(self, teacher: str, count: int | None = None) -> list[Pair]:
        """The pairs of a student that wants so many; of all students without a number."""
        wanted = [of[1] for of in map(self.of, self.students) if of and of[0] == teacher]
        most = max(wanted) if count is None else count
        return teaching_pairs(self.scans, most, self.study.seed)

    def batches(self, teacher: str) -> dict[str, list[Pair]]:
        """Pairs of each of a teacher's jobs, by the job's name."""
        slow = self.teachers[teacher].spec.slow
        return batches(self.pairs(teacher), 1 if slow else self.study.pairs_per_job)

    def batches_of(self, teacher: str, count: int) -> list[str]:
        """The jobs that make the pairs of a student that wants so many."""
        wanted = set(self.pairs(teacher, count))
        return [name for name, pairs in self.batches(teacher).items() if wanted & set(pairs)]

    def digest(self, teacher: str, verb: str) -> str:
        """Digest of a verb as a teacher runs it: its module, parts and YAML too."""
        run = self.teachers[teacher]
        return method_digest(run.spec, spec_path(run.argument), verb)
