# The plan of the study, shared by the rules of all stages.
import gc
import sys
import time
from pathlib import Path

# Planning makes millions of objects that all stay: looking for garbage among them is in vain.
gc.set_threshold(1_000_000)

# In a clone the sources lie beside the Snakefile; in a wheel they are installed with it.
for folder in (Path(workflow.basedir), Path(workflow.basedir).parent):
    if (folder / "src" / "pmrpipe").is_dir():
        sys.path.insert(0, str(folder / "src"))
        break

from snakemake_interface_executor_plugins.settings import DeploymentMethod

from pmrpipe.base.errors import PmrpipeError
from pmrpipe.study.config.syntax import require_sound
from pmrpipe.study.keys import (
    FOLDER_PATTERN,
    OTHER_CONTRASTS,
    QC_FIGURES,
    SCAN_PATTERN,
    T1W,
    scan_key,
)
from pmrpipe.workflow.jobs import job_prefix
from pmrpipe.workflow.plan import Plan
from pmrpipe.workflow.locks import clear_dead_locks

# In the command itself: `--use-conda` takes PYTHONPATH out of the environment.
shell.prefix(job_prefix(DeploymentMethod.CONDA in workflow.deployment_settings.deployment_method))

if workflow.is_main_process and clear_dead_locks(Path.cwd()):
    print("removed the locks of a run that was killed", file=sys.stderr)

STARTED = time.time()
try:
    for path in map(Path, workflow.configfiles):
        require_sound(path)
    PLAN = Plan.of(config)
except PmrpipeError as error:
    raise WorkflowError(str(error)) from None

NOTED = set()


def note(*remarks):
    """Tell each remark once to whoever runs the study."""
    for remark in remarks:
        if workflow.is_main_process and remark not in NOTED:
            print(f"note: {remark}", file=sys.stderr)
    NOTED.update(remarks)


note(*PLAN.remarks)

STUDY = PLAN.study
P = PLAN.results
TEMPLATE = P.space.key
LOGS = P.root / "logs"
TIMINGS = P.root / "timings"


wildcard_constraints:
    key=SCAN_PATTERN,
    contrast="|".join(OTHER_CONTRASTS),
    folder=FOLDER_PATTERN,
    subject="sub-[A-Za-z0-9]+",
    t1w=SCAN_PATTERN,
    method="|".join(PLAN.methods),
    batch="[A-Za-z0-9_-]+",
    job="[A-Za-z0-9_-]+",
