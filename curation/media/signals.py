"""Facts measured on a clip's small pictures, for a captioner that says only what was measured."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

NAMES = ("red", "orange", "yellow", "green", "cyan", "blue", "purple", "pink")
BOUNDS = (8, 21, 34, 83, 98, 129, 149, 170)  # in OpenCV's hue, degrees / 2; red goes round
GREY_SATURATION = 40  # of 255
VIVID_SATURATION = 140
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
    pairs = [np.abs(a.astype(np.int16) - b).mean() / 255 for a, b in pairwise(pictures)]
    return float(np.mean(pairs)) if pairs else 0.0


def _names(hsv: NDArray[np.uint8]) -> list[str]:
    """Up to three names, the most common first."""
    hue, saturation, value = hsv[:, 0], hsv[:, 1], hsv[:, 2]
    black = value < BLACK_VALUE
    grey = black | (saturation < GREY_SATURATION)
    white = grey & (value > WHITE_VALUE)
    shares = {"black": float(black.mean()), "white": float(white.mean())}
    shares["grey"] = float(grey.mean()) - shares["black"] - shares["white"]
    which = np.searchsorted(BOUNDS, hue[~grey], side="right") % len(NAMES)
    counts = np.bincount(which, minlength=len(NAMES))
    values = np.bincount(which, weights=value[~grey], minlength=len(NAMES))
    vivid = np.bincount(which, weights=saturation[~grey], minlength=len(NAMES))
    for name, count, light, full in zip(NAMES, counts, values, vivid, strict=True):
        if count:
            shares[_shade(name, light / count, full / count)] = float(count / len(hsv))
    ranked = sorted(shares, key=lambda name: (-shares[name], name))
    return [name for name in ranked if shares[name] >= SHARE][:3] or ranked[:1]


def _shade(colour: str, value: float, saturation: float) -> str:
    if value < DARK_VALUE:
        return "brown" if colour == "orange" else f"dark {colour}"
    return f"light {colour}" if value > LIGHT_VALUE and saturation < VIVID_SATURATION else colour
