#!/usr/bin/env python3
"""Modules of whole networks against ONNX Runtime: compare.py untuned|tuned BIN_FOLDER WORK_FOLDER NETWORK...

Bar: rtol 1e-3, atol 1e-4 and a relative L2 error of 1e-4, with one and two threads. Untuned modules are made for the host
and for x86-64-v3, there with tasks joined into strips wherever that is possible; tuned ones for the host, by
`hone optimize` with a short budget, once for each number of threads.
NETWORK is a name of make_models.py, or a file with its inputs' shapes: model.onnx:x=1,3,48,192. Weights are random, but
outputs are held to a standard deviation of 0.1 to 10 (files are not: they are what they are).
"""
import importlib.util
import pathlib
import subprocess
import sys

import numpy as np
import onnxruntime

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "integration"))
from hone_service import Hone  # noqa: E402

TRIALS = 96   # of a tuned module
RELATIVE, ABSOLUTE, L2 = 1e-3, 1e-4, 1e-4


def inputs_of(session, shapes):
    rng = np.random.default_rng(7)
    feed = {}
    for spec in session.get_inputs():
        shape = shapes.get(spec.name, spec.shape)
        if spec.type == "tensor(float)":
            feed[spec.name] = rng.uniform(-1, 1, shape).astype(np.float32)
        elif "mask" in spec.name:
            feed[spec.name] = (np.arange(np.prod(shape)).reshape(shape) < 0.8 * np.prod(shape)).astype(np.int64)
        else:
            feed[spec.name] = rng.integers(0, 1000, shape)
    return feed


def load(directory):
    spec = importlib.util.spec_from_file_location("hone_module", directory / "hone_module.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Module


def untuned(bin_folder):
    def make(model, out, shapes):
        for target, *joined in (("host",), ("x86-64-v3", "join")):
            folder = out / target
            arguments = [*joined, *(f"{key}={','.join(map(str, dims))}" for key, dims in shapes.items())]
            subprocess.run([bin_folder / "untuned_module", model, folder, f"target={target}", *arguments], check=True)
            for threads in (1, 2):
                yield " ".join((target, *joined)), folder / "model.so", threads
    return make


def tuned(hone):
    def make(model, out, shapes):
        for threads in (1, 2):
            folder = out / f"tuned{threads}"
            arguments = [word for key, dims in shapes.items() for word in ("--shape", f"{key}={','.join(map(str, dims))}")]
            answer = hone.json("optimize", model, "-o", folder, "--trials", TRIALS, "--threads", threads, *arguments,
                               timeout=1200)
            verdict = answer["report"]["verdict"]
            library = next(path for path in folder.glob("*.so"))
            yield f"tuned ({verdict}, {answer['report']['trials']} trials)", library, threads
    return make


def check(make, work, network):
    name, _, shape_text = network.partition(":")
    shapes = {}
    for item in filter(None, shape_text.split(":")):
        key, _, dims = item.partition("=")
        shapes[key] = [int(dim) for dim in dims.split(",")]
    path = pathlib.Path(name)
    made = not path.exists()
    if made:
        subprocess.run([sys.executable, HERE / "make_models.py", work, name], check=True, stdout=subprocess.DEVNULL)
        path = work / f"{name}.onnx"
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    feed = inputs_of(session, shapes)
    expected = session.run(None, feed)
    for value in expected:
        assert not made or 0.1 <= value.std() <= 10, f"{name}: standard deviation {value.std()}"
    faults = 0
    for what, library, threads in make(path, work / path.stem, shapes):
        results = load(library.parent)(str(library), threads=threads).run(feed)
        results = list(results.values()) if isinstance(results, dict) else list(results)
        for got, want in zip(results, expected, strict=True):
            got, want = np.asarray(got, np.float64), want.astype(np.float64)
            l2 = np.linalg.norm(got - want) / np.linalg.norm(want)
            good = got.shape == want.shape and np.allclose(got, want, RELATIVE, ABSOLUTE) and l2 <= L2
            faults += not good
            print(f"{path.stem} {what} {threads} threads: L2 {l2:.1e}, max {np.abs(got - want).max():.1e} "
                  f"{'ok' if good else 'WRONG'}", flush=True)
    return faults


def main():
    kind, bin_folder, work = sys.argv[1], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])
    work.mkdir(parents=True, exist_ok=True)
    if kind == "untuned":
        sys.exit(1 if sum(check(untuned(bin_folder), work, network) for network in sys.argv[4:]) else 0)
    with Hone(bin_folder) as hone:
        faults = sum(check(tuned(hone), work, network) for network in sys.argv[4:])
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
