"""A small network that marks the overlaid cells of a picture: inverted residuals over three scales."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

WIDTH = 1.2  # of the network that comes with the package
HIGHEST = 8  # cells: an overlay is at least so many, and their mean is the picture's logit
FINE, COARSE = 31, 11  # steps from 0 to the largest weight: of convolutions of one channel, of all others


def step_of(weight: Tensor) -> Tensor:
    """[O,1,...] of [O,...]: what lies between the few values of each output's weights."""
    steps = FINE if weight.ndim == 4 and weight.shape[1] == 1 else COARSE
    highest = weight.abs().flatten(1).amax(dim=1).clamp(min=1e-12)
    return (highest / steps).view(-1, *[1] * (weight.ndim - 1))


def coarse(weight: Tensor) -> Tensor:
    """[O,...] of few values for each output, with the gradient of what is given (straight through)."""
    exact = weight.detach()
    step = step_of(exact)
    return weight + ((exact / step).round() * step - exact)


class Conv(nn.Conv2d):
    """A convolution that is trained with the weights that it will be stored with."""

    def forward(self, x: Tensor) -> Tensor:
        """As of its base."""
        return self._conv_forward(x, coarse(self.weight), self.bias)


class Linear(nn.Linear):
    """A linear layer that is trained with the weights that it will be stored with."""

    def forward(self, x: Tensor) -> Tensor:
        """As of its base."""
        return F.linear(x, coarse(self.weight), self.bias)


def _conv(
    inner: int, outer: int, kernel: int, stride: int = 1, groups: int = 1, act: bool = True
) -> nn.Sequential:
    layers: list[nn.Module] = [
        Conv(inner, outer, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outer),
    ]
    return nn.Sequential(*layers, nn.ReLU6()) if act else nn.Sequential(*layers)


class Block(nn.Module):
    """Inverted residual (Sandler et al., MobileNetV2, CVPR 2018), at first the identity where it adds."""

    def __init__(self, inner: int, outer: int, wide: int, kernel: int = 3, stride: int = 1) -> None:
        super().__init__()
        self.adds = inner == outer and stride == 1
        self.layers = nn.Sequential(
            _conv(inner, wide, 1), _conv(wide, wide, kernel, stride, wide), _conv(wide, outer, 1, act=False)
        )
        if self.adds:
            nn.init.zeros_(self.layers[2][1].weight)

    def forward(self, x: Tensor) -> Tensor:
        """[B,C,H,W] in and out, H and W over the stride."""
        made = self.layers(x)
        return x + made if self.adds else made


class Marker(nn.Module):
    """[B,4,H,W] colours and change to [B,1,H/8,W/8] logits; H and W are multiples of 16."""

    def __init__(self, width: float = WIDTH) -> None:
        super().__init__()
        stem, low, middle, high = (round(channels * width / 4) * 4 for channels in (16, 24, 40, 64))
        self.low = nn.Sequential(_conv(4, stem, 3, 2), _conv(stem, low, 3, 2), Block(low, low, 2 * low))
        self.middle = nn.Sequential(
            Block(low, middle, 3 * low, stride=2),
            *(Block(middle, middle, 3 * middle) for _ in range(3)),
        )
        self.high = nn.Sequential(
            Block(middle, high, 3 * middle, stride=2),
            *(Block(high, high, 3 * high, 5) for _ in range(4)),
        )
        self.scene = nn.Sequential(Linear(high, high), nn.ReLU6(), Linear(high, high))
        self.down = _conv(high, middle, 1, act=False)
        self.out = nn.Sequential(Block(middle, middle, 3 * middle), Conv(middle, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Logits of the cells."""
        middle = self.middle(self.low(x))
        high = self.high(middle)
        scene = self.scene(high.mean(dim=(2, 3)))[:, :, None, None]
        back = F.interpolate(self.down(high * torch.sigmoid(scene)), scale_factor=2.0, mode="nearest")
        return self.out(middle + back)


def of_picture(logits: Tensor) -> Tensor:
    """[B,1,h,w] logits of cells to [B] logits of pictures: the mean of the highest."""
    return logits.flatten(1).topk(HIGHEST, dim=1).values.mean(dim=1)


def inputs(mean: Tensor, change: Tensor) -> Tensor:
    """[B,3,H,W] colours, 0 to 255, and [B,1,H,W] deviations to what the network takes."""
    return torch.cat(((mean - 128) / 64, torch.log1p(change) / 2), dim=1)
