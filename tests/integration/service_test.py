"""Server, worker and client together, with a stand-in for hone-job: a hand-written candidate and module, no compiler.

    service_test.py BIN_FOLDER STAND_IN_JOB CASE      CASE: whole | identity | login | kill_server | kill_job | kill_worker | resume | detach
"""
import contextlib
import copy
import fcntl
import os
import pty
import select
import subprocess
import sys
import tempfile
import termios
import time

import onnx
from onnx import TensorProto, helper

from hone_service import Hone
import survival


@contextlib.contextmanager
def stand_in_programs(programs, stand_in):
    """A folder of hard links: the programs find each other in the folder they were started from."""
    with tempfile.TemporaryDirectory(prefix="stand-in-", dir=programs) as folder:
        for name in ("hone", "hone-server", "hone-worker", "hone-runner"):
            os.link(os.path.join(programs, name), os.path.join(folder, name))
        os.link(stand_in, os.path.join(folder, "hone-job"))
        yield folder


def relu_model(hone):
    """What the stand-in's module computes."""
    path = os.path.join(hone.folder, "relu.onnx")
    if not os.path.exists(path):
        values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [2, 3]) for name in "xy"]
        graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "relu", values[:1], values[1:])
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
    return path


def check_module(hone, folder):
    assert hone.json("bench", folder, "--model", relu_model(hone), "--rounds", 3, "--window", "1ms")["agrees"]


def whole(hone):
    out = os.path.join(hone.folder, "out")
    answer = hone.json("optimize", relu_model(hone), "-o", out, "--trials", 8)
    assert answer["onnxruntime"]["agrees"], answer
    assert answer["report"]["verdict"] == "no gain"
    records = hone.trials(answer["job"]["name"])
    assert len(records) == 8 and all(r["measurement"]["outcome"] == "OUTCOME_OK" for r in records), records
    assert all(r["measurement"]["p20_seconds"] > 0 and r["device"]["cpu_name"] for r in records)
    assert "multiply 1000" in hone.run("job", "logs", answer["job"]["name"]).stdout
    found = hone.json("log", "query", 'status="ok" AND latency<1s AND trace:"tile x 3"')["records"]
    assert len(found) == 1, found
    first = hone.json("log", "query", "--limit", 5)
    second = hone.json("log", "query", "--limit", 50, "--page", first["next_page_token"])
    assert len(first["records"]) == 5 and not second["next_page_token"]
    assert len(second["records"]) == 8 + 2 - 5   # two batches, each with its incumbent
    assert hone.run("dump", relu_model(hone), "--after=cut").stdout == "stand-in dump\n"
    assert hone.json("worker", "list")["workers"][0]["device"]["calibration"]["fma_gflops"]
    for words in (("job", "list"), ("job", "show", answer["job"]["name"]), ("module", "list"), ("worker", "list"), ("version",),
                  ("log", "export", "--format", "csv")):
        hone.run(*words)
    assert hone.json("up")["started"] is False


def identity(hone):
    """People, tokens and what they may do, from the command line."""
    token_file = os.path.join(hone.folder, "ann.token")
    remote = ["--server", hone.state["server"], "--ca", hone.state["ca"]]
    ann = [*remote, "--token-file", token_file]
    assert hone.json("user", "create", "ann", "--role", "operator")["name"] == "users/ann"
    assert hone.run("user", "create", "ann", check=False).returncode == 1
    made = hone.json("token", "create", "ann", "--expires", "1d", "--label", "laptop", "-o", token_file)
    assert not made["secret"] and os.stat(token_file).st_mode & 0o777 == 0o600, made
    assert hone.run("token", "create", "ann", "-o", token_file, check=False).returncode != 0   # never overwritten
    assert len(hone.run("token", "enrol", *ann).stdout.strip()) == 64
    assert hone.run("token", "list", *ann, check=False).returncode == 5
    hone.run("user", "update", "ann", "--role", "viewer")
    assert hone.json("job", "list", *ann)["jobs"] == []
    for words in (("optimize", relu_model(hone)), ("token", "enrol"), ("worker", "drain", hone.json("worker", "list")["workers"][0]["name"])):
        assert hone.run(*words, *ann, check=False).returncode == 5, words
    viewer = os.path.join(hone.folder, "viewer.token")
    with open(viewer, "w") as file:
        file.write(hone.json("dashboard")["address_with_token"].split("#token=")[1])
    assert hone.json("job", "list", *remote, "--token-file", viewer)["jobs"] == []
    assert hone.run("user", "list", *remote, "--token-file", viewer, check=False).returncode == 5
    hone.run("project", "create", "vision", "--jobs", 1, "--storage", "1GB", "--device-time", "40h")
    bob = os.path.join(hone.folder, "bob.token")
    hone.run("user", "create", "bob")
    hone.run("token", "create", "bob", "--project", "vision", "-o", bob)
    bob = [*remote, "--token-file", bob]
    hone.json("optimize", relu_model(hone), "--trials", 2, "--detach", *bob)
    assert hone.json("job", "list")["jobs"] == [] and len(hone.json("job", "list", *bob)["jobs"]) == 1
    shown = hone.json("project", "show", "vision")
    assert shown["usage"]["jobs"] == "1" and float(shown["usage"]["storage_bytes"]) > 0, shown
    assert hone.json("project", "set-quota", "vision", "--jobs", "none")["max_jobs"] == 0
    assert [p["name"] for p in hone.json("project", "usage", *bob)["projects"]] == ["projects/vision"]
    assert "vision" in hone.run("project", "list").stdout
    path = hone.json("admin", "backup")["path"]
    assert os.path.dirname(path) == os.path.join(hone.home, "backups") and os.path.exists(path + "/MANIFEST"), path
    assert hone.run("admin", "backup", *bob, check=False).returncode == 5
    refused = hone.run("admin", "restore", path, check=False)
    assert refused.returncode == 3 and f"--restore-from {path}" in refused.stderr, refused.stderr
    listed = {t["label"]: t for t in hone.json("token", "list")["tokens"]}
    assert listed["laptop"]["subject"] == "users/ann" and listed["dashboard"]["role"] == "viewer", listed
    hone.run("token", "revoke", listed["laptop"]["name"])
    assert "revoked" in hone.run("job", "list", *ann, check=False).stderr
    assert "ann" in hone.run("user", "list").stdout


