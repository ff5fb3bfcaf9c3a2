#!/usr/bin/env python3
"""Makes the classic networks as ONNX files with random weights: make_models.py OUT_DIR [name ...]

Seeds are fixed and batch-norm statistics are random too. Weights are scaled so that activations keep a spread near one;
outputs come before any softmax. Layer names, shapes and attributes follow torchvision and Hugging Face.
"""
import math
import pathlib
import sys
import zlib

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 17


class Net:
    """A graph under construction; every method returns the name of its result."""

    def __init__(self, name, batch_norm=True):
        self.name = name
        self.rng = np.random.default_rng(zlib.crc32(name.encode()))
        self.nodes, self.initializers, self.inputs = [], [], []
        self.batch_norm = batch_norm
        self.count = 0

    def constant(self, array):
        name = f"w{len(self.initializers)}"
        self.initializers.append(numpy_helper.from_array(array, name))
        return name

    def op(self, kind, *inputs, **attributes):
        output = f"{kind.lower()}_{self.count}"
        self.count += 1
        self.nodes.append(helper.make_node(kind, list(inputs), [output], name=output, **attributes))
        return output

    def input(self, name, shape, dtype=TensorProto.FLOAT):
        self.inputs.append(helper.make_tensor_value_info(name, dtype, shape))
        return name

    def normal(self, *shape, scale=1.0):
        return self.constant((self.rng.standard_normal(shape) * scale).astype(np.float32))

    def conv(self, x, cin, cout, k, stride=1, pad=None, group=1, act=None, gain=None):
        pad = k // 2 if pad is None else pad
        gain = gain or math.sqrt(2.0 if act else 1.0)
        w = self.normal(cout, cin // group, k, k, scale=gain / math.sqrt(cin // group * k * k))
        args = [x, w]
        if not self.batch_norm:
            args.append(self.normal(cout, scale=0.1))
        y = self.op("Conv", *args, kernel_shape=[k, k], strides=[stride] * 2, pads=[pad] * 4, group=group)
        if self.batch_norm:
            y = self.bn(y, cout)
        return self.act(y, act)

    def bn(self, x, channels):
        r = self.rng
        scale = self.constant(r.uniform(0.8, 1.2, channels).astype(np.float32))
        bias = self.constant(r.uniform(-0.2, 0.2, channels).astype(np.float32))
        mean = self.constant(r.uniform(-0.2, 0.2, channels).astype(np.float32))
        var = self.constant(r.uniform(0.7, 1.4, channels).astype(np.float32))
        return self.op("BatchNormalization", x, scale, bias, mean, var, epsilon=1e-5)

    def act(self, x, kind):
        if kind is None:
            return x
        if kind == "relu6":
            zero, six = self.constant(np.float32(0)), self.constant(np.float32(6))
            return self.op("Clip", x, zero, six)
        return self.op("Relu", x)

    def max_pool(self, x, k, stride, pad=0, ceil=0):
        return self.op("MaxPool", x, kernel_shape=[k, k], strides=[stride] * 2, pads=[pad] * 4, ceil_mode=ceil)

    def linear(self, x, cin, cout, relu=False):
        w = self.normal(cout, cin, scale=math.sqrt(2.0 if relu else 1.0) / math.sqrt(cin))
        y = self.op("Gemm", x, w, self.normal(cout, scale=0.1), transB=1)
        return self.op("Relu", y) if relu else y

    def head(self, x, cin, cout):
        return self.linear(self.op("Flatten", self.op("GlobalAveragePool", x)), cin, cout)

    def model(self, output, shape):
        graph = helper.make_graph(
            self.nodes, self.name, self.inputs, [helper.make_tensor_value_info(output, TensorProto.FLOAT, shape)],
            self.initializers)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="hone make_models")
        model.ir_version = 8
        onnx.checker.check_model(model)
        return model


def image(net, size=224):
    return net.input("input", [1, 3, size, size])


def resnet(name, blocks, bottleneck):
    net = Net(name)
    x = net.max_pool(net.conv(image(net), 3, 64, 7, 2, act="relu"), 3, 2, 1)
    cin = 64
    for stage, count in enumerate(blocks):
        width = 64 << stage
        cout = width * 4 if bottleneck else width
        for block in range(count):
            stride = 2 if stage > 0 and block == 0 else 1
            identity = x
            if bottleneck:
                y = net.conv(x, cin, width, 1, act="relu")
                y = net.conv(y, width, width, 3, stride, act="relu")
                y = net.conv(y, width, cout, 1, gain=0.5)   # sums over the blocks stay of order one
            else:
                y = net.conv(x, cin, width, 3, stride, act="relu")
                y = net.conv(y, width, cout, 3, gain=0.5)
            if stride != 1 or cin != cout:
                identity = net.conv(x, cin, cout, 1, stride)
            x = net.op("Relu", net.op("Add", y, identity))
            cin = cout
    return net.model(net.head(x, cin, 1000), [1, 1000])


