"""A real Slurm on loopback: munge, slurmctld and slurmd as plain processes of the tests.

One node plays a cluster with a partition of CPUs and a partition of GPUs, which are device files
without a device behind them: Slurm counts them and sets CUDA_VISIBLE_DEVICES, no more. With
``accounting`` there are slurmdbd and a MariaDB, too. All files are in one folder and all ports
free ones; outside of it, a link stands in /etc/slurm as long as the cluster runs.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import psutil

import programs

PACKAGES = ["munge", "slurmctld", "slurmd", "slurm-client"]
ACCOUNTING_PACKAGES = ["slurmdbd", "mariadb-server"]
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "slurmdbd", "mariadbd")
CPUS, GPUS = 8, 2
# Where Slurm's commands look: the executor drops SLURM_CONF from what a job's srun sees.
SYSTEM_CONF = Path("/etc/slurm/slurm.conf")

SLURM_CONF = """\
ClusterName=tests
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmdPort={node_port}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
SlurmUser=root
SlurmdUser=root
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SwitchType=switch/none
ReturnToService=2
MinJobAge=3600
MessageTimeout=5
KillWait=2
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=1,sched_interval=2,bf_interval=5,sched_min_interval=0
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
GresTypes=gpu
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=2
JobAcctGatherParams=OverMemoryKill
JobCompType=jobcomp/none
SlurmdParameters=config_overrides
{accounting}
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} Boards=1 SocketsPerBoard=1 CoresPerSocket={cpus} \
ThreadsPerCore=1 RealMemory=64000 Gres=gpu:{gpus} State=UNKNOWN
PartitionName=cpu Nodes={host} Default=YES MaxTime=INFINITE State=UP PreemptMode=OFF
PartitionName=gpu Nodes={host} MaxTime=INFINITE State=UP PreemptMode=OFF
PartitionName=drained Nodes={host} MaxTime=INFINITE State=DRAIN
PartitionName=cancels Nodes={host} MaxTime=INFINITE State=UP PreemptMode=CANCEL
PartitionName=requeues Nodes={host} MaxTime=INFINITE State=UP PreemptMode=REQUEUE
PartitionName=urgent Nodes={host} MaxTime=INFINITE State=UP PriorityTier=10
"""
ACCOUNTING = """\
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort={bookkeeper_port}
AccountingStoragePass={folder}/munge.socket
AccountingStoreFlags=job_comment
AccountingStorageTRES=gres/gpu"""
SLURMDBD_CONF = """\
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
DbdHost=localhost
DbdAddr=127.0.0.1
DbdPort={bookkeeper_port}
SlurmUser=root
LogFile={folder}/slurmdbd.log
PidFile={folder}/slurmdbd.pid
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort={database_port}
StorageUser=slurm
StoragePass=slurm
StorageLoc=slurm_acct_db
"""
DATABASE = """\
create database slurm_acct_db;
create user slurm@localhost identified by 'slurm';
grant all on slurm_acct_db.* to slurm@localhost;
"""


class CannotStartError(Exception):
    """The daemons are not here and cannot be had here, or one of them did not come up."""


def what_is_missing() -> str:
    """Why there is no Slurm here, or nothing where it is here or may be installed."""
    if os.geteuid() != 0:
        return "Slurm's daemons need root"
    if SYSTEM_CONF.exists() and not SYSTEM_CONF.is_symlink():
        return f"{SYSTEM_CONF} is of another cluster, which the tests leave alone"
    here = all(shutil.which(program) for program in PROGRAMS)
    if here or (os.environ.get("CI") and shutil.which("apt-get")):
        return ""
    needed = " ".join(PACKAGES + ACCOUNTING_PACKAGES)
    return f"a Slurm cluster needs `apt-get install {needed}`, which the tests do in CI only"


def install() -> None:
    """Install Debian's packages where they are missing; only what `what_is_missing` allows."""
    if what_is_missing():
        raise CannotStartError(what_is_missing())
    if all(shutil.which(program) for program in PROGRAMS):
        return
    programs.install([*PACKAGES, *ACCOUNTING_PACKAGES])


