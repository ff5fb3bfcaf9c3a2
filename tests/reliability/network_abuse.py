"""Network abuse against a real hone-server: each row of ABUSES goes on in processes of its own while other clients make
new calls.

    network_abuse.py BIN_FOLDER [--seconds S] [--descriptors N] [--only NAME,...]

Bars, for each: the server lives, new calls of others (the hone command, and HTTP) are answered within 5 s, its memory
grows by at most 256 MiB, its descriptors come back.
"""
import argparse
import http.client
import json
import multiprocessing
import os
import resource
import socket
import subprocess
import sys
import tempfile
import time

import http2_frames as h2

MOST_SECONDS = 5.0
MOST_GROWTH = 256 << 20
DESCRIPTOR_SLACK = 16
ATTACKERS = 2          # processes; connections of the floods in each: 2


def hold(count, address, first=b"", drip=b""):
    """Connections that say `first`, then a byte of `drip` now and then; a lost one is made again."""
    sockets = {}
    while True:
        for i in range(count):
            try:
                if i not in sockets:
                    sockets[i] = socket.create_connection(address, timeout=0.05)
                    sockets[i].setblocking(False)
                    sockets[i].send(first)
                    continue
                if drip:
                    sockets[i].send(drip)
                if not sockets[i].recv(1 << 16):
                    del sockets[i]
            except BlockingIOError:
                pass
            except OSError:
                sockets.pop(i, None)
        time.sleep(0.2)


def flood(address, chunk, read):
    """Sends what `chunk(n)` gives for n = 0, 1, ... over and over, on a new connection when the last is closed."""
    while True:
        try:
            connection = h2.connect(address)
            connection.settimeout(1)
            n = 0
            while True:
                connection.sendall(chunk(n))
                n += 1
                if read:
                    connection.settimeout(0)
                    try:
                        while connection.recv(1 << 16):
                            pass
                    except OSError:
                        pass
                    connection.settimeout(1)
        except OSError:
            pass


def idle(place, count):
    hold(count, place["grpc"])


def idle_http(place, count):
    hold(count, place["http"])


def slow_http(place, count):
    hold(count, place["http"], b"GET / HTTP/1.1\r\nX: ", b"x")


def slow_handshake(place, count):
    hello = h2.client_hello()
    hold(count, place["grpc"], hello[:3], b"\x01")


def stopped_handshake(place, count):
    hold(count, place["grpc"], h2.client_hello())


def rapid_reset(place, count):
    cancel = b"\x00\x00\x00\x08"

    def streams(n):
        first = 200 * n + 1
        return b"".join(h2.frame(h2.HEADERS, h2.END_HEADERS, s, h2.CALL) + h2.frame(h2.RST_STREAM, 0, s, cancel)
                        for s in range(first, first + 200, 2))
    flood(place["grpc"], streams, read=True)


def calls_unread(place, count):
    def streams(n):
        first = 200 * n + 1
        return b"".join(h2.frame(h2.HEADERS, h2.END_HEADERS | h2.END_STREAM, s, h2.CALL)
                        for s in range(first, first + 200, 2))
    flood(place["grpc"], streams, read=False)


def ping_flood(place, count):
    pings = h2.frame(h2.PING, 0, 0, b"hostile!") * 500
    flood(place["grpc"], lambda n: pings, read=False)


def settings_flood(place, count):
    settings = h2.frame(h2.SETTINGS, 0, 0, b"\x00\x04\x00\x01\x00\x00") * 500
    flood(place["grpc"], lambda n: settings, read=False)


def giant_metadata(place, count):
    def stream(n):
        big = h2.CALL + b"".join(h2.header(b"x-%d" % i, b"a" * 15_000) for i in range(64))
        pieces = [big[i:i + 16_000] for i in range(0, len(big), 16_000)]
        s = 2 * n + 1
        return (h2.frame(h2.HEADERS, 0, s, pieces[0]) +
                b"".join(h2.frame(h2.CONTINUATION, 0, s, p) for p in pieces[1:-1]) +
                h2.frame(h2.CONTINUATION, h2.END_HEADERS, s, pieces[-1]))
    flood(place["grpc"], stream, read=True)


def endless_metadata(place, count):
    piece = h2.header(b"x", b"a" * 16_000)

    def stream(n):
        return h2.frame(h2.CONTINUATION, 0, 1, piece) if n else h2.frame(h2.HEADERS, 0, 1, h2.CALL)
    flood(place["grpc"], stream, read=False)


ABUSES = [idle, idle_http, slow_handshake, stopped_handshake, slow_http, rapid_reset, calls_unread, ping_flood,
          settings_flood, giant_metadata, endless_metadata]


