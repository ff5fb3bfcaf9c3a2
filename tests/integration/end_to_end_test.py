"""From the command line through server, job and worker to a module that agrees with ONNX Runtime.

    end_to_end_test.py BIN_FOLDER CASE      CASE: small | classifier | recogniser | explain | kill_server | kill_job | kill_worker | resume | detach | bad_input
"""
import math
import os
import subprocess
import sys

import numpy as np

from hone_service import Hone
from networks import assert_module_agrees, conv_relu_gap_gemm
import survival

REPOSITORY = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

sys.path.insert(0, f"{REPOSITORY}/deploy")
from read_text import render, to_input  # noqa: E402


def ocr_model(name):
    folder = subprocess.run([f"{REPOSITORY}/deploy/fetch-models"], check=True, capture_output=True, text=True).stdout
    return os.path.join(folder.strip(), name)


def optimize(hone, model, *options, name="out"):
    out = os.path.join(hone.folder, name)
    answer = hone.json("optimize", model, "-o", out, *options)
    report = answer["report"]
    assert report["verdict"] in ("faster", "no gain"), report
    for kind in ("default", "tuned"):
        assert report[kind]["median_seconds"] > 0, report
    return out, answer


def small(hone):
    """Landing 1: a small static network, eight random trials."""
    model = small_model(hone)
    out, answer = optimize(hone, model, "--trials", 8, "--strategy", "random", "--threads", 1)
    assert answer["onnxruntime"]["agrees"], answer["onnxruntime"]
    for threads in (1, 2):
        for seed in range(3):
            x = np.random.default_rng(seed).normal(0, 1, (1, 3, 32, 32)).astype(np.float32)
            assert_module_agrees(out, model, {"x": x}, threads)
    records = hone.trials(answer["job"]["name"])
    assert len(records) == 8, len(records)
    assert {"ok"} <= set(hone_status(r) for r in records), records
    assert hone.json("bench", out, "--rounds", 3)["agrees"]
    hone.run("module", "download", answer["job"]["name"], "-o", os.path.join(hone.folder, "again"))
    assert "small" in hone.run("job", "list").stdout
    assert hone.json("up")["started"] is False


def hone_status(record):
    return record["measurement"]["outcome"].removeprefix("OUTCOME_").lower()


def check_real_model(hone, model, width, trials):
    """The module of default schedules and the tuned one, on a picture of text, with one and two threads. The tuned folder."""
    x = to_input(render("Hone reads 2026"), width)
    for budget in (0, trials):
        for threads in (1, 2):
            out, answer = optimize(hone, model, "--shape", f"x=1,3,48,{width}", "--trials", budget, "--threads", threads,
                                   name=f"out-{budget}-{threads}")
            assert answer["onnxruntime"]["agrees"], answer["onnxruntime"]
            assert_module_agrees(out, model, {"x": x}, threads)
    return out


def classifier(hone):
    """Landing 2: PP-OCRv4's angle classifier."""
    model = ocr_model("ch_ppocr_mobile_v2.0_cls_infer.onnx")
    open_shape = hone.run("optimize", model, check=False)
    assert open_shape.returncode == 3 and "--shape" in open_shape.stderr, open_shape.stderr
    check_real_model(hone, model, 192, 24)


def recogniser(hone):
    """The quickstart's model, read by its decoder."""
    model = ocr_model("ch_PP-OCRv4_rec_infer.onnx")
    out = check_real_model(hone, model, 320, 16)
    text = subprocess.run([sys.executable, f"{REPOSITORY}/deploy/read_text.py", out, model, "Hone reads 2026"], check=True,
                          capture_output=True, text=True).stdout
    assert "read      Hone reads 2026" in text, text


def small_model(hone):
    model = os.path.join(hone.folder, "small.onnx")
    conv_relu_gap_gemm(model)
    return model


def check_small_module(hone, folder):
    x = np.random.default_rng(0).normal(0, 1, (1, 3, 32, 32)).astype(np.float32)
    assert_module_agrees(folder, os.path.join(hone.folder, "small.onnx"), {"x": x}, 1)


