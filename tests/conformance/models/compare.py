#!/usr/bin/env python3
"""Untuned modules of whole networks against ONNX Runtime: compare.py UNTUNED_MODULE WORK_DIR NETWORK...

Bar: rtol 1e-3, atol 1e-4 and a relative L2 error of 1e-4, with one and two threads, for the host and for x86-64-v3.
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


def check(program, work, network):
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
    for target in ("host", "x86-64-v3"):
        out = work / f"{path.stem}-{target}"
        arguments = [f"{key}={','.join(map(str, dims))}" for key, dims in shapes.items()]
        subprocess.run([program, path, out, f"target={target}", *arguments], check=True)
        Module = load(out)
        for threads in (1, 2):
            results = Module(str(out / "model.so"), threads=threads).run(feed)
            results = list(results.values()) if isinstance(results, dict) else list(results)
            for got, want in zip(results, expected, strict=True):
                got, want = np.asarray(got, np.float64), want.astype(np.float64)
                l2 = np.linalg.norm(got - want) / np.linalg.norm(want)
                good = got.shape == want.shape and np.allclose(got, want, RELATIVE, ABSOLUTE) and l2 <= L2
                faults += not good
                print(f"{path.stem} {target} {threads} threads: L2 {l2:.1e}, max {np.abs(got - want).max():.1e} "
                      f"{'ok' if good else 'WRONG'}")
    return faults


def main():
    work = pathlib.Path(sys.argv[2])
    work.mkdir(parents=True, exist_ok=True)
    sys.exit(1 if sum(check(sys.argv[1], work, network) for network in sys.argv[3:]) else 0)


if __name__ == "__main__":
    main()
