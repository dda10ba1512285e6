"""Snakemake's executor for Slurm, on bad days too.

What snakemake-executor-plugin-slurm 2.8.0 loses jobs over is done here in another way: the state
of jobs is asked of the controller, and no answer means to ask again; a refused submission is
tried again; a job that was preempted for good, or that Slurm forgot, has failed; Ctrl-C and
SIGTERM cancel whatever the run submitted, and the jobs of a run that was killed are cancelled
before the next one submits any.
"""

import asyncio
import fcntl
import shlex
import shutil
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, Any

import snakemake_executor_plugin_slurm as plugin
from snakemake_interface_common.exceptions import WorkflowError
from snakemake_interface_executor_plugins.executors.base import SubmittedJobInfo

from taskvectors.cluster import queue
from taskvectors.cluster.options import slurm_options
from taskvectors.cluster.profile import submitted, warnings_of
from taskvectors.cluster.queue import NoAnswerError, State

# A job that sbatch refuses for so long has failed.
SECONDS_OF_REFUSALS = 900
MOST_SECONDS_BETWEEN_LOOKS = 120
FORGOTTEN = State("FORGOTTEN")
# A job that is so at two looks has failed: Slurm did not put it back into the queue.
DOUBTFUL = {*queue.FAILED_UNLESS_REQUEUED, FORGOTTEN.name}