class Cluster:
    """A running cluster; ``environment`` is what its commands and their callers need."""

    def __init__(self, folder: Path, accounting: bool = False) -> None:
        self.folder = folder
        self.accounting = accounting
        self.environment = {**os.environ, "SLURM_CONF": str(folder / "slurm.conf")}
        self._daemons: list[subprocess.Popen] = []
        self._linked_before: Path | None = None

    def start(self) -> None:
        """Start all daemons. Raises `CannotStartError`, with everything stopped again."""
        install()
        try:
            if SYSTEM_CONF.exists():  # of a cluster that runs beside this one
                self._linked_before = SYSTEM_CONF.readlink()
            self._configure()
            self._link(self.folder / "slurm.conf")
            self._start_munge()
            if self.accounting:
                self._start_accounting()
            for daemon in ("slurmctld", "slurmd"):
                self._daemon(daemon, "-D")
            self._wait("a node", lambda: self.ask("sinfo", "-h", "-p", "cpu", "-o", "%T") == "idle")
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Cancel what still runs and stop the daemons, the last one first."""
        if self._daemons:
            self.ask("scancel", "--user=root")
            self._wait("an empty queue", lambda: not self.ask("squeue", "-h"), complain=False)
        for daemon in reversed(self._daemons):
            daemon.terminate()
            try:
                daemon.wait(15)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
        self._daemons.clear()
        self._link(self._linked_before)

    def ask(self, *command: str) -> str:
        """What a command of Slurm prints."""
        done = subprocess.run(
            command, env=self.environment, text=True, capture_output=True, check=False
        )
        return done.stdout.strip()

    def daemon(self, name: str) -> subprocess.Popen:
        """A daemon's process, the one that was started last."""
        return [daemon for daemon in self._daemons if daemon.args[0] == name][-1]

    def end(self, name: str, how: int = signal.SIGTERM) -> None:
        """End a daemon."""
        self.daemon(name).send_signal(how)
        self.daemon(name).wait(30)

    def begin(self, name: str, *options: str) -> None:
        """Start a daemon again."""
        self._daemons.remove(self.daemon(name))
        self._daemon(name, "-D", *options)

    def lose_node(self) -> None:
        """The node dies with all that runs on it, and comes back empty."""
        self.end("slurmd", signal.SIGKILL)
        jobs = set(self.ask("squeue", "-h", "-t", "running", "-o", "%A").split())
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                step = re.match(r"slurmstepd: \[(\d+)\.", " ".join(process.cmdline()))
                if (step and step[1] in jobs) or process.environ().get("SLURM_JOB_ID") in jobs:
                    process.kill()
        node = f"nodename={self._host}"
        self.ask("scontrol", "update", node, "state=down", "reason=died")
        self.begin("slurmd")
        self._wait("the node", lambda: "RESPOND" not in self.ask("scontrol", "show", "node"))
        self.ask("scontrol", "update", node, "state=resume")

    def _link(self, conf: Path | None) -> None:
        SYSTEM_CONF.unlink(missing_ok=True)
        if conf is not None:
            SYSTEM_CONF.parent.mkdir(exist_ok=True)
            SYSTEM_CONF.symlink_to(conf)

    def _configure(self) -> None:
        host = self._host = socket.gethostname().split(".")[0]
        for name in ("state", "spool"):
            (self.folder / name).mkdir(parents=True)
        names = ("controller_port", "node_port", "bookkeeper_port", "database_port")
        self.ports = dict(zip(names, _free_ports(len(names)), strict=True))
        known = {"folder": self.folder, "host": host, "cpus": CPUS, "gpus": GPUS, **self.ports}
        accounting = "AccountingStorageType=accounting_storage/none"
        if self.accounting:
            accounting = ACCOUNTING.format(**known)
            bookkeeper = self.folder / "slurmdbd.conf"
            bookkeeper.write_text(SLURMDBD_CONF.format(**known))
            bookkeeper.chmod(0o600)
        (self.folder / "slurm.conf").write_text(SLURM_CONF.format(accounting=accounting, **known))
        gpus = [self.folder / f"gpu{number}" for number in range(GPUS)]
        for number, gpu in enumerate(gpus):
            _run("mknod", str(gpu), "c", "195", str(number))
        (self.folder / "gres.conf").write_text(
            "".join(f"NodeName={host} Name=gpu File={gpu}\n" for gpu in gpus)
        )

    def _start_munge(self) -> None:
        key = self.folder / "munge.key"
        key.write_bytes(secrets.token_bytes(1024))
        key.chmod(0o400)
        socket_path = self.folder / "munge.socket"
        self._daemon(
            *("munged", "--foreground", "--force", f"--socket={socket_path}"),
            *(f"--key-file={key}", f"--pid-file={self.folder}/munged.pid"),
            *(f"--log-file={self.folder}/munged.log", f"--seed-file={self.folder}/munged.seed"),
        )
        self._wait("munge", socket_path.exists)

    def _start_accounting(self) -> None:
        data, database = self.folder / "database", self.folder / "database.socket"
        where = (f"--datadir={data}", "--user=root")
        _run("mariadb-install-db", *where, "--auth-root-authentication-method=normal")
        self._daemon(
            *("mariadbd", "--no-defaults", *where, f"--socket={database}"),
            *("--bind-address=127.0.0.1", f"--port={self.ports['database_port']}"),
            *("--innodb-buffer-pool-size=128M", "--innodb-lock-wait-timeout=900"),
            *(f"--pid-file={self.folder}/mariadbd.pid",),
        )
        self._wait("MariaDB", database.exists)
        _run("mariadb", "--no-defaults", f"--socket={database}", "--user=root", "-e", DATABASE)
        self._daemon("slurmdbd", "-D")
        self._wait("slurmdbd", lambda: "Cluster" in self.ask("sacctmgr", "list", "cluster"))
        lab = ("account", "lab", "cluster=tests", "description=x", "organization=x")
        for wanted in (("cluster", "tests"), lab, ("user", "root", "account=lab")):
            _run("sacctmgr", "-i", "add", *wanted, environment=self.environment)

    def _daemon(self, *command: str) -> None:
        """Start a daemon in the foreground, in a session of its own (no Ctrl-C reaches it)."""
        with (self.folder / f"{command[0]}.out").open("w") as out:
            self._daemons.append(
                subprocess.Popen(
                    command,
                    env=self.environment,
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            )

    def _wait(self, what: str, ready: Callable[[], bool], complain: bool = True) -> None:
        until = time.monotonic() + 60
        while time.monotonic() < until:
            if ready():
                return
            time.sleep(0.1)
        if complain:
            logs = sorted(self.folder.glob("*.out")) + sorted(self.folder.glob("*.log"))
            ends = "\n".join(f"{log}:\n{log.read_text(errors='replace')[-1500:]}" for log in logs)
            raise CannotStartError(f"{what} did not come up within 60 s\n{ends}")


def _run(*command: str, environment: dict[str, str] | None = None) -> None:
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = (done.stdout + done.stderr)[-500:]
        raise CannotStartError(f"`{' '.join(command)}` failed: {said}")


def _free_ports(count: int) -> list[int]:
    probes = [socket.socket() for _ in range(count)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [int(probe.getsockname()[1]) for probe in probes]
    for probe in probes:
        probe.close()
    return ports
