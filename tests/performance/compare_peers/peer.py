"""One engine in a process of its own: peer.py ENGINE SPEC.json

Imports the engine, loads the model, runs it once, writes its outputs, and then runs as often as each line of standard input
says. Answers with one JSON object per line: {"load", "first"} and then {"seconds": [...]}, all in seconds.
"""
import importlib
import json
import os
import pathlib
import subprocess
import sys
import time

import numpy as np


def hone(spec, feed, which="hone"):
    import hone_module
    session = hone_module.Module(str(next(pathlib.Path(spec["modules"][which]).glob("*.so"))), threads=spec["threads"])
    return lambda: list(session.run(feed).values())


def untuned(spec, feed):
    return hone(spec, feed, "untuned")


def onnxruntime(spec, feed):
    import onnxruntime as ort
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = spec["threads"], 1
    session = ort.InferenceSession(spec["model"], options, providers=["CPUExecutionProvider"])
    return lambda: session.run(None, feed)


def openvino(spec, feed):
    import openvino
    core = openvino.Core()
    model = core.read_model(spec["model"])
    model.reshape({name: list(value.shape) for name, value in feed.items()})
    compiled = core.compile_model(model, "CPU", {
        "PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": spec["threads"],
        "NUM_STREAMS": 1})
    request = compiled.create_infer_request()

    def run():
        request.infer(feed, share_inputs=True, share_outputs=True)
        return [request.get_output_tensor(i).data for i in range(len(compiled.outputs))]
    return run


def ncnn(spec, feed):
    import ncnn as library
    work = pathlib.Path(spec["work"])
    param = work / (pathlib.Path(spec["model"]).stem + ".ncnn.param")
    if not param.exists():
        link = work / pathlib.Path(spec["model"]).name
        if not link.exists():
            link.symlink_to(pathlib.Path(spec["model"]).resolve())
        shapes = ",".join(str(list(value.shape)).replace(" ", "") for value in feed.values())
        pnnx = pathlib.Path(sys.executable).with_name("pnnx")
        subprocess.run([pnnx, link, f"inputshape={shapes}", "fp16=0"], check=True, capture_output=True, cwd=work)
    net = library.Net()
    net.opt.num_threads = spec["threads"]
    net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = False
    net.opt.use_bf16_storage = False
    if net.load_param(str(param)) != 0 or net.load_model(str(param.with_suffix(".bin"))) != 0:
        raise RuntimeError("ncnn cannot load what pnnx converted")
    values = [np.ascontiguousarray(value[0]) for value in feed.values()]
    outputs = net.output_names()

    def run():
        extractor = net.create_extractor()
        for name, value in zip(net.input_names(), values):
            extractor.input(name, library.Mat(value))
        return [np.array(extractor.extract(name)[1])[None] for name in outputs]
    return run


ENGINES = {"hone": hone, "untuned": untuned, "onnxruntime": onnxruntime, "openvino": openvino, "ncnn": ncnn}


def main():
    spec = json.loads(pathlib.Path(sys.argv[2]).read_text())
    os.sched_setaffinity(0, spec["cores"])
    with np.load(spec["inputs"]) as stored:
        feed = {name: stored[name] for name in stored.files}
    sys.path.insert(0, spec["modules"]["hone"])
    importlib.import_module("hone_module" if sys.argv[1] in spec["modules"] else sys.argv[1])   # outside of the time to load
    begin = time.perf_counter()
    run = ENGINES[sys.argv[1]](spec, feed)
    loaded = time.perf_counter()
    outputs = [np.array(value) for value in run()]
    first = time.perf_counter()
    np.savez(pathlib.Path(spec["work"]) / f"{sys.argv[1]}.npz", *outputs)
    print(json.dumps({"load": loaded - begin, "first": first - loaded}), flush=True)
    for line in sys.stdin:
        run()   # caches, after the others
        seconds = []
        for _ in range(int(line)):
            begin = time.perf_counter()
            run()
            seconds.append(time.perf_counter() - begin)
        print(json.dumps({"seconds": seconds}), flush=True)


if __name__ == "__main__":
    main()
