"""Secrets that must be seen nowhere, and a watch over what programs show of themselves."""
import base64
import binascii
import os
import threading
import time

WINDOW = 16      # characters: finding so many of a secret's text anywhere is a leak; lines may be broken elsewhere
PRIVATE = b"\x02\x01\x01\x04\x20"   # before the 32 bytes of an EC P-256 private key (RFC 5915)


def scalars(pem):
    """The secret numbers of the private keys in a PEM text."""
    found = []
    for part in pem.split(b"-----BEGIN ")[1:]:
        if not part.startswith(b"PRIVATE KEY-----"):
            continue
        body = part.split(b"-----")[1]
        der = base64.b64decode(b"".join(body.split()))
        at = der.index(PRIVATE) + len(PRIVATE)
        found.append(der[at:at + 32])
    return found


class Canaries:
    def __init__(self):
        self._needles = {}   # bytes -> whose they are

    def __len__(self):
        return len(set(self._needles.values()))

    def _add_text(self, name, text):
        for at in range(0, len(text) - WINDOW + 1, WINDOW // 2):
            self._needles[text[at:at + WINDOW]] = name

    def _add_base64(self, name, secret):
        for alignment in range(3):   # wherever it begins
            text = base64.b64encode(b"x" * alignment + secret)
            self._add_text(name, text[4:len(text) - 4])

    def add_token(self, name, token):
        token = token.strip().encode()
        assert len(token) >= 2 * WINDOW, name
        self._add_text(name, token)
        self._add_base64(name, token)

    def add_keys(self, name, pem):
        """True if there were any."""
        for secret in scalars(pem):
            for order in (secret, secret[::-1]):
                self._needles[order] = name
                self._add_base64(name, order)
                for text in (binascii.hexlify(order), binascii.hexlify(order).upper(), binascii.hexlify(order, ":")):
                    self._add_text(name, text)
        return bool(scalars(pem))

    def found_in(self, data):
        """Whose secrets are in these bytes, broken into lines or not."""
        whole = b"".join(data.split())
        return sorted({name for needle, name in self._needles.items() if needle in data or needle in whole})


class ProcessWatch(threading.Thread):
    """Reads again and again what every process shows to all (its arguments), and what those of `names` got (their environment)."""

    def __init__(self, names):
        super().__init__(daemon=True)
        self._names = names
        self._ended = threading.Event()
        self._seen = {}
        self.texts = set()
        self.programs = set()

    def run(self):
        while not self._ended.is_set():
            for entry in os.listdir("/proc"):
                if entry.isdigit():
                    self._read(entry)
            time.sleep(0.01)

    def _read(self, pid):
        try:
            with open(f"/proc/{pid}/stat", "rb") as stat:
                text = stat.read()
            name = text[text.index(b"(") + 1:text.rindex(b")")].decode(errors="replace")
            key = (text.rpartition(b")")[2].split()[19], name)   # the start, and the program that it has become
            if self._seen.get(pid) == key:
                return
            files = ["cmdline"] + (["environ"] if name in self._names else [])
            for file in files:
                with open(f"/proc/{pid}/{file}", "rb") as content:
                    self.texts.add((f"{file} of {name}", content.read()))
            self._seen[pid] = key
            self.programs.add(name)
        except (OSError, ValueError):
            pass   # it has ended, or is another user's

    def stop(self):
        self._ended.set()
        self.join()
