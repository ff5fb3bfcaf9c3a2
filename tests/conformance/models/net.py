"""A small builder of ONNX networks with random weights: fixed seeds, random batch-norm statistics, activations of order one."""
import math
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

    def conv(self, x, cin, cout, k, stride=1, pad=None, group=1, act=None, gain=None, batch_norm=None):
        """`k` is a number or (height, width); without `pad` stride-1 images keep their size."""
        kh, kw = (k, k) if isinstance(k, int) else k
        pads = [kh // 2, kw // 2] * 2 if pad is None else [pad] * 4
        batch_norm = self.batch_norm if batch_norm is None else batch_norm
        gain = gain or math.sqrt(2.0 if act else 1.0)
        w = self.normal(cout, cin // group, kh, kw, scale=gain / math.sqrt(cin // group * kh * kw))
        args = [x, w]
        if not batch_norm:
            args.append(self.normal(cout, scale=0.1))
        y = self.op("Conv", *args, kernel_shape=[kh, kw], strides=[stride] * 2, pads=pads, group=group)
        if batch_norm:
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
        if kind == "silu":
            return self.op("Mul", x, self.op("Sigmoid", x))
        return self.op({"relu": "Relu", "hard_swish": "HardSwish"}[kind], x)

    def squeeze_excite(self, x, channels, squeeze, act, gate, **gate_attributes):
        y = self.conv(self.op("GlobalAveragePool", x), channels, squeeze, 1, act=act, batch_norm=False)
        y = self.conv(y, squeeze, channels, 1, batch_norm=False)
        return self.op("Mul", x, self.op(gate, y, **gate_attributes))

    def split(self, x, sizes, axis=1):
        outputs = [f"split_{self.count}_{i}" for i in range(len(sizes))]
        self.count += 1
        self.nodes.append(helper.make_node("Split", [x, self.constant(np.array(sizes, np.int64))], outputs, name=outputs[0],
                                           axis=axis))
        return outputs

    def max_pool(self, x, k, stride, pad=0, ceil=0):
        return self.op("MaxPool", x, kernel_shape=[k, k], strides=[stride] * 2, pads=[pad] * 4, ceil_mode=ceil)

    def average_pool(self, x, k, stride, pad=0):
        return self.op("AveragePool", x, kernel_shape=[k, k], strides=[stride] * 2, pads=[pad] * 4, count_include_pad=1)

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
