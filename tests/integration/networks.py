"""Networks made on the spot, and the comparison of a module with ONNX Runtime."""
import glob
import os
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

RTOL, ATOL = 1e-3, 1e-4


def conv_relu_gap_gemm(path, seed=0):
    """Conv 3x3 - ReLU - GlobalAveragePool - Flatten - Gemm, static [1, 3, 32, 32] -> [1, 10], random weights."""
    random = np.random.default_rng(seed)
    weights = {"conv_w": random.normal(0, 0.2, (16, 3, 3, 3)), "conv_b": random.normal(0, 0.1, 16),
               "fc_w": random.normal(0, 1, (10, 16)), "fc_b": random.normal(0, 0.1, 10)}
    nodes = [helper.make_node("Conv", ["x", "conv_w", "conv_b"], ["c"], name="conv", pads=[1, 1, 1, 1]),
             helper.make_node("Relu", ["c"], ["r"], name="relu"),
             helper.make_node("GlobalAveragePool", ["r"], ["p"], name="pool"),
             helper.make_node("Flatten", ["p"], ["f"], name="flatten"),
             helper.make_node("Gemm", ["f", "fc_w", "fc_b"], ["y"], name="fc", transB=1)]
    graph = helper.make_graph(nodes, "small", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 32, 32])],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 10])],
                              [numpy_helper.from_array(w.astype(np.float32), n) for n, w in weights.items()])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, path)


def assert_module_agrees(folder, model, inputs, threads):
    """Runs the module in `folder` by its own Python loader against ONNX Runtime on the same inputs."""
    import importlib.util
    import onnxruntime
    spec = importlib.util.spec_from_file_location("hone_module", os.path.join(folder, "hone_module.py"))
    loader = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loader)
    (library,) = glob.glob(os.path.join(folder, "*.so"))
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    wanted = session.run(None, inputs)
    with loader.Module(library, threads=threads) as module:
        given = list(module.run(inputs).values())
    assert len(given) == len(wanted)
    for a, b in zip(given, wanted):
        np.testing.assert_allclose(a, b, rtol=RTOL, atol=ATOL)
        error = np.linalg.norm(a.astype(np.float64) - b) / max(np.linalg.norm(b), 1e-30)
        assert error <= 1e-4, f"relative L2 error {error}"
    print(f"{os.path.basename(model)}: agrees with ONNX Runtime, {threads} threads", file=sys.stderr)
