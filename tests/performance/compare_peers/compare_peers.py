#!/usr/bin/env python3
"""Hone beside other engines, model by model: compare_peers.py BIN_FOLDER OUT_FOLDER [options]

Every model is tuned by `hone optimize`, then each engine runs it in a process of its own, on the same cores, one at a time,
in turn for several rounds. A time is the 20th percentile over all calls; a ratio is engine / Hone with its 95 % interval
over the rounds. Outputs are checked against ONNX Runtime's. The engine `untuned` is Hone without a trial; `sum` is what the tasks
of the module take alone, as measured or, where the tuner did not come to them, as predicted: what the model takes beyond it is
lost between them. Needs the peers: deploy/install-peers.

Writes OUT_FOLDER/MODEL-THREADS.json per model, and from all of them results.md and results.svg; losses are shown like wins.
--resume keeps what this machine and this commit have measured before.
"""
import argparse
import json
import os
import pathlib
import platform
import shutil
import subprocess
import sys
import time

import numpy as np

import chart

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[1] / "integration"), str(HERE.parents[1] / "conformance" / "models")]
from hone_service import Hone  # noqa: E402
from make_models import MODELS  # noqa: E402

# Trained networks that packages carry: the package of deploy/fetch-models, the file, the inputs' shapes where it leaves them open.
TRAINED = {
    "ppocr_det": ("rapidocr", "ch_PP-OCRv4_det_infer.onnx", {"x": [1, 3, 640, 640]}),
    "ppocr_rec": ("rapidocr", "ch_PP-OCRv4_rec_infer.onnx", {"x": [1, 3, 48, 320]}),
    "ppocr_cls": ("rapidocr", "ch_ppocr_mobile_v2.0_cls_infer.onnx", {"x": [1, 3, 48, 192]}),
    "blazeface_back": ("blazeface", "face_detection_back_256x256_barracuda.onnx", {}),
    "wakeword_embedding": ("openwakeword", "embedding_model.onnx", {"input_1": [1, 76, 32, 1]}),
}
PEERS = ("untuned", "onnxruntime", "openvino", "ncnn")
WINDOW_SECONDS = 1.0
PYTHON = os.environ.get("HONE_PEERS", os.path.expanduser("~/.cache/hone/peers")) + "/bin/python"


def cpu_name():
    for line in open("/proc/cpuinfo", encoding="utf-8"):
        if line.startswith("model name"):
            return line.split(":")[1].strip() + (" (AVX-512)" if "avx512f" in open("/proc/cpuinfo").read() else "")
    return platform.machine()


def inputs_of(model, shapes):
    """Random, of the shapes given or in the file; integers are small (token ids), masks are one."""
    import onnx
    rng, feed = np.random.default_rng(7), {}
    graph = onnx.load(model, load_external_data=False).graph
    constants = {tensor.name for tensor in graph.initializer}
    for value in graph.input:
        if value.name in constants:
            continue
        shape = shapes.get(value.name) or [dim.dim_value for dim in value.type.tensor_type.shape.dim]
        if 0 in shape:
            raise SystemExit(f"{model}: input {value.name} leaves dimensions open: {shape}; give MODEL:{value.name}=1,3,...")
        if value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT:
            feed[value.name] = rng.uniform(-1, 1, shape).astype(np.float32)
        else:
            feed[value.name] = np.ones(shape, np.int64) if "mask" in value.name else rng.integers(0, 1000, shape)
    return feed


def find_model(name, work):
    """The file that NAME, or FILE:INPUT=1x3x48x320, stands for, made or fetched into `work`, and its inputs' shapes."""
    name, *bindings = name.split(":")
    shapes = {key: [int(dim) for dim in dims.split("x")] for key, dims in (item.split("=") for item in bindings)}
    model = work / f"{name}.onnx"
    if pathlib.Path(name).exists():
        return pathlib.Path(name).resolve(), shapes
    if name in TRAINED:
        package, file, opened = TRAINED[name]
        folder = subprocess.run([HERE.parents[2] / "deploy" / "fetch-models", package], check=True, stdout=subprocess.PIPE,
                                text=True).stdout.strip()
        work.mkdir(exist_ok=True)
        shutil.copy(pathlib.Path(folder) / file, model)
        return model, opened | shapes
    subprocess.run([sys.executable, HERE.parents[1] / "conformance" / "models" / "make_models.py", work, name], check=True,
                   stdout=subprocess.DEVNULL)
    return model, shapes


class Engine:
    """A running peer.py; `fault` says why there is none."""

    def __init__(self, name, spec):
        self.name, self.windows, self.fault, self.facts = name, [], None, {}
        self.process = subprocess.Popen([PYTHON, HERE / "peer.py", name, spec], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True)
        self.facts = self.answer()

    def answer(self):
        line = self.process.stdout.readline()
        if line:
            return json.loads(line)
        self.fault = (self.process.stderr.read().strip().splitlines() or ["it ended"])[-1][:200]
        return {}

    def window(self, calls):
        self.process.stdin.write(f"{calls}\n")
        self.process.stdin.flush()
        return self.answer().get("seconds", [])

    def close(self):
        self.process.stdin.close()
        self.process.wait(timeout=60)