def explain(hone):
    """What the cost model predicted for a trial is predicted again, and taken apart."""
    optimize(hone, small_model(hone), "--trials", 24, "--threads", 1, "--no-onnxruntime")
    job = hone.wait_for_any_job()
    records = hone.trials(job)
    for record in (records[0], records[-1]):
        told = hone.json("log", "explain", record["name"])
        assert abs(told["predicted_seconds"] / record["predicted_seconds"] - 1) < 1e-6, (told["predicted_seconds"], record)
        parts = math.log(told["prior_seconds"]) + told["bias"] + sum(f["effect"] for f in told["features"])
        assert abs(parts - math.log(told["predicted_seconds"])) < 1e-4, parts
        assert told["record"]["trial_id"] == record["trial_id"]
    assert told["learnt_from"] > 0 and told["features"][0]["effect"] != 0, told
    assert "roofline" in hone.run("log", "explain", "--job", job).stdout
    image = os.path.join(hone.folder, "explanation.svg")
    hone.run("log", "explain", records[-1]["name"], "-o", image)
    assert open(image).read().startswith("<svg")
    module = next(r for r in hone.json("log", "query", "--limit", 100)["records"] if not r["task_key"])
    assert hone.run("log", "explain", module["name"], check=False).returncode == 3
    assert hone.run("log", "explain", "99999", check=False).returncode == 6


def bad_input(hone):
    """Each gives a clear error and the right exit code, and the server serves on."""
    import onnx
    good = os.path.join(hone.folder, "good.onnx")
    conv_relu_gap_gemm(good)
    whole = open(good, "rb").read()

    def write(name, data):
        path = os.path.join(hone.folder, name)
        with open(path, "wb") as file:
            file.write(data)
        return path

    def changed(name, change):
        model = onnx.load(good)
        change(model)
        return write(name, model.SerializeToString())

    def cycle(model):
        model.graph.node[0].input[0] = "r"

    def unknown_dtype(model):
        model.graph.input[0].type.tensor_type.elem_type = 99

    def wrong_shape(model):
        model.graph.initializer[0].dims[1] = 5

    def unknown_operator(model):
        model.graph.node[1].op_type = "NoSuchOperator"

    def path_name(model):
        tensor = model.graph.initializer[0]
        tensor.ClearField("raw_data")
        tensor.data_location = onnx.TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value="../../etc/passwd")

    cases = [("truncated", write("truncated.onnx", whole[:-7])),
             ("flipped", write("flipped.onnx", whole[:20] + bytes(b ^ 0xFF for b in whole[20:60]) + whole[60:])),
             ("text", write("text.onnx", b"this is not a model")),
             ("huge header", write("huge.onnx", b"\x3a\x10\x2a\x0e\x4a\x80\xc8\xaf\xa0\x25" + b"12345678")),
             ("cycle", changed("cycle.onnx", cycle)), ("unknown dtype", changed("dtype.onnx", unknown_dtype)),
             ("wrong shape", changed("shape.onnx", wrong_shape)), ("path-like name", changed("path.onnx", path_name)),
             ("unknown operator", changed("operator.onnx", unknown_operator))]
    for what, path in cases:
        answer = hone.run("optimize", path, "--trials", 1, check=False)
        assert answer.returncode == 3, (what, answer.returncode, answer.stderr)
        assert "error: " in answer.stderr, what
    assert "NoSuchOperator" in hone.run("inspect", cases[-1][1], check=False).stderr
    answer = hone.run("optimize", good, "--shape", "x=1,4,32,32", check=False)
    assert answer.returncode == 3, answer.stderr
    assert hone.json("inspect", good)["nodes"] == 5
    assert hone.json("job", "list")["jobs"] == []   # none of them was queued
    with open(hone.state["ca"]) as ca:
        certificate = ca.read()
    remote = {"HONE_SERVER": hone.state["server"], "HONE_CA": hone.state["ca"]}
    for environment, code in ((remote, 5), ({**remote, "HONE_TOKEN": "guess"}, 5)):
        result = subprocess.run([hone.program, "job", "list"], env={**hone.environment, **environment}, capture_output=True, text=True)
        assert result.returncode == code and "remedy" in result.stderr, result.stderr
    other = write("other.pem", make_certificate())
    assert certificate.encode() != open(other, "rb").read()
    result = subprocess.run([hone.program, "job", "list"], capture_output=True, text=True,
                            env={**hone.environment, **remote, "HONE_CA": other, "HONE_TOKEN": "guess"})
    assert result.returncode == 4 and "pinned" in result.stderr, result.stderr


def make_certificate():
    return subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                           "-keyout", "/dev/null", "-subj", "/CN=other", "-days", "1"], check=True, capture_output=True).stdout


CASES = {f.__name__: f for f in (small, classifier, recogniser, explain, bad_input)}
for disturbance in (survival.kill_server, survival.kill_job, survival.kill_worker, survival.resume, survival.detach):
    CASES[disturbance.__name__] = lambda hone, disturb=disturbance: disturb(hone, small_model(hone), check_small_module)


def main():
    with Hone(sys.argv[1]) as hone:
        CASES[sys.argv[2]](hone)
    print("passed")


if __name__ == "__main__":
    main()