class Terminal:
    """A command on a terminal of its own, with somebody who types."""

    def __init__(self, hone, *words):
        self.master, slave = pty.openpty()
        self.process = subprocess.Popen([hone.program, *words], stdin=slave, stdout=slave, stderr=slave,
                                        env=hone.environment, start_new_session=True,
                                        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        self.slave = slave
        self.text = ""

    def wait_for(self, text, timeout=30):
        deadline = time.monotonic() + timeout
        while text not in self.text:
            assert select.select([self.master], [], [], max(0, deadline - time.monotonic()))[0], self.text
            self.text += os.read(self.master, 4096).decode()

    def type(self, text):
        os.write(self.master, text.encode())

    def echoes(self):
        return bool(termios.tcgetattr(self.slave)[3] & termios.ECHO)

    def end(self):
        code = self.process.wait(30)
        while select.select([self.master], [], [], 0)[0]:
            self.text += os.read(self.master, 4096).decode()
        print(self.text)
        return code


def login(hone):
    """A user comes from elsewhere: looks at the fingerprint, types the token unseen, and works there."""
    hone.run("user", "create", "ann", "--role", "operator")
    secret = hone.run("token", "create", "ann").stdout.strip()
    address, fingerprint = hone.state["server"], hone.state["fingerprint"]
    with open(os.path.join(hone.home, "logs", "server.log")) as log:
        assert fingerprint in log.read()   # where it can be compared
    elsewhere = copy.copy(hone)
    elsewhere.environment = {**hone.environment, "HONE_HOME": os.path.join(hone.folder, "elsewhere"), "TERM": "xterm"}
    terminal = Terminal(elsewhere, "login", address)
    terminal.wait_for("[y/N] ")
    assert fingerprint in terminal.text
    terminal.type("n\n")
    assert terminal.end() == 130 and "nothing was saved" in terminal.text
    terminal = Terminal(elsewhere, "login", address)
    terminal.wait_for("[y/N] ")
    terminal.type("y\n")
    terminal.wait_for("unseen")
    assert not terminal.echoes()
    terminal.type("\x03")   # Ctrl-C
    assert terminal.end() == 130 and terminal.echoes(), terminal.text
    terminal = Terminal(elsewhere, "login", address)
    terminal.wait_for("[y/N] ")
    terminal.type("yes\n")
    terminal.wait_for("unseen")
    terminal.type(secret + "\n")
    assert terminal.end() == 0, terminal.text
    assert secret not in terminal.text and "ann (operator)" in terminal.text
    assert elsewhere.json("job", "list")["jobs"] == []
    shown = elsewhere.json("context", "show")
    assert shown["server"] == address and shown["server_info"]["subject"] == "users/ann", shown
    assert elsewhere.run("user", "list", check=False).returncode == 5
    # A script: the token by stdin, the certificate by its fingerprint.
    script = subprocess.run([hone.program, "login", address, "--name", "again", "--fingerprint", fingerprint.upper(),
                             "--token-file", "-"], input=secret + "\n", env=elsewhere.environment, text=True, capture_output=True)
    assert script.returncode == 0, script.stderr
    elsewhere.run("context", "use", "local")
    elsewhere.run("context", "remove", "again")
    saved = os.path.join(hone.folder, "elsewhere", "contexts.json")
    assert os.stat(saved).st_mode & 0o777 == 0o600
    hone.run("user", "update", "ann", "--disable")
    denied = elsewhere.run("job", "list", "--context", "127.0.0.1", check=False)
    assert denied.returncode == 5 and "hone login" in denied.stderr, denied.stderr


CASES = {"whole": whole, "identity": identity, "login": login}
for disturbance in (survival.kill_server, survival.kill_job, survival.kill_worker, survival.resume, survival.detach):
    CASES[disturbance.__name__] = lambda hone, disturb=disturbance: disturb(hone, relu_model(hone), check_module)


def main():
    programs, stand_in, case = sys.argv[1:]
    with stand_in_programs(programs, stand_in) as folder, Hone(folder) as hone:
        CASES[case](hone)
    print("passed")


if __name__ == "__main__":
    main()
