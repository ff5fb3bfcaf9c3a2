"""A server and a worker of a test's own, driven through the `hone` command as a user would."""
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import traceback


def _give_up(number, frame):
    raise TimeoutError(f"stopped by {signal.Signals(number).name}")


class Hone:
    """`with Hone(bin_folder) as hone:` starts them under a temporary HONE_HOME and stops them at the end."""

    def __init__(self, bin_folder, quiet=False):
        self.quiet = quiet
        self.program = os.path.join(bin_folder, "hone")
        self._folder = tempfile.TemporaryDirectory(prefix="hone-test-")
        self.folder = self._folder.name
        self.home = os.path.join(self.folder, "home")
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith("HONE_")}
        self.environment["HONE_HOME"] = self.home
        if "HONE_PYTHON" in os.environ:
            self.environment["HONE_PYTHON"] = os.environ["HONE_PYTHON"]

    def __enter__(self):
        # Killed from outside, what it started would stay: end in time by ourselves.
        signal.signal(signal.SIGTERM, _give_up)
        signal.signal(signal.SIGALRM, _give_up)
        signal.alarm(int(os.environ.get("HONE_TEST_SECONDS", 0)))
        try:
            self.up()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, kind=None, error=None, trace=None):
        if error:   # before the logs: whoever sees only a part of the output should see this one
            traceback.print_exception(kind, error, trace, file=sys.stdout)
            sys.stdout.flush()
        for name in ("server.log", "worker.log"):
            path = os.path.join(self.home, "logs", name)
            if os.path.exists(path) and not self.quiet:
                with open(path, errors="replace") as log:
                    print(f"--- {name}\n" + "".join(log.readlines()[-40:]))
        subprocess.run([self.program, "down"], env=self.environment, check=False, capture_output=self.quiet)
        self._folder.cleanup()

    def up(self):
        self.state = self.json("up")
        return self.state

    def run(self, *words, check=True, timeout=600):
        result = subprocess.run([self.program, *map(str, words)], env=self.environment, capture_output=True, text=True,
                                timeout=timeout)
        if not self.quiet:
            print(f"$ hone {' '.join(map(str, words))}\n{result.stdout[:2000]}{result.stderr}", flush=True)
        if check and result.returncode != 0:
            raise AssertionError(f"hone {words[0]} ended with {result.returncode}: {result.stderr}")
        return result

    def json(self, *words, **options):
        return json.loads(self.run(*words, "--json", **options).stdout)

    def start(self, *words):
        """A command in the background."""
        return subprocess.Popen([self.program, *map(str, words)], env=self.environment, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, text=True)

    def job_children(self):
        """Process ids of the server's hone-job children."""
        found = []
        for entry in os.listdir("/proc"):
            if not entry.isdigit():
                continue
            try:
                with open(f"/proc/{entry}/stat") as stat:
                    name, _, rest = stat.read().partition("(")[2].rpartition(")")
                if name == "hone-job" and int(rest.split()[1]) == self.state["server_pid"]:
                    found.append(int(entry))
            except (FileNotFoundError, ProcessLookupError):
                pass
        return found

    def wait_for_any_job(self, timeout=60):
        """The name of the first job there is."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            jobs = self.json("job", "list")["jobs"]
            if jobs:
                return jobs[0]["name"]
            time.sleep(0.1)
        raise AssertionError("no job was queued")

    def wait_for_job(self, job, condition, what, timeout=120):
        """Asks for the job until condition(job) holds."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            answer = self.json("job", "show", job)
            if condition(answer):
                return answer
            assert answer["state"] not in ("JOB_STATE_FAILED",), answer
            time.sleep(0.2)
        raise AssertionError(f"{what} did not happen in {timeout} s: {answer}")

    def trials(self, job):
        """All trials of a job, in log order; not the incumbents measured beside them, nor whole modules."""
        lines = self.run("log", "export", f'job="{job}"').stdout.splitlines()
        records = [json.loads(line) for line in lines]
        return [r for r in records if r["task_key"] and not r["trial_id"].endswith(".incumbent")]


def kill_9(pid):
    os.kill(pid, signal.SIGKILL)