class Server:
    def __init__(self, folder, binaries, descriptors):
        self.data = os.path.join(folder, "data")
        self.hone = os.path.join(binaries, "hone")
        self.log = open(os.path.join(folder, "server.log"), "wb")
        self.process = subprocess.Popen(
            [os.path.join(binaries, "hone-server"), "--data-dir", self.data], stderr=self.log,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors)))
        endpoint = os.path.join(self.data, "endpoint.json")
        deadline = time.monotonic() + 30
        while not os.path.exists(endpoint):
            assert self.process.poll() is None and time.monotonic() < deadline, "the server does not come up"
            time.sleep(0.02)
        with open(endpoint) as text:
            places = json.load(text)
        self.place = {kind: (places[kind].rpartition(":")[0], int(places[kind].rpartition(":")[2]))
                      for kind in ("grpc", "http")}
        with open(os.path.join(self.data, "admin.token")) as token:
            self.environment = {"HONE_SERVER": places["grpc"], "HONE_TOKEN": token.read().strip(),
                                "HONE_CA": os.path.join(self.data, "tls/cert.pem"), "PATH": os.environ["PATH"],
                                "HONE_HOME": folder}

    def status(self, field):
        with open(f"/proc/{self.process.pid}/status") as text:
            return next(int(line.split()[1]) << 10 for line in text if line.startswith(field))

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def call(self):
        """Seconds that a new client's call takes, of the hone command."""
        begin = time.monotonic()
        try:
            done = subprocess.run([self.hone, "job", "list", "--json"], env=self.environment, capture_output=True,
                                  text=True, timeout=6 * MOST_SECONDS)
            fault = "" if done.returncode == 0 else done.stderr.strip()
        except subprocess.TimeoutExpired:
            fault = "no answer"
        return time.monotonic() - begin, fault

    def ask(self):
        begin = time.monotonic()
        try:
            connection = http.client.HTTPConnection(*self.place["http"], timeout=6 * MOST_SECONDS)
            connection.request("GET", "/healthz")
            fault = "" if connection.getresponse().status == 200 else "not healthy"
            connection.close()
        except OSError as error:
            fault = str(error)
        return time.monotonic() - begin, fault


def run(server, abuse, options):
    """What must not be, as a list; prints one line."""
    faults = []
    before, open_before = server.status("VmRSS"), server.descriptors()
    attackers = [multiprocessing.Process(target=abuse, args=(server.place, 5 * options.descriptors // ATTACKERS),
                                         daemon=True) for _ in range(ATTACKERS)]
    for attacker in attackers:
        attacker.start()
    slowest = {"call": 0.0, "ask": 0.0}
    largest, count, deadline = before, 0, time.monotonic() + options.seconds
    while (count == 0 or time.monotonic() < deadline) and server.process.poll() is None:
        for kind in slowest:
            seconds, fault = getattr(server, kind)()
            slowest[kind] = max(slowest[kind], seconds)
            if fault:
                faults.append(f"{kind}: {fault}")
        count += 1
        if server.process.poll() is None:
            largest = max(largest, server.status("VmRSS"))
    for attacker in attackers:
        attacker.kill()
        attacker.join()
    if server.process.poll() is not None:
        return [f"the server ended with {server.process.returncode}"]
    patience = time.monotonic() + 10
    while server.descriptors() > open_before + DESCRIPTOR_SLACK and time.monotonic() < patience:
        time.sleep(0.05)
        server.call()   # ended connections are counted when the next one comes
    left = server.descriptors() - open_before
    growth = largest - before
    print(f"{abuse.__name__:18} {count:3} rounds, slowest call {slowest['call']:5.2f} s, HTTP {slowest['ask']:5.2f} s, "
          f"memory +{growth >> 20} MiB, descriptors {left:+}", flush=True)
    if max(slowest.values()) > MOST_SECONDS:
        faults.append("a new call was answered too late")
    if growth > MOST_GROWTH:
        faults.append("too much memory")
    if left > DESCRIPTOR_SLACK:
        faults.append("descriptors do not come back")
    return faults


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("binaries")
    parser.add_argument("--seconds", type=float, default=10, help="of each abuse (default 10)")
    parser.add_argument("--descriptors", type=int, default=1024, help="the server's limit (default 1024)")
    parser.add_argument("--only", help="the abuses of these names", metavar="NAME,...")
    options = parser.parse_args()
    chosen = [abuse for abuse in ABUSES if not options.only or abuse.__name__ in options.only.split(",")]
    failed = 0
    with tempfile.TemporaryDirectory(prefix="hone-abuse-") as folder:
        server = Server(folder, options.binaries, options.descriptors)
        try:
            for abuse in chosen:
                if server.process.poll() is None:
                    faults = run(server, abuse, options)
                    failed += len(faults) > 0
                    for fault in sorted(set(faults)):
                        print(f"FAILED {abuse.__name__}: {fault}", flush=True)
            log = os.path.getsize(os.path.join(folder, "server.log"))
            print(f"{failed} failed; limit of {options.descriptors} descriptors, {log >> 10} KiB of log")
        finally:
            server.process.kill()
            server.process.wait()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