class SlurmExecutor(plugin.Executor):
    """The plugin's executor: its settings, submission and logs, but another watch on the queue."""

    def __init__(self, workflow: Any, logger: Any) -> None:
        self._known: set[str] = set()  # Slurm's ids of the jobs that this run waits for
        self._refused: dict[Any, str] = {}  # jobs to submit again: what sbatch said
        self._refused_since: dict[Any, float] = {}
        self._doubtful: set[str] = set()  # ids of those that had ended, if not requeued
        self._dead_runs: list[Path] = []
        self._unsure = False  # whether jobs that nobody waits for may be in the queue
        self._said = ""
        workflow.executor_settings = slurm_options() or plugin.ExecutorSettings()
        super().__init__(workflow, logger)  # begins to look at the queue

    def __post_init__(self) -> None:
        if shutil.which("sbatch") is None:
            raise WorkflowError("This host has no sbatch; run Snakemake on one that submits jobs.")
        super().__post_init__()
        # One submission at a time: what else is in the queue under the run's name is left over.
        self._job_submission_executor = ThreadPoolExecutor(max_workers=1)
        jobs = filter(submitted(self.workflow), self.dag.needrun_jobs())
        for warning in warnings_of(jobs, self.workflow.executor_settings):
            self.logger.warning(warning)
        self._register_run(Path(self.workflow.persistence.path, "slurm_runs"))

    def _register_run(self, runs: Path) -> None:
        """Note the run's name in a file that is locked as long as Snakemake lives; find others."""
        runs.mkdir(parents=True, exist_ok=True)
        self._dead_runs = [path for path in runs.iterdir() if _lock(path.open("r+"))]
        self._unsure = bool(self._dead_runs)
        self._run = runs.with_name(self.run_uuid).open("w")
        if not _lock(self._run):
            self.logger.warning(
                f"{runs} cannot be locked in this file system: if Snakemake is killed, cancel its "
                f"jobs before it is started again (scancel --name={self.run_uuid})."
            )
        Path(self._run.name).rename(runs / self.run_uuid)

    def run_jobs(self, jobs: list[Any]) -> None:
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: jobs are cancelled
        super().run_jobs(jobs)

    def get_account_arg(self, job: Any) -> Iterator[str]:
        """The account as it is given: sbatch knows whether it is one."""
        account = job.resources.get("slurm_account")
        yield f" -A {shlex.quote(str(account))}" if account else ""

    def _submit_job(self, job: Any) -> None:
        self.run_job_pre(job)
        self._job_submission_executor.submit(self._submit, job)

    def _submit(self, job: Any) -> None:
        """Submit a job, once no other one can be at the same work."""
        if self._unsure and (why := self._cancel_left_over()):
            self._refused[job] = f"not submitted ({why})"
            return
        try:
            self.run_job(job)
        except AttributeError as error:  # the plugin's report of an error has no room for groups
            super()._report_job_error_threadsafe(SubmittedJobInfo(job), str(error.__context__))

    def _cancel_left_over(self) -> str:
        """Cancel jobs of runs that were killed, and those that Slurm took though sbatch failed.

        Returns why there may be some yet, or nothing.
        """
        names = [self.run_uuid, *(path.name for path in self._dead_runs)]
        try:
            jobs = queue.jobs_named(names)
            left = {job for job, state in jobs.items() if state.name not in queue.ENDED}
            if left := left - self._known:
                why = f"jobs that nobody waits for are in the queue: {', '.join(sorted(left))}"
                self.logger.warning(f"{why}; they are cancelled, their work is done anew.")
                queue.ask("scancel", *left)
                return why
        except NoAnswerError as error:
            return str(error)
        for path in self._dead_runs:
            path.unlink(missing_ok=True)
        self._dead_runs, self._unsure = [], False
        return ""

    def _report_job_submission_threadsafe(self, job_info: SubmittedJobInfo) -> None:
        self._known.add(str(job_info.external_jobid))
        self._refused_since.pop(job_info.job, None)
        super()._report_job_submission_threadsafe(job_info)

    def _report_job_error_threadsafe(self, job_info: SubmittedJobInfo, msg: str) -> None:
        """What sbatch refused is tried again, each time that the queue is looked at."""
        job, now = job_info.job, time.monotonic()
        began = self._refused_since.setdefault(job, now)
        if "sbatch" in msg and now - began < SECONDS_OF_REFUSALS:
            self._unsure = True
            words = msg.partition("The error message was '")[2].partition("'.\n")[0] or msg
            self._refused[job] = f"not submitted ({' '.join(words.split())})"
        else:
            super()._report_job_error_threadsafe(job_info, msg)

    async def check_active_jobs(
        self, active_jobs: list[SubmittedJobInfo]
    ) -> AsyncIterator[SubmittedJobInfo]:
        """Report the jobs that ended, yield the others, and submit again what was refused."""
        first = self.workflow.executor_settings.init_seconds_before_status_checks
        if not active_jobs and not self._refused:
            self.next_seconds_between_status_checks = first
            return
        try:
            states, longest = self._look([str(job.external_jobid) for job in active_jobs])
        except NoAnswerError as error:
            self._say(f"its answer on {len(active_jobs)} jobs ({error})")
            for job in active_jobs:
                yield job
            return
        waiting = Counter[str]()
        for job, state in zip(active_jobs, states, strict=True):
            doubted = job.external_jobid in self._doubtful
            self._doubtful.discard(str(job.external_jobid))
            if state.name == "COMPLETED":
                self._report_success(job)
            elif state.name in queue.FAILED or (doubted and state.name in DOUBTFUL):
                self._report_failure(job, state)
            else:
                if state.name in DOUBTFUL:
                    self._doubtful.add(str(job.external_jobid))
                waiting[str(state)] += 1
                yield job
        waiting.update(self._refused.values())
        self._say(", ".join(f"{count} {what}" for what, count in sorted(waiting.items())))
        seconds = self.next_seconds_between_status_checks + 10
        ended = waiting.total() < len(active_jobs)
        self.next_seconds_between_status_checks = min(first if ended else seconds, longest)
        while self.wait and self._refused:
            job, _ = self._refused.popitem()
            self._job_submission_executor.submit(self._submit, job)

    def _look(self, ids: list[str]) -> tuple[list[State], float]:
        """The states of jobs, and in how many seconds to look again so that Slurm forgets none."""
        jobs, configured = queue.jobs_named([self.run_uuid]), queue.settings()
        keeps = queue.has_accounting(configured)
        found = [jobs.get(job) or (keeps and queue.accounted(job)) or FORGOTTEN for job in ids]
        remembered = int(configured["MinJobAge"].split()[0])  # "300 sec"
        return found, min(MOST_SECONDS_BETWEEN_LOOKS, max(1, remembered / 3))

    def _say(self, what: str) -> None:
        """A line on what is waited for, where that changed."""
        if what and what != self._said:
            self.logger.info(f"Waiting for Slurm: {what}.")
        self._said = what

    def _report_success(self, job: SubmittedJobInfo) -> None:
        self.report_job_success(job)
        if not self.workflow.executor_settings.keep_successful_logs:
            job.aux["slurm_logfile"].unlink(missing_ok=True)

    def _report_failure(self, job: SubmittedJobInfo, state: State) -> None:
        msg = f"SLURM-job '{job.external_jobid}' failed, SLURM status is: '{state}'. "
        self.report_job_error(job, msg=msg, aux_logs=[str(job.aux["slurm_logfile"])])

    async def sleep(self) -> None:
        """The pause between two looks, cut short where the run ends."""
        until = time.monotonic() + self.next_seconds_between_status_checks
        while self.wait and time.monotonic() < until:
            await asyncio.sleep(0.2)

    def cancel_jobs(self, active_jobs: list[SubmittedJobInfo]) -> None:
        """Cancel all that the run submitted, whether it is waited for or being looked at."""
        self.wait = False
        self._job_submission_executor.shutdown(cancel_futures=True)
        try:
            queue.ask("scancel", f"--name={self.run_uuid}")
        except NoAnswerError as error:
            self.logger.error(
                f"Jobs may go on that could not be cancelled ({error}). They are cancelled when "
                f"Snakemake is next started here, or by `scancel --name={self.run_uuid}`."
            )


def _lock(file: IO[str]) -> bool:
    """Lock a file until this process ends; False where another one has it, or nobody can."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        return False
    return True