def vgg16():
    net = Net("vgg16", batch_norm=False)
    x, cin = image(net), 3
    for width, count in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        for _ in range(count):
            x, cin = net.conv(x, cin, width, 3, act="relu"), width
        x = net.max_pool(x, 2, 2)
    x = net.op("Flatten", x)
    x = net.linear(x, 512 * 7 * 7, 4096, relu=True)
    x = net.linear(x, 4096, 4096, relu=True)
    return net.model(net.linear(x, 4096, 1000), [1, 1000])


def mobilenet_v2():
    net = Net("mobilenet_v2")
    x, cin = net.conv(image(net), 3, 32, 3, 2, act="relu6"), 32
    for expand, cout, count, first in ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1),
                                       (6, 160, 3, 2), (6, 320, 1, 1)):
        for block in range(count):
            stride = first if block == 0 else 1
            hidden = cin * expand
            y = x if expand == 1 else net.conv(x, cin, hidden, 1, act="relu6")
            y = net.conv(y, hidden, hidden, 3, stride, group=hidden, act="relu6")
            y = net.conv(y, hidden, cout, 1)
            x = net.op("Add", x, y) if stride == 1 and cin == cout else y
            cin = cout
    x = net.conv(x, cin, 1280, 1, act="relu6")
    return net.model(net.head(x, 1280, 1000), [1, 1000])


def squeezenet():
    net = Net("squeezenet1_1", batch_norm=False)
    x = net.max_pool(net.conv(image(net), 3, 64, 3, 2, pad=0, act="relu"), 3, 2, ceil=1)
    cin = 64
    for index, (squeeze, expand) in enumerate(((16, 64), (16, 64), (32, 128), (32, 128), (48, 192), (48, 192),
                                               (64, 256), (64, 256))):
        if index in (2, 4):
            x = net.max_pool(x, 3, 2, ceil=1)
        s = net.conv(x, cin, squeeze, 1, act="relu")
        x = net.op("Concat", net.conv(s, squeeze, expand, 1, act="relu"), net.conv(s, squeeze, expand, 3, act="relu"), axis=1)
        cin = 2 * expand
    x = net.conv(x, cin, 1000, 1, act="relu")
    return net.model(net.op("Flatten", net.op("GlobalAveragePool", x)), [1, 1000])


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


def blazeface():
    """The front model as tf2onnx converts it: NHWC input, SAME padding, shortcuts whose channels are padded."""
    net = Net("blazeface", batch_norm=False)

    def same(x, cin, cout, k, stride=1, group=1, gain=1.0):
        w = net.normal(cout, cin // group, k, k, scale=gain / math.sqrt(cin // group * k * k))
        return net.op("Conv", x, w, net.normal(cout, scale=0.1), strides=[stride] * 2, group=group, auto_pad="SAME_UPPER")

    x = net.op("Transpose", net.input("input", [1, 128, 128, 3]), perm=[0, 3, 1, 2])
    x, cin = net.op("Relu", same(x, 3, 24, 5, 2)), 24
    outputs = []
    for cout, stride in ((24, 1), (28, 1), (32, 2), (36, 1), (42, 1), (48, 2), (56, 1), (64, 1), (72, 1), (80, 1), (88, 1),
                         (96, 2), (96, 1), (96, 1), (96, 1), (96, 1)):
        if stride == 2 and cin == 88:
            outputs.append((x, cin, 2, 16))
        y = same(same(x, cin, cin, 3, stride, cin), cin, cout, 1, gain=0.5)
        if stride == 2:
            x = net.max_pool(x, 2, 2)
        if cin != cout:
            pads = net.constant(np.array([0, 0, 0, 0, 0, cout - cin, 0, 0], np.int64))
            x = net.op("Pad", x, pads)
        x, cin = net.op("Relu", net.op("Add", y, x)), cout
    outputs.append((x, cin, 6, 8))
    boxes = []
    for source, channels, anchors, size in outputs:
        y = net.op("Transpose", same(source, channels, anchors * 16, 1), perm=[0, 2, 3, 1])
        boxes.append(net.op("Reshape", y, net.constant(np.array([1, size * size * anchors, 16], np.int64))))
    return net.model(net.op("Concat", *boxes, axis=1), [1, 896, 16])


MODELS = {
    "resnet18": lambda: resnet("resnet18", (2, 2, 2, 2), False),
    "resnet50": lambda: resnet("resnet50", (3, 4, 6, 3), True),
    "vgg16": vgg16,
    "mobilenet_v2": mobilenet_v2,
    "squeezenet1_1": squeezenet,
    "blazeface": blazeface,
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
