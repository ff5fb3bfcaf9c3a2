#!/usr/bin/env python3
"""Makes the classic networks as ONNX files with random weights: make_models.py OUT_DIR [name ...]

Seeds are fixed and batch-norm statistics are random too. Weights are scaled so that activations keep a spread near one;
outputs come before any softmax. Layer names, shapes and attributes follow torchvision and Hugging Face.
"""
import math
import pathlib
import sys

import numpy as np
import onnx
from onnx import TensorProto

from convolutional import (blazeface, densenet121, efficientnet_b0, inception_v3, mobilenet_v2, mobilenet_v3_large, resnet,
                           shufflenet_v2, squeezenet, vgg16)
from net import Net


def bert(name, layers, hidden, heads, sequence, vocabulary=1000):
    """A Hugging Face encoder as torch exports it (opset 17): ids and mask in, last hidden state out. The vocabulary is
    small: only the embedding's size depends on it."""
    net = Net(name)
    ids = net.input("input_ids", [1, sequence], TensorProto.INT64)
    mask = net.input("attention_mask", [1, sequence], TensorProto.INT64)
    depth, inner = hidden // heads, 4 * hidden

    def dense(x, cin, cout, gain=1.0):
        w = net.normal(cin, cout, scale=gain / math.sqrt(cin))
        return net.op("Add", net.normal(cout, scale=0.05), net.op("MatMul", x, w))

    def layer_norm(x):
        scale = net.constant(net.rng.uniform(0.8, 1.2, hidden).astype(np.float32))
        return net.op("LayerNormalization", x, scale, net.normal(hidden, scale=0.1), axis=-1, epsilon=1e-12)

    def split_heads(x, perm):
        shape = net.constant(np.array([1, sequence, heads, depth], np.int64))
        return net.op("Transpose", net.op("Reshape", x, shape), perm=perm)

    axes = net.constant(np.array([1, 2], np.int64))
    bias = net.op("Cast", net.op("Unsqueeze", mask, axes), to=TensorProto.FLOAT)
    bias = net.op("Mul", net.op("Sub", net.constant(np.float32(1)), bias), net.constant(np.float32(-1e4)))
    x = net.op("Gather", net.normal(vocabulary, hidden, scale=0.7), ids, axis=0)
    x = layer_norm(net.op("Add", x, net.normal(1, sequence, hidden, scale=0.7)))
    for _ in range(layers):
        q = split_heads(dense(x, hidden, hidden), [0, 2, 1, 3])
        k = split_heads(dense(x, hidden, hidden), [0, 2, 3, 1])
        v = split_heads(dense(x, hidden, hidden), [0, 2, 1, 3])
        scores = net.op("Div", net.op("MatMul", q, k), net.constant(np.float32(math.sqrt(depth))))
        weights = net.op("Softmax", net.op("Add", scores, bias), axis=-1)
        y = net.op("Transpose", net.op("MatMul", weights, v), perm=[0, 2, 1, 3])
        y = net.op("Reshape", y, net.constant(np.array([1, sequence, hidden], np.int64)))
        x = layer_norm(net.op("Add", dense(y, hidden, hidden), x))
        y = dense(x, hidden, inner)
        erf = net.op("Erf", net.op("Div", y, net.constant(np.float32(math.sqrt(2)))))
        y = net.op("Mul", net.op("Mul", y, net.op("Add", erf, net.constant(np.float32(1)))), net.constant(np.float32(0.5)))
        x = layer_norm(net.op("Add", dense(y, inner, hidden), x))
    return net.model(x, [1, sequence, hidden])


MODELS = {
    "resnet18": lambda: resnet("resnet18", (2, 2, 2, 2), False),
    "resnet50": lambda: resnet("resnet50", (3, 4, 6, 3), True),
    "vgg16": vgg16,
    "mobilenet_v2": mobilenet_v2,
    "squeezenet1_1": squeezenet,
    "blazeface": blazeface,
    "mobilenet_v3_large": mobilenet_v3_large,
    "efficientnet_b0": efficientnet_b0,
    "shufflenet_v2_x1_0": shufflenet_v2,
    "densenet121": densenet121,
    "inception_v3": inception_v3,
    "bert_base": lambda: bert("bert_base", 12, 768, 12, 128),
    "minilm": lambda: bert("minilm", 6, 384, 12, 128),
}


def main():
    out = pathlib.Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    for name in sys.argv[2:] or MODELS:
        path = out / f"{name}.onnx"
        if not path.exists():
            partial = path.with_suffix(".partial")
            onnx.save(MODELS[name](), partial)
            partial.rename(path)
        print(path)


if __name__ == "__main__":
    main()
