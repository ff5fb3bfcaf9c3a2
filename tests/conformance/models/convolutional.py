"""The classic convolutional networks. Layers, names and attributes follow torchvision (BlazeFace: MediaPipe)."""
import math

import numpy as np

from net import Net


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


def divisible(value, divisor=8):
    """Channel counts of the mobile networks: the nearest multiple, never more than 10 % less."""
    rounded = max(divisor, int(value + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * value else rounded


def mobilenet_v3_large():
    net = Net("mobilenet_v3_large")
    x, cin = net.conv(image(net), 3, 16, 3, 2, act="hard_swish"), 16
    for k, hidden, cout, squeeze, act, stride in (
            (3, 16, 16, 0, "relu", 1), (3, 64, 24, 0, "relu", 2), (3, 72, 24, 0, "relu", 1), (5, 72, 40, 1, "relu", 2),
            (5, 120, 40, 1, "relu", 1), (5, 120, 40, 1, "relu", 1), (3, 240, 80, 0, "hard_swish", 2),
            (3, 200, 80, 0, "hard_swish", 1), (3, 184, 80, 0, "hard_swish", 1), (3, 184, 80, 0, "hard_swish", 1),
            (3, 480, 112, 1, "hard_swish", 1), (3, 672, 112, 1, "hard_swish", 1), (5, 672, 160, 1, "hard_swish", 2),
            (5, 960, 160, 1, "hard_swish", 1), (5, 960, 160, 1, "hard_swish", 1)):
        y = x if hidden == cin else net.conv(x, cin, hidden, 1, act=act)
        y = net.conv(y, hidden, hidden, k, stride, group=hidden, act=act)
        if squeeze:
            y = net.squeeze_excite(y, hidden, divisible(hidden // 4), "relu", "HardSigmoid", alpha=1 / 6, beta=0.5)
        y = net.conv(y, hidden, cout, 1)
        x = net.op("Add", x, y) if stride == 1 and cin == cout else y
        cin = cout
    x = net.conv(x, cin, 960, 1, act="hard_swish")
    x = net.linear(net.op("Flatten", net.op("GlobalAveragePool", x)), 960, 1280)
    return net.model(net.linear(net.act(x, "hard_swish"), 1280, 1000), [1, 1000])


def efficientnet_b0():
    net = Net("efficientnet_b0")
    x, cin = net.conv(image(net), 3, 32, 3, 2, act="silu"), 32
    for expand, cout, count, first, k in ((1, 16, 1, 1, 3), (6, 24, 2, 2, 3), (6, 40, 2, 2, 5), (6, 80, 3, 2, 3),
                                          (6, 112, 3, 1, 5), (6, 192, 4, 2, 5), (6, 320, 1, 1, 3)):
        for block in range(count):
            stride, hidden = first if block == 0 else 1, cin * expand
            y = x if expand == 1 else net.conv(x, cin, hidden, 1, act="silu")
            y = net.conv(y, hidden, hidden, k, stride, group=hidden, act="silu")
            y = net.squeeze_excite(y, hidden, cin // 4, "silu", "Sigmoid")
            y = net.conv(y, hidden, cout, 1)
            x = net.op("Add", x, y) if stride == 1 and cin == cout else y
            cin = cout
    return net.model(net.head(net.conv(x, cin, 1280, 1, act="silu"), 1280, 1000), [1, 1000])


def shufflenet_v2():
    net = Net("shufflenet_v2_x1_0")
    x, cin, size = net.max_pool(net.conv(image(net), 3, 24, 3, 2, act="relu"), 3, 2, 1), 24, 56

    def branch(y, cin, cout, stride):
        y = net.conv(y, cin, cout, 1, act="relu")
        return net.conv(net.conv(y, cout, cout, 3, stride, group=cout), cout, cout, 1, act="relu")

    for cout, count in ((116, 4), (232, 8), (464, 4)):
        half, size = cout // 2, size // 2
        for block in range(count):
            if block == 0:
                left = net.conv(net.conv(x, cin, cin, 3, 2, group=cin), cin, half, 1, act="relu")
                right = branch(x, cin, half, 2)
            else:
                left, rest = net.split(x, [half, half])
                right = branch(rest, half, half, 1)
            x = net.op("Concat", left, right, axis=1)
            x = net.op("Reshape", x, net.constant(np.array([1, 2, half, size, size], np.int64)))
            x = net.op("Transpose", x, perm=[0, 2, 1, 3, 4])
            x = net.op("Reshape", x, net.constant(np.array([1, cout, size, size], np.int64)))
        cin = cout
    return net.model(net.head(net.conv(x, cin, 1024, 1, act="relu"), 1024, 1000), [1, 1000])


def densenet121():
    net = Net("densenet121")
    x, channels = net.max_pool(net.conv(image(net), 3, 64, 7, 2, act="relu"), 3, 2, 1), 64
    blocks = (6, 12, 24, 16)
    for index, count in enumerate(blocks):
        for _ in range(count):
            y = net.act(net.bn(x, channels), "relu")
            y = net.conv(y, channels, 128, 1, act="relu")
            y = net.conv(y, 128, 32, 3, batch_norm=False)
            x, channels = net.op("Concat", x, y, axis=1), channels + 32
        x = net.act(net.bn(x, channels), "relu")
        if index + 1 < len(blocks):
            x = net.average_pool(net.conv(x, channels, channels // 2, 1, batch_norm=False), 2, 2)
            channels //= 2
    return net.model(net.head(x, channels, 1000), [1, 1000])


def inception_v3():
    net = Net("inception_v3")

    def conv(x, cin, cout, k, stride=1, pad=None):
        return net.conv(x, cin, cout, k, stride, pad, act="relu")

    def chain(x, cin, *steps):
        for step in steps:
            x, cin = conv(x, cin, *step), step[0]
        return x

    def pooled(x, cin, cout):
        return conv(net.average_pool(x, 3, 1, 1), cin, cout, 1)

    x = chain(image(net, 299), 3, (32, 3, 2, 0), (32, 3, 1, 0), (64, 3))
    x = chain(net.max_pool(x, 3, 2), 64, (80, 1), (192, 3, 1, 0))
    x, c = net.max_pool(x, 3, 2), 192
    for features in (32, 64, 64):
        x = net.op("Concat", conv(x, c, 64, 1), chain(x, c, (48, 1), (64, 5)), chain(x, c, (64, 1), (96, 3), (96, 3)),
                   pooled(x, c, features), axis=1)
        c = 224 + features
    x = net.op("Concat", conv(x, c, 384, 3, 2, 0), chain(x, c, (64, 1), (96, 3), (96, 3, 2, 0)), net.max_pool(x, 3, 2), axis=1)
    c = 768
    for w in (128, 160, 160, 192):
        x = net.op("Concat", conv(x, c, 192, 1), chain(x, c, (w, 1), (w, (1, 7)), (192, (7, 1))),
                   chain(x, c, (w, 1), (w, (7, 1)), (w, (1, 7)), (w, (7, 1)), (192, (1, 7))), pooled(x, c, 192), axis=1)
    x = net.op("Concat", chain(x, c, (192, 1), (320, 3, 2, 0)),
               chain(x, c, (192, 1), (192, (1, 7)), (192, (7, 1)), (192, 3, 2, 0)), net.max_pool(x, 3, 2), axis=1)
    c = 1280
    for _ in range(2):
        a, b = conv(x, c, 384, 1), chain(x, c, (448, 1), (384, 3))
        x = net.op("Concat", conv(x, c, 320, 1), conv(a, 384, 384, (1, 3)), conv(a, 384, 384, (3, 1)),
                   conv(b, 384, 384, (1, 3)), conv(b, 384, 384, (3, 1)), pooled(x, c, 192), axis=1)
        c = 2048
    return net.model(net.head(x, c, 1000), [1, 1000])