def ratio(engine, own):
    """engine / own with its 95 % interval, by resampling rounds."""
    rng = np.random.default_rng(1)
    p20 = lambda windows: float(np.quantile(np.concatenate(windows), 0.2))  # noqa: E731
    rounds = len(own)
    samples = []
    for _ in range(400):
        picked = rng.integers(0, rounds, rounds)
        samples.append(p20([engine[i] for i in picked]) / p20([own[i] for i in picked]))
    return [p20(engine) / p20(own), float(np.quantile(samples, 0.025)), float(np.quantile(samples, 0.975))]


def error_of(work, name):
    """Relative L2 distance of the outputs from ONNX Runtime's, and whether they agree (that is small, or each element is)."""
    def load(which):
        with np.load(work / f"{which}.npz") as stored:
            return np.concatenate([stored[key].astype(np.float64).ravel() for key in stored.files])
    mine, reference = load(name), load("onnxruntime")
    if mine.shape != reference.shape:
        return None, False
    error = float(np.linalg.norm(mine - reference) / max(np.linalg.norm(reference), 1e-30))
    return error, error <= 1e-3 or np.allclose(mine, reference, rtol=1e-3, atol=1e-4)


def is_of(file, commit):
    """Whether `file` is a result of this machine and `commit`."""
    if not file.exists():
        return False
    result = json.loads(file.read_text())
    return (result["cpu"], result["commit"]) == (cpu_name(), commit)


def measure(arguments, model, shapes, threads, modules, report):
    work = arguments.out / f"work-{model.stem}-{threads}"
    work.mkdir(parents=True, exist_ok=True)
    np.savez(work / "inputs.npz", **inputs_of(model, shapes))
    spec = work / "spec.json"
    cores = sorted(os.sched_getaffinity(0))[-threads:]
    spec.write_text(json.dumps({"model": str(model), "modules": modules, "threads": threads, "cores": cores,
                                "inputs": str(work / "inputs.npz"), "work": str(work)}))
    engines = [Engine(name, spec) for name in arguments.peers]
    alive = [engine for engine in engines if not engine.fault]
    for _ in range(arguments.rounds):
        for engine in alive:
            once = min(min(window) for window in engine.windows) if engine.windows else engine.facts["first"]
            engine.windows.append(engine.window(int(np.clip(WINDOW_SECONDS / once, 3, 2000))))
    result = {"model": model.stem, "threads": threads, "cpu": cpu_name(), "commit": arguments.commit, "cores": cores,
              "rounds": arguments.rounds, "budget": arguments.budget, "trials": report["trials"], "verdict": report["verdict"],
              "sum_of_tasks": report["sum_of_tasks_seconds"], "engines": {}}
    own = engines[0].windows
    for engine in engines:
        error, agrees = (None, True) if engine.fault else error_of(work, engine.name)
        row = {"fault": engine.fault} if engine.fault else {
            "p20": float(np.quantile(np.concatenate(engine.windows), 0.2)),
            "p50": float(np.quantile(np.concatenate(engine.windows), 0.5)), "load": engine.facts["load"],
            "first": engine.facts["first"], "error": error, "ratio": ratio(engine.windows, own)}
        if not agrees:
            row["fault"] = "wrong output"
        result["engines"][engine.name] = row
        engine.close()
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bin", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--models", default=",".join([*MODELS, *TRAINED]),
                        help="names of make_models.py, trained networks, or ONNX files; shapes as file.onnx:x=1x3x48x320")
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--peers", default=",".join(PEERS))
    parser.add_argument("--budget", default="60s", help="of `hone optimize`, per model and thread count (default 60s)")
    parser.add_argument("--target", default="host")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--resume", action="store_true", help="keep this machine's results of this commit")
    arguments = parser.parse_args()
    arguments.out = arguments.out.resolve()
    arguments.out.mkdir(parents=True, exist_ok=True)
    arguments.peers = list(dict.fromkeys(["hone", *filter(None, arguments.peers.split(",")), "onnxruntime"]))
    arguments.commit = subprocess.run(["git", "-C", HERE, "rev-parse", "--short", "HEAD"], capture_output=True,
                                      text=True).stdout.strip()
    with Hone(str(arguments.bin), quiet=True) as hone:
        for name in arguments.models.split(","):
            model, shapes = find_model(name, arguments.out / "models")
            shape_words = [word for key, dims in shapes.items() for word in ("--shape", f"{key}={','.join(map(str, dims))}")]
            for threads in map(int, arguments.threads.split(",")):
                file = arguments.out / f"{model.stem}-{threads}.json"
                if arguments.resume and is_of(file, arguments.commit):
                    continue
                modules, reports = {}, {}
                for engine, budget in {"untuned": "0trials", "hone": arguments.budget}.items():
                    if engine in arguments.peers:
                        modules[engine] = str(arguments.out / f"{engine}-{model.stem}-{threads}")
                        reports[engine] = hone.json("optimize", model, "-o", modules[engine], "--threads", threads, "--budget",
                                                    budget, "--target", arguments.target, *shape_words, timeout=7200)["report"]
                time.sleep(1)   # what the service still writes
                result = measure(arguments, model, shapes, threads, modules, reports["hone"])
                file.write_text(json.dumps(result, indent=1))
                print(chart.row(result, arguments.peers), flush=True)
    results = [json.loads(file.read_text()) for file in sorted(arguments.out.glob("*-*.json"))]
    (arguments.out / "results.md").write_text(chart.table(results))
    (arguments.out / "results.svg").write_text(chart.bars(results))
    print(chart.table(results))


if __name__ == "__main__":
    main()
