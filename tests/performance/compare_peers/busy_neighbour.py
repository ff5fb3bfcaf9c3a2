#!/usr/bin/env python3
"""Hone and ONNX Runtime beside a busy neighbour: busy_neighbour.py BIN_FOLDER OUT_FOLDER [options]

Each engine runs with one thread and with two, in processes that may use two cores, in turn, in three conditions: alone, and
with a process that does nothing but count, pinned to the first or to the second of the cores. A time is the mean over the
calls of a window, a slowdown is busy / quiet of one round; printed are medians over the rounds. A window in which other
processes had more than 3 % of the cores is repeated, up to ten times; how many stayed so is printed.

Bars for two threads: at most 1.9 times as slow as alone, at most 1.1 times one thread's time alone, and slowed down less than
ONNX Runtime. Exits 1 if one is missed. Needs the peers: deploy/install-peers.
"""
import argparse
import contextlib
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

import numpy as np

from compare_peers import Engine, Hone, find_model, inputs_of

CONDITIONS = ("quiet", "first core busy", "second core busy")
MOST_FOREIGN = 0.03   # of the cores' time
TRIES = 10
TICK = 1 / os.sysconf("SC_CLK_TCK")
COUNT = "while True: pass"


def cpu_seconds(process):
    """Of all processes but the idle one, or of one."""
    if process is None:
        fields = open("/proc/stat", encoding="utf-8").readline().split()[1:9]
        return TICK * sum(int(fields[i]) for i in (0, 1, 2, 5, 6, 7))   # not idle, not waiting for a disk
    fields = open(f"/proc/{process.pid}/stat", encoding="utf-8").read().rpartition(")")[2].split()
    return TICK * (int(fields[11]) + int(fields[12]))


@contextlib.contextmanager
def neighbour(core):
    if core is None:
        yield None
        return
    process = subprocess.Popen([sys.executable, "-c", f"import os; os.sched_setaffinity(0, [{core}])\n{COUNT}"])
    time.sleep(0.2)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def window(engine, seconds, busy, cores):
    """The mean time of a call, and what share of the cores others had."""
    best = (None, 1)
    for _ in range(TRIES):
        processes = [None, engine.process, *([busy] if busy else [])]
        begin, before = time.perf_counter(), [cpu_seconds(process) for process in processes]
        calls = engine.window(max(3, int(seconds / engine.once)))
        spent = [after - b for after, b in zip((cpu_seconds(process) for process in processes), before)]
        foreign = (spent[0] - sum(spent[1:])) / (len(cores) * (time.perf_counter() - begin))
        if foreign < best[1]:
            best = (statistics.fmean(calls), foreign)
        if foreign <= MOST_FOREIGN:
            break
    return best


def measure(arguments, model, modules, shapes, cores):
    """{(engine, threads): {condition: [seconds of each round]}}, and how many windows were disturbed."""
    work = arguments.out / f"work-{model.stem}"
    work.mkdir(parents=True, exist_ok=True)
    np.savez(work / "inputs.npz", **inputs_of(model, shapes))
    engines = {}
    for name in ("hone", "onnxruntime"):
        for threads in (1, 2):
            spec = work / f"{name}-{threads}.json"
            spec.write_text(json.dumps({"model": str(model), "modules": {"hone": str(modules[threads])}, "threads": threads,
                                        "cores": cores, "inputs": str(work / "inputs.npz"), "work": str(work)}))
            engine = Engine(name, spec)
            if engine.fault:
                raise SystemExit(f"{name}: {engine.fault}")
            engine.once = min(engine.window(3))
            engines[name, threads] = engine
    times = {key: {condition: [] for condition in CONDITIONS} for key in engines}
    disturbed = 0
    for _ in range(arguments.rounds):
        for condition, core in zip(CONDITIONS, (None, *cores)):
            with neighbour(core) as busy:
                for key, engine in engines.items():
                    seconds, foreign = window(engine, arguments.seconds, busy, cores)
                    times[key][condition].append(seconds)
                    disturbed += foreign > MOST_FOREIGN
    for engine in engines.values():
        engine.close()
    return times, disturbed


def slowdown(rounds):
    """Of both busy conditions, the worse."""
    return max(statistics.median(busy / quiet for busy, quiet in zip(rounds[condition], rounds["quiet"]))
               for condition in CONDITIONS[1:])


def report(name, times, disturbed, rounds):
    """Prints the table of a model; returns the bars that it misses."""
    print(f"\n{name}, {rounds} rounds, {disturbed} of {len(times) * len(CONDITIONS) * rounds} windows disturbed; milliseconds")
    print("| engine | threads | " + " | ".join(CONDITIONS) + " | slowdown |\n" + "|---" * 6 + "|")
    median = {key: {condition: statistics.median(times[key][condition]) for condition in CONDITIONS} for key in times}
    for (engine, threads), row in median.items():
        cells = [f"{row[condition] * 1e3:.2f}" for condition in CONDITIONS]
        print("| " + " | ".join([engine, str(threads), *cells, f"{slowdown(times[engine, threads]):.2f}"]) + " |", flush=True)
    own, other = slowdown(times["hone", 2]), slowdown(times["onnxruntime", 2])
    worst = max(median["hone", 2][condition] for condition in CONDITIONS[1:]) / median["hone", 1]["quiet"]
    bars = {f"slowdown {own:.2f} <= 1.9": own <= 1.9, f"{worst:.2f} of one thread's time <= 1.1": worst <= 1.1,
            f"slowdown {own:.2f} < ONNX Runtime's {other:.2f}": own < other}
    for bar, holds in bars.items():
        print(f"{'ok    ' if holds else 'MISSED'} {bar}")
    return [bar for bar, holds in bars.items() if not holds]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bin", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--models", default="resnet50,mobilenet_v2", help="as compare_peers has them")
    parser.add_argument("--budget", default="0trials", help="of `hone optimize`, per model and thread count (default 0trials)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="of a window (default 1)")
    arguments = parser.parse_args()
    arguments.out = arguments.out.resolve()
    cores = sorted(os.sched_getaffinity(0))[-2:]
    models = [find_model(name, arguments.out / "models") for name in arguments.models.split(",")]
    folders = {model: {threads: arguments.out / f"module-{model.stem}-{threads}" for threads in (1, 2)} for model, _ in models}
    with Hone(str(arguments.bin), quiet=True) as hone:
        for model, shapes in models:
            words = [word for key, dims in shapes.items() for word in ("--shape", f"{key}={','.join(map(str, dims))}")]
            for threads, folder in folders[model].items():
                if not (folder / "describe.json").exists():
                    hone.json("optimize", model, "-o", folder, "--threads", threads, "--budget", arguments.budget, *words,
                              timeout=7200)
    missed = []
    for model, shapes in models:
        times, disturbed = measure(arguments, model, folders[model], shapes, cores)
        missed += report(model.stem, times, disturbed, arguments.rounds)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
