"""Writes a trained network as packed ONNX: `python -m tests.benchmarks.marks.export IN OUT.onnx.xz`.

Needs the package `onnx`, which omnivideo itself does not.
"""

from __future__ import annotations

import argparse
import io
import lzma
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from tests.benchmarks.marks.network import WIDTH, Marker, of_picture, step_of

SMALLEST = 256  # weights; what has fewer stays as it is


class Scored(nn.Module):
    """Picture in, its logit and the cells' logits out."""

    def __init__(self, marker: Marker) -> None:
        super().__init__()
        self.marker = marker

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """[B] logits of pictures [B,4,H,W] and [B,H/8,W/8] of their cells."""
        cells = self.marker(pictures)
        return of_picture(cells), cells[:, 0]


def fused(module: nn.Module) -> nn.Module:
    """Every normalisation inside the convolution before it."""
    for name, child in module.named_children():
        if isinstance(child, nn.Sequential) and len(child) > 1 and isinstance(child[1], nn.BatchNorm2d):
            conv = fuse_conv_bn_eval(child[0], child[1])
            setattr(module, name, nn.Sequential(conv, *child[2:]))
        else:
            fused(child)
    return module


def halved(values: Tensor) -> NDArray[np.float32]:
    """As bfloat16 would hold them: half of their bytes are zero and pack to nothing."""
    return values.bfloat16().float().numpy()


def in_bytes(model: onnx.ModelProto) -> onnx.ModelProto:
    """With every large weight as signed bytes of few values and a scale for each of its outputs.

    What is alike stands together, which packs better.
    """
    graph, nodes, kept = model.graph, [], []
    for tensor in graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype != np.float32:
            kept.append(tensor)
            continue
        weight = torch.from_numpy(values.copy())
        if values.size < SMALLEST:
            kept.append(numpy_helper.from_array(halved(weight), tensor.name))
            continue
        step = halved(step_of(weight))
        whole = np.round(values / step).astype(np.int8)
        kept += [
            numpy_helper.from_array(whole, f"{tensor.name}_bytes"),
            numpy_helper.from_array(step.ravel(), f"{tensor.name}_scale"),
        ]
        inputs = [f"{tensor.name}_bytes", f"{tensor.name}_scale"]
        nodes.append(helper.make_node("DequantizeLinear", inputs, [tensor.name], axis=0))
    nodes += list(graph.node)
    del graph.initializer[:], graph.node[:]
    graph.initializer.extend(sorted(kept, key=lambda tensor: (tensor.data_type, tensor.dims[1:2] == [1])))
    graph.node.extend(nodes)
    return model


def renamed(model: onnx.ModelProto) -> onnx.ModelProto:
    """With short names of what is passed between nodes, and without what only people read."""
    graph, names = model.graph, {"": ""}
    names |= {one.name: one.name for one in (*graph.input, *graph.output)}

    def short(name: str) -> str:
        return names.setdefault(name, f"{len(names):x}")

    for tensor in graph.initializer:
        tensor.name = short(tensor.name)
    for node in graph.node:
        node.input[:], node.output[:] = map(short, list(node.input)), map(short, list(node.output))
        node.ClearField("name")
        node.ClearField("doc_string")
    del graph.value_info[:]
    return model


def main() -> None:
    """Export as the command line asks."""
    asked = argparse.ArgumentParser()
    asked.add_argument("weights", type=Path)
    asked.add_argument("out", type=Path)
    asked.add_argument("--width", type=float, default=WIDTH)
    given = asked.parse_args()
    marker = Marker(given.width)
    marker.load_state_dict(torch.load(given.weights, map_location="cpu", weights_only=True))
    scored, held = Scored(fused(marker.eval())).eval(), io.BytesIO()  # type: ignore[arg-type]
    torch.onnx.export(
        scored,
        (torch.zeros(1, 4, 368, 640),),
        held,
        input_names=["picture"],
        output_names=["logit", "cells"],
        dynamic_axes={
            "picture": {0: "n", 2: "h", 3: "w"},
            "logit": {0: "n"},
            "cells": {0: "n", 1: "rows", 2: "columns"},
        },
        opset_version=17,
        dynamo=False,
    )
    model = renamed(in_bytes(onnx.load_from_string(held.getvalue())))
    given.out.write_bytes(lzma.compress(model.SerializeToString(), preset=9 | lzma.PRESET_EXTREME))
    print(f"{given.out}: {given.out.stat().st_size} bytes")


if __name__ == "__main__":
    main()
