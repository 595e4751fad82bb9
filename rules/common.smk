# The plan of the study, shared by the rules of all stages.
import gc
import os
import shlex
import sys
import time
from pathlib import Path

# Planning makes millions of objects that all stay: looking for garbage among them is in vain.
gc.set_threshold(1_000_000)

SOURCE = next(
    folder / "src"
    for folder in [Path(workflow.basedir), Path(workflow.basedir).parent]
    if (folder / "src" / "pmrpipe").is_dir()
)
sys.path.insert(0, str(SOURCE))
# Every `python -m pmrpipe` of a job, here or on a cluster node, finds the same sources. In the
# command itself: `--use-conda` takes the variable out of the environment.
shell.prefix(f"export PYTHONPATH={shlex.quote(str(SOURCE))}; ")

from pmrpipe.base.errors import PmrpipeError
from pmrpipe.study.paths import (
    FOLDER_PATTERN,
    KEY_PATTERN,
    QC_FIGURES,
    SEED_MARK,
    TEMPLATE_KEY,
    pair_name,
)
from pmrpipe.workflow.plan import Plan
from pmrpipe.workflow.locks import clear_dead_locks

if workflow.is_main_process and clear_dead_locks(Path.cwd()):
    print("removed the locks of a run that was killed", file=sys.stderr)

STARTED = time.time()
try:
    PLAN = Plan.of(config)
except PmrpipeError as error:
    raise WorkflowError(str(error)) from None

STUDY = PLAN.study
P = PLAN.results
LOGS = P.root / "logs"
TIMINGS = P.root / "timings"


wildcard_constraints:
    key=KEY_PATTERN,
    folder=FOLDER_PATTERN,
    method="|".join(PLAN.methods),
    batch="[A-Za-z0-9_-]+",
