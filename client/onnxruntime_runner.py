"""ONNX Runtime in a process of its own, driven line by line: `hone bench` writes requests, this answers in JSON.

argv: MODEL FOLDER THREADS. FOLDER/inputs.json lists {"name", "dtype", "shape", "file"}; outputs are written beside it.
Requests: "run SECONDS" -> one untimed call, then calls until SECONDS are over: {"seconds": per call, "calls": n};
"quit". The first line out is {"version", "outputs": [{"name", "dtype", "shape", "file"}]} or {"error": text}.
"""
import json
import sys
import time


def load_inputs(folder):
    import numpy
    feeds = {}
    with open(f"{folder}/inputs.json") as listing:
        for tensor in json.load(listing):
            values = numpy.fromfile(f"{folder}/{tensor['file']}", dtype=tensor["dtype"])
            feeds[tensor["name"]] = values.reshape(tensor["shape"])
    return feeds


def open_session(model, threads):
    import onnxruntime
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    return onnxruntime.__version__, onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def save_outputs(session, values, folder):
    listing = []
    for index, (output, value) in enumerate(zip(session.get_outputs(), values)):
        name = f"reference_{index}.bin"
        value.tofile(f"{folder}/{name}")
        listing.append({"name": output.name, "dtype": str(value.dtype), "shape": list(value.shape), "file": name})
    return listing


def timed_window(session, feeds, seconds):
    session.run(None, feeds)
    calls, start = 0, time.perf_counter()
    while True:
        session.run(None, feeds)
        calls += 1
        elapsed = time.perf_counter() - start
        if elapsed >= seconds:
            return {"seconds": elapsed / calls, "calls": calls}


def say(message):
    print(json.dumps(message), flush=True)


def main():
    model, folder, threads = sys.argv[1], sys.argv[2], int(sys.argv[3])
    try:
        version, session = open_session(model, threads)
        feeds = load_inputs(folder)
        outputs = save_outputs(session, session.run(None, feeds), folder)
    except Exception as error:  # whatever it is, the other side shows it and goes on without a reference
        say({"error": f"{type(error).__name__}: {error}"})
        return
    say({"version": version, "outputs": outputs})
    for line in sys.stdin:
        words = line.split()
        if words[:1] != ["run"]:
            return
        say(timed_window(session, feeds, float(words[1])))


main()
