"""A SLURM of one's own: munged, slurmctld and slurmd as children, on loopback, in a folder.

Nothing outside the folder is touched; it works as root and as a user; daemons are stopped by
their process, after their jobs. SLURM wants an address besides 127.0.0.1 (its look-up of names
ignores loopback), though it listens on none but that.
"""

import getpass
import os
import shutil
import socket
import subprocess
import tempfile
import time
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.components import find_program, need

READY_S = 60.0
"""Patience with daemons of a busy machine [s]."""

_SETTINGS = """\
ClusterName=tests
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
MailProg=/bin/true
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/filetxt
JobCompLoc={folder}/jobs.log
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SlurmdParameters=config_overrides
ReturnToService=2
SchedulerParameters=sched_interval=1,sched_min_interval=0,bf_interval=1
MinJobAge=7200
KillWait=2
SlurmdTimeout=10
PartitionName=debug Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""

_NODE = "NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs={cores} "
_NODE += "RealMemory={memory_mb} State=UNKNOWN\n"


@dataclass
class Slurm:
    """A running queue; its commands need nothing but ``SLURM_CONF``, the path ``conf``."""

    folder: Path
    conf: Path
    environment: dict[str, str]
    daemons: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def call(self, program, *words, check=True):
        """Return what a command of SLURM prints."""
        done = subprocess.run(
            [find_program(program), *map(str, words)],
            env=self.environment,
            capture_output=True,
            text=True,
            check=check,
            timeout=READY_S,
        )
        return done.stdout

    def jobs(self):
        """Return the numbers of the jobs that wait or run."""
        return [int(word) for word in self.call("squeue", "-h", "-o", "%i").split()]

    def n_cut_off(self):
        """Return how many jobs of the last two hours were ended as their time was over."""
        return len(self.call("squeue", "-h", "-o", "%i", "-t", "TIMEOUT").split())

    def cancel(self, *jobs, patience_s=20.0):
        """End jobs, all if none is named, and wait until they are gone."""
        jobs = jobs or self.jobs()
        if jobs:
            self.call("scancel", *jobs, check=False)
        _wait(lambda: not set(jobs) & set(self.jobs()), patience_s, "jobs do not end")

    def facts(self, job):
        """Return what the queue knows of a job, by its own words for each fact."""
        words = self.call("scontrol", "show", "job", job).split()
        return dict(word.split("=", 1) for word in words if "=" in word)

    def state(self, job):
        """Return the state of a job, such as RUNNING or TIMEOUT."""
        return self.facts(job)["JobState"]

    def age_s(self, job):
        """Return for how long a job has run [s]; less than a day."""
        hours, minutes, seconds = map(int, self.facts(job)["RunTime"].split(":"))
        return 3600.0 * hours + 60.0 * minutes + seconds

    def drain(self, *nodes):
        """Let nodes take no new jobs."""
        self._set(nodes, "State=DRAIN", "Reason=test")

    def resume(self, *nodes):
        """Let nodes take jobs again."""
        self._set(nodes, "State=RESUME")

    def _set(self, nodes, *words):
        for node in nodes:
            self.call("scontrol", "update", f"NodeName={node}", *words)

    def logs(self):
        """Return the ends of all the daemons' logs."""
        files = sorted([*self.folder.glob("*.log"), *self.folder.glob("*.out")])
        return "\n".join(f"-- {path.name}\n{path.read_text()[-2000:]}" for path in files)

    def start(self, name, program, *words):
        """Start a daemon in the foreground, as a child of ours that does not outlive us."""
        setpriv = find_program("setpriv")
        before = [setpriv, "--pdeathsig", "TERM"] if setpriv else []
        with (self.folder / f"{name}.out").open("ab") as output:
            self.daemons[name] = subprocess.Popen(
                [*before, find_program(program), *map(str, words)],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def stop(self):
        """End jobs, then daemons, the last that was started first."""
        if "slurmctld" in self.daemons and self.daemons["slurmctld"].poll() is None:
            with suppress(TimeoutError, subprocess.SubprocessError):  # they are in nobody's way
                self.cancel()
        for daemon in reversed(self.daemons.values()):
            daemon.terminate()
            try:
                daemon.wait(10)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()


@contextmanager
def local_slurm(*, nodes=2, cores=1, memory_mb=4096):
    """Give a queue of some nodes of this machine for as long as the block lasts."""
    need("slurmctld")
    with ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="slurm-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        slurm = Slurm(folder, folder / "slurm.conf", {**os.environ})
        slurm.environment["SLURM_CONF"] = str(slurm.conf)
        _write(slurm, nodes=nodes, cores=cores, memory_mb=memory_mb)
        stack.callback(slurm.stop)
        _start(slurm, [f"n{i}" for i in range(1, nodes + 1)])
        yield slurm


def _write(slurm, *, nodes, cores, memory_mb):
    """Write the settings, on ports that are free, and make the folders and the key."""
    folder = slurm.folder
    folder.chmod(0o755)
    (folder / "state").mkdir()
    (folder / "munge").mkdir(mode=0o700)
    port, *ports = _free_ports(nodes + 1)
    host = socket.gethostname().split(".")[0]
    text = ""
    for number, node_port in enumerate(ports, start=1):
        name = f"n{number}"
        (folder / f"spool-{name}").mkdir()
        text += _NODE.format(name=name, host=host, port=node_port, cores=cores, memory_mb=memory_mb)
    head = _SETTINGS.format(host=host, port=port, user=getpass.getuser(), folder=folder)
    slurm.conf.write_text(head.replace("PartitionName", text + "PartitionName"))
    key = folder / "munge" / "key"
    key.write_bytes(os.urandom(1024))
    key.chmod(0o400)


def _start(slurm, nodes):
    """Start all daemons and wait until all nodes are idle."""
    folder = slurm.folder
    munge = ("--key-file", folder / "munge" / "key", "--socket", folder / "munge.socket")
    more = ("--pid-file", folder / "munged.pid", "--seed-file", folder / "munge" / "seed")
    options = [f"{name}={value}" for name, value in zip(*[iter(munge + more)] * 2, strict=True)]
    slurm.start("munged", "munged", "-F", "--force", "--num-threads=2", *options)
    _wait((folder / "munge.socket").exists, READY_S, "munged does not start", slurm)
    slurm.start("slurmctld", "slurmctld", "-D", "-c", "-f", slurm.conf)
    for name in nodes:
        slurm.start(name, "slurmd", "-D", "-N", name, "-f", slurm.conf)

    def ready():
        idle = slurm.call("sinfo", "-h", "-N", "-t", "idle", "-o", "%N", check=False).split()
        return set(nodes) <= set(idle)

    _wait(ready, READY_S, "the nodes are not idle", slurm)


def _wait(true, patience_s, message, slurm=None):
    """Wait until something is true; a daemon that ended before is a failure."""
    end = time.monotonic() + patience_s
    while not true():
        dead = [name for name, one in (slurm.daemons if slurm else {}).items() if one.poll()]
        if dead or time.monotonic() > end:
            logs = slurm.logs() if slurm else ""
            raise TimeoutError(f"{message}; ended: {dead}\n{logs}")
        time.sleep(0.05)


def _free_ports(count):
    """Return ports of loopback that nobody listens on."""
    with ExitStack() as stack:
        ports = []
        for _ in range(count):
            probe = stack.enter_context(socket.socket())
            probe.bind(("127.0.0.1", 0))
            ports.append(probe.getsockname()[1])
    return ports
