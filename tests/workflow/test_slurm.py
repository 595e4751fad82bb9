"""tiny.yaml through profiles/slurm on a Slurm of one node that the test starts."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pmrpipe.study.paths import Results

from .conftest import Workflow, copy_workflow, digests

pytestmark = [pytest.mark.slurm, pytest.mark.timeout(1500)]
TINY = ("--configfile", "config/tiny.yaml")
# Status is asked for after two seconds instead of forty.
PROFILE = ("--workflow-profile", "profiles/slurm", "--slurm-init-seconds-before-status-checks", "2")
SLURM = """
ClusterName=test
SlurmctldHost=localhost
SlurmctldPort={port}
SlurmdPort={other}
SlurmUser=root
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket={folder}/munge.socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
ReturnToService=2
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=1
JobAcctGatherParams=OverMemoryKill
AccountingStorageType=accounting_storage/none
MinJobAge=86400
GresTypes=gpu
MailProg=/bin/true
SlurmdParameters=config_overrides
NodeName=localhost CPUs=2 RealMemory=16000 Gres=gpu:1
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""
FILES = {
    "gres.conf": "AutoDetect=off\nNodeName=localhost Name=gpu File=/dev/zero\n",
    "cgroup.conf": "CgroupPlugin=cgroup/v1\n"
    + "".join(f"Constrain{what}=no\n" for what in ("Cores", "Devices", "RAMSpace", "SwapSpace")),
}


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A running Slurm of one node with two cores and a made-up GPU; what its commands need."""
    missing = [n for n in ("munged", "slurmctld", "slurmd", "sbatch") if not shutil.which(n)]
    if missing:
        pytest.skip(f"no {', '.join(missing)}: apt-get install slurm-wlm munge")
    if os.geteuid() != 0:
        pytest.skip("only the superuser can start slurmd")
    folder = tmp_path_factory.mktemp("slurm")
    for name in ("state", "spool", "munge"):
        (folder / name).mkdir(mode=0o700)
    key = folder / "munge" / "key"
    key.write_bytes(os.urandom(128))
    key.chmod(0o600)
    for name, text in FILES.items():
        (folder / name).write_text(text)
    # A job's own srun is started without SLURM_CONF: clusters have theirs in /etc/slurm.
    (folder / "bin").mkdir()
    srun = folder / "bin" / "srun"
    srun.write_text(f'#!/bin/sh\nSLURM_CONF={folder}/slurm.conf exec {shutil.which("srun")} "$@"\n')
    srun.chmod(0o755)
    port = 20000 + os.getpid() % 20000
    (folder / "slurm.conf").write_text(SLURM.format(folder=folder, port=port, other=port + 1))
    path = os.pathsep.join([str(folder / "bin"), os.environ["PATH"]])
    environment = {**os.environ, "SLURM_CONF": str(folder / "slurm.conf"), "PATH": path}
    own = [f"--{what}-file={folder}/munge/{what}" for what in ("pid", "log", "seed", "key")]
    commands = [
        ["munged", "--foreground", "--force", f"--socket={folder}/munge.socket", *own],
        ["slurmctld", "-D", "-i"],
        ["slurmd", "-D", "-N", "localhost"],
    ]
    with (folder / "daemons.log").open("wb") as log:
        daemons = []
        for command in commands:
            options = {"env": environment, "stdout": log, "stderr": log}
            daemons.append(subprocess.Popen(command, **options))
            time.sleep(1)
        try:
            wait_for_node(environment, folder)
            yield environment
        finally:
            for daemon in reversed(daemons):
                daemon.terminate()
                daemon.wait(30)


def wait_for_node(environment: dict[str, str], folder: Path) -> None:
    for _ in range(60):
        command = ["sinfo", "--noheader", "--format=%T"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        if done.stdout.strip() == "idle":
            return
        time.sleep(1)
    logs = [path.read_text()[-2000:] for path in folder.glob("*.log")]
    pytest.fail(f"the node is not idle: {done.stdout}{done.stderr}{''.join(logs)}")


def jobs(environment: dict[str, str]) -> list[tuple[str, str, str]]:
    """Number, comment (its rule) and state of every job."""
    command = ["squeue", "--noheader", "--states=all", "--format=%i|%k|%T"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return [tuple(line.split("|")) for line in done.stdout.splitlines()]  # type: ignore[misc]


def begin(workflow: Workflow, environment: dict[str, str], *words: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "snakemake", *words]
    path = os.pathsep.join([str(Path(sys.executable).parent), environment["PATH"]])
    own = {k: v for k, v in environment.items() if k != "PYTHONPATH"} | {"PATH": path}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    return subprocess.Popen(command, cwd=workflow.folder, env=own, text=True, **pipes)


def test_the_chain_on_slurm_with_a_cancelled_job(
    slurm: dict[str, str], tiny: Workflow, tmp_path: Path
) -> None:
    """A cancelled training is tried again; the tables are those of the local run."""
    workflow = copy_workflow(tmp_path / "clone")
    process = begin(workflow, slurm, *TINY, *PROFILE)
    cancelled = ""
    while not cancelled and process.poll() is None:
        running = [
            job for job, rule, state in jobs(slurm) if "train" in rule and state == "RUNNING"
        ]
        if running:
            time.sleep(2)
            cancelled = running[0]
            subprocess.run(["scancel", cancelled], env=slurm, check=True)
        time.sleep(0.5)
    said, _ = process.communicate()
    assert process.returncode == 0, said[-4000:]
    assert cancelled
    states = {job: state for job, _, state in jobs(slurm)}
    assert states[cancelled] == "CANCELLED"
    assert set(states.values()) <= {"COMPLETED", "CANCELLED"}
    assert "logs/train/" in said
    local, remote = (clone.folder / "results" / "tiny" for clone in (tiny, workflow))
    assert digests(remote) == digests(local)


def test_a_job_without_enough_memory_is_reported(slurm: dict[str, str], tmp_path: Path) -> None:
    """Killed for memory in each attempt: the run ends and names the rule and its log."""
    workflow = copy_workflow(tmp_path / "clone")
    few = ("--set-resources", "space:mem_mb=50", "--retries", "0")
    target = Results(workflow.folder / "results" / "tiny", 4.0).template
    process = begin(
        workflow, slurm, str(target.relative_to(workflow.folder)), *few, *TINY, *PROFILE
    )
    said, _ = process.communicate()
    assert process.returncode != 0
    assert "Error in rule space" in said
    assert "logs/space" in said
    log = next((workflow.folder / "logs" / "slurm" / "rule_space").glob("*.log")).read_text()
    assert "exceeded memory limit" in log, log
