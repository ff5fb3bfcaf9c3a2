"""Secrets planted in a server, its workers and its users, a full cycle with failures, and a search through all that was written.

    secrets_test.py BIN_FOLDER STAND_IN_JOB
"""
import contextlib
import glob
import os
import signal
import stat
import subprocess
import sys
import time
import urllib.error
import urllib.request

from canaries import Canaries, ProcessWatch
from hone_service import Hone
from service_test import relu_model, stand_in_programs
from survival import TRIALS, start_job

OURS = {"hone-server", "hone-worker", "hone-runner", "hone-job"}   # hone itself may be given HONE_TOKEN
KEEPERS = ("admin.token", "enrol.token", "key.pem", "workers.pem", "identity.pem")   # files that hold a secret, 0600


class Cycle:
    def __init__(self, hone):
        self.hone = hone
        self.canaries = Canaries()
        self.written = {}       # where -> bytes, of what is in no file
        self.plain = {k: v for k, v in hone.environment.items() if k != "HONE_TOKEN"}
        self.folder = os.path.join(hone.folder, "secrets")
        os.mkdir(self.folder)
        self.plant(os.path.join(hone.home, "server"))

    def plant(self, server):
        """Recognisable tokens for a server that has not been started yet."""
        os.makedirs(server, mode=0o700)
        for name in ("admin.token", "enrol.token"):
            self.keep(os.path.join(server, name), f"canary-{name}-{os.urandom(24).hex()}")

    def keep(self, path, token):
        with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
            file.write(token + "\n")
        self.canaries.add_token(path, token)
        return path

    def new_token(self, name, text=None):
        return self.keep(os.path.join(self.folder, name), text or f"canary-{name}-{os.urandom(24).hex()}")

    def hold(self, path):
        """A file that hone wrote a token into."""
        with open(path) as file:
            self.canaries.add_token(path, file.read())
        return path

    def run(self, *words, environment=None, secret_out=False, **options):
        result = self.hone.run(*words, check=False, **options) if environment is None else subprocess.run(
            [self.hone.program, *words], env={**self.hone.environment, **environment}, capture_output=True, text=True, timeout=60)
        name = f"{len(self.written)}: hone {' '.join(words)}"
        self.written[name] = (result.stderr if secret_out else result.stdout + result.stderr).encode()
        return result

    def get(self, path, token=None):
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        request = urllib.request.Request(f"http://{self.hone.state['http']}{path}", headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                text = bytes(str(answer.headers), "utf8") + answer.read()
        except urllib.error.HTTPError as error:
            text = bytes(str(error.headers), "utf8") + error.read()
        self.written[f"{len(self.written)}: GET {path.split('?')[0]}"] = text


def people(cycle):
    """Tokens made, shown, used, used up, and wrong ones."""
    hone = cycle.hone
    remote = ["--server", hone.state["server"], "--ca", hone.state["ca"]]
    cycle.run("user", "create", "ann", "--role", "operator")
    for name, flags in (("ann.token", ["--expires", "1d"]), ("lapsed.token", ["--expires", "1ms"])):
        path = os.path.join(cycle.folder, name)
        cycle.run("token", "create", "ann", *flags, "--label", name, "-o", path)
        cycle.hold(path)
    for flags in ([], ["--json"]):   # the one place where a secret is shown
        shown = cycle.run("token", "create", "ann", "--label", "shown", *flags, secret_out=True).stdout
        cycle.new_token(f"shown{len(flags)}.token", shown.split('"secret": "')[1].split('"')[0] if flags else shown.strip())
    enrol = os.path.join(cycle.folder, "join.token")
    cycle.run("token", "enrol", "-o", enrol)
    cycle.hold(enrol)
    page = cycle.run("dashboard", secret_out=True).stdout.split("#token=")[1].split()[0]
    cycle.new_token("page.token", page)
    revoked = cycle.hone.json("token", "list")["tokens"]
    cycle.run("token", "revoke", next(t["name"] for t in revoked if t["label"] == "shown"))
    tokens = [os.path.join(cycle.folder, name) for name in os.listdir(cycle.folder) if name.endswith(".token")]
    tokens += [cycle.new_token("wrong.token"), os.path.join(hone.home, "server", "enrol.token")]
    for path in tokens:
        for words in (("job", "list"), ("token", "list", "--json"), ("worker", "drain", "nobody")):
            cycle.run(*words, *remote, "--token-file", path)
        with open(path) as file:
            token = file.read().strip()
        cycle.run("job", "list", environment={"HONE_SERVER": hone.state["server"], "HONE_CA": hone.state["ca"], "HONE_TOKEN": token})
        for query in ("/api/JobService/ListJobs", f"/api/JobService/ListJobs?token={token}", f"/{token}", "/metrics"):
            cycle.get(query, token)
    return enrol


def devices(cycle, programs, enrol):
    """Another worker joins, is refused, dies, comes back and is removed."""
    hone = cycle.hone
    data = os.path.join(hone.folder, "second")
    log = os.path.join(hone.folder, "second.log")
    words = [os.path.join(programs, "hone-worker"), "join", "--server", hone.state["server"], "--ca", hone.state["ca"],
             "--data-dir", data, "--name", "second", "--allow-unsandboxed", "--enrol-token-file"]

    def start(token):
        with open(log, "ab") as out:
            return subprocess.Popen([*words, token], stdout=out, stderr=out, env=cycle.plain)

    assert start(os.path.join(cycle.folder, "wrong.token")).wait(60) == 1
    with open(os.path.join(data, "enrolment.pem"), "rb") as file:
        assert cycle.canaries.add_keys("enrolment.pem", file.read())
    for end in (signal.SIGKILL, signal.SIGABRT, None):
        begin = time.time() * 1e6
        worker = start(enrol)
        name = wait_for(lambda: next((w["name"] for w in hone.json("worker", "list")["workers"]
                                      if w["display_name"] == "second" and int(w["last_seen_micros"]) > begin), None))
        if end:
            worker.send_signal(end)
            worker.wait(20)
    cycle.canaries.add_keys("second/identity.pem", read(os.path.join(data, "identity.pem")))
    cycle.run("worker", "remove", name)
    assert worker.wait(60) == 3
    assert b"was removed" in read(log)


def renewals(cycle, programs):
    """A server whose certificates are good for seconds, telling all that it does."""
    hone = cycle.hone
    data, worker_data, log = (os.path.join(hone.folder, name) for name in ("short", "short-worker", "short.log"))
    cycle.plant(data)
    with open(log, "ab") as out:
        server = subprocess.Popen([os.path.join(programs, "hone-server"), "--data-dir", data, "--certificate-hours", "0.001",
                                   "--log-level", "debug"], stdout=out, stderr=out, env=cycle.plain)
        endpoint = os.path.join(data, "endpoint.json")
        wait_for(lambda: os.path.exists(endpoint))
        address = read(endpoint).decode().split('"grpc": "')[1].split('"')[0]
        worker = subprocess.Popen([os.path.join(programs, "hone-worker"), "join", "--server", address,
                                   "--ca", f"{data}/tls/cert.pem", "--enrol-token-file", f"{data}/enrol.token",
                                   "--data-dir", worker_data, "--allow-unsandboxed"], stdout=out, stderr=out, env=cycle.plain)
    identity = os.path.join(worker_data, "identity.pem")
    seen = set()

    def renewed():
        if os.path.exists(identity):
            seen.add(read(identity))
        return len(seen) >= 3

    wait_for(renewed)
    for pem in seen:
        assert cycle.canaries.add_keys("short-worker/identity.pem", pem)
    for process in (worker, server):
        process.send_signal(signal.SIGTERM)
    assert server.wait(60) == 0


def has_ended(pid):
    stat = read(f"/proc/{pid}/stat")
    return not stat or stat.rsplit(b")", 1)[1].split()[0] in (b"Z", b"X")


def job(cycle):
    """A job that goes through the deaths of all that work on it."""
    hone = cycle.hone
    name = start_job(hone, relu_model(hone))
    for pid in hone.job_children():
        os.kill(pid, signal.SIGABRT)
    os.kill(hone.state["worker_pid"], signal.SIGSEGV)
    os.kill(hone.state["server_pid"], signal.SIGABRT)
    wait_for(lambda: has_ended(hone.state["server_pid"]))
    hone.up()
    done = hone.wait_for_job(name, lambda j: j["state"] == "JOB_STATE_SUCCEEDED", "the end of the job", timeout=300)
    assert done["progress"]["trials_done"] == TRIALS
    cycle.run("module", "download", name, "-o", os.path.join(hone.folder, "out"))
    for words in (("job", "list"), ("job", "show", name), ("job", "logs", name), ("log", "export"), ("module", "list"),
                  ("model", "list"), ("worker", "list"), ("token", "list"), ("user", "list"), ("project", "usage"), ("up",)):
        cycle.run(*words)
        cycle.run(*words, "--json")


def search(cycle, watch):
    """Nothing may be anywhere but in the files that keep it."""
    hone = cycle.hone
    for pem in glob.glob(f"{hone.folder}/**/*.pem", recursive=True):
        cycle.canaries.add_keys(pem, read(pem))
    for keeper in KEEPERS:   # the search itself works
        for path in glob.glob(f"{hone.folder}/**/{keeper}", recursive=True):
            assert cycle.canaries.found_in(read(path)), path
            assert stat.S_IMODE(os.stat(path).st_mode) == 0o600, path
    assert OURS <= watch.programs, watch.programs
    places = dict(cycle.written)
    places.update({f"{name}: {text[:80]}": text for name, text in watch.texts})
    files = [path for path in glob.glob(f"{hone.folder}/**/*", recursive=True)
             if os.path.isfile(path) and os.path.basename(path) not in KEEPERS and not path.startswith(cycle.folder)]
    places.update({path: read(path) for path in files})
    leaks = {place: found for place, data in places.items() if (found := cycle.canaries.found_in(data))}
    print(f"{len(cycle.canaries)} secrets, {len(files)} files, {len(cycle.written)} answers, {len(watch.texts)} arguments and environments")
    assert any(path.endswith("hone.db") for path in files) and any(path.endswith(".log") for path in files), files
    assert not leaks, leaks


def wait_for(condition, timeout=60):
    deadline = time.monotonic() + timeout
    while not (value := condition()):
        assert time.monotonic() < deadline, "it does not happen"
        time.sleep(0.02)
    return value


def read(path):
    with contextlib.suppress(FileNotFoundError), open(path, "rb") as file:
        return file.read()
    return b""


def main():
    bin_folder, stand_in = sys.argv[1:]
    with stand_in_programs(bin_folder, stand_in) as programs:
        hone = Hone(programs)
        hone.environment["HONE_TOKEN"] = "canary-inherited-" + os.urandom(24).hex()   # of some other server
        cycle = Cycle(hone)
        cycle.canaries.add_token("HONE_TOKEN", hone.environment["HONE_TOKEN"])
        watch = ProcessWatch(OURS)
        watch.start()
        with hone:
            enrol = people(cycle)
            devices(cycle, programs, enrol)
            renewals(cycle, programs)
            job(cycle)
            watch.stop()
            search(cycle, watch)
    print("passed")


if __name__ == "__main__":
    main()
