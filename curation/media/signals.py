"""Facts measured on a clip's small pictures, for a captioner that says only what was measured."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

COLOURS = {  # name -> hue range in OpenCV's degrees/2, for pixels with enough saturation and value
    "red": (0, 7), "orange": (8, 20), "yellow": (21, 33), "green": (34, 82), "cyan": (83, 97),
    "blue": (98, 128), "purple": (129, 148), "pink": (149, 169), "red ": (170, 179),
}  # fmt: skip
GREY_SATURATION = 40  # of 255
BLACK_VALUE, WHITE_VALUE = 40, 215
DARK_VALUE, LIGHT_VALUE = 110, 200
STEP = 4  # each fourth pixel across and down says as much
SHARE = 0.12  # a colour is named if it covers this share


def measure(pictures: list[NDArray[np.uint8]]) -> dict[str, Any]:
    """Luma, contrast, saturation and change (each 0-1), and the names of the colours that cover most."""
    pixels = np.concatenate([picture[::STEP, ::STEP].reshape(-1, 1, 3) for picture in pictures])
    luma = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    hsv = cv2.cvtColor(pixels, cv2.COLOR_RGB2HSV)[:, 0]
    return {
        "luma": round(float(luma.mean()) / 255, 4),
        "contrast": round(float(luma.std()) / 255, 4),
        "saturation": round(float(hsv[:, 1].mean()) / 255, 4),
        "change": round(_change(pictures), 4),
        "colours": _names(hsv),
    }


def _change(pictures: list[NDArray[np.uint8]]) -> float:
    """Mean absolute difference between neighbours of the five pictures."""
    pairs = [
        np.abs(a.astype(np.int16) - b).mean() / 255 for a, b in zip(pictures, pictures[1:], strict=False)
    ]
    return float(np.mean(pairs)) if pairs else 0.0


def _names(hsv: NDArray[np.uint8]) -> list[str]:
    """Up to three names, the most common first."""
    hue, saturation, value = hsv[:, 0], hsv[:, 1], hsv[:, 2]
    grey = (saturation < GREY_SATURATION) | (value < BLACK_VALUE)
    shares = {
        "black": float((value < BLACK_VALUE).mean()),
        "white": float((grey & (value > WHITE_VALUE)).mean()),
        "grey": float((grey & (value >= BLACK_VALUE) & (value <= WHITE_VALUE)).mean()),
    }
    for name, (low, high) in COLOURS.items():
        inside = ~grey & (hue >= low) & (hue <= high)
        share = float(inside.mean())
        if share > 0:
            shade = _shade(float(value[inside].mean()), name.strip())
            shares[shade] = shares.get(shade, 0.0) + share
    ranked = sorted(shares, key=lambda name: (-shares[name], name))
    return [name for name in ranked if shares[name] >= SHARE][:3] or ranked[:1]


def _shade(value: float, colour: str) -> str:
    if value < DARK_VALUE:
        return "brown" if colour == "orange" else f"dark {colour}"
    return f"light {colour}" if value > LIGHT_VALUE else colour
