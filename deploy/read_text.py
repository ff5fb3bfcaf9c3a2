"""Renders a line of text, lets a compiled PP-OCRv4 recogniser read it, prints what it read. Part of deploy/quickstart.

    read_text.py OUT_DIR MODEL.onnx "some text" [--image line.png]
"""
import argparse
import glob
import os
import sys
import time

import numpy as np
import onnx
from PIL import Image, ImageDraw, ImageFont

HEIGHT, WIDTH = 48, 320   # what the module was compiled for


def render(text):
    """Black on white, 48 pixels high; the width is what the text needs."""
    font = ImageFont.load_default(size=30)
    left, top, right, bottom = font.getbbox(text)
    image = Image.new("RGB", (right - left + 16, HEIGHT), "white")
    ImageDraw.Draw(image).text((8 - left, (HEIGHT - bottom - top) / 2), text, fill="black", font=font)
    return image


def to_input(image, room=WIDTH):
    """[1, 3, 48, room] in [-1, 1]: PP-OCR's own preparation (keep the ratio, pad on the right with 0)."""
    width = min(room, round(image.width * HEIGHT / image.height))
    pixels = np.asarray(image.resize((width, HEIGHT)), np.float32)[:, :, ::-1] / 127.5 - 1
    padded = np.zeros((1, 3, HEIGHT, room), np.float32)
    padded[0, :, :, :width] = pixels.transpose(2, 0, 1)
    return padded


def decode(probabilities, model):
    """Connectionist temporal classification, greedy: the best class of each step, repeats and blanks (class 0) dropped."""
    metadata = {entry.key: entry.value for entry in onnx.load(model).metadata_props}
    alphabet = ["", *metadata["character"].split("\n"), " "]
    best = probabilities[0].argmax(axis=1)
    kept = [c for i, c in enumerate(best) if c != 0 and (i == 0 or best[i - 1] != c)]
    return "".join(alphabet[c] for c in kept).strip()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out")
    parser.add_argument("model")
    parser.add_argument("text")
    parser.add_argument("--image", help="also save the picture here")
    arguments = parser.parse_args()
    sys.path.insert(0, arguments.out)
    from hone_module import Module

    image = render(arguments.text)
    if arguments.image:
        image.save(arguments.image)
    values = to_input(image)
    (library,) = glob.glob(os.path.join(arguments.out, "*.so"))
    with Module(library) as module:
        name = module.inputs[0]["name"]
        module.run({name: values})
        start = time.perf_counter()
        (probabilities,) = module.run({name: values}).values()
        elapsed = time.perf_counter() - start
    print(f"rendered  {arguments.text}")
    print(f"read      {decode(probabilities, arguments.model)}   ({elapsed * 1e3:.1f} ms)")


if __name__ == "__main__":
    main()
