"""One worker's share of recaptioning: a model, loaded once, asked about the staged frames of many clips."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any, TypedDict

import pyarrow as pa

from curation.caption import checks, prompt
from curation.caption.asking import Ask, Writer, Written, ask_all
from curation.caption.config import CaptionConfig
from curation.steps.framing import FRAMES
from curation.store.staging import Staging

CAPTION = "caption"  # the stage's name
CAPTIONED = pa.schema(
    [
        ("sample_id", pa.string()),
        ("media_sha256", pa.string()),  # of the clip's bytes that the frames were taken from
        ("caption", pa.string()),
        ("captioner", pa.string()),
        ("caption_attempts", pa.float64()),
        ("caption_copied_text", pa.float64()),
        ("caption_instruction", pa.float64()),
    ]
)
Row = dict[str, Any]


class Refused(TypedDict):
    """A clip without an acceptable caption."""

    sample_id: str
    reason: str
    detail: str


class Recaptioned(TypedDict):
    """What became of some clips."""

    clips: int
    failures: list[Refused]


class Recaptioner:
    """Asks about the clips whose ids it is given, all windows together, and stages what is acceptable."""

    def __init__(self, staging: Staging, config: CaptionConfig) -> None:
        self._staging = staging
        self._config = config
        self._writer: Writer | None = None

    def __call__(self, sample_ids: Sequence[str]) -> Recaptioned:
        """Caption some clips. Raises InputError if the model cannot be asked at all."""
        self._writer = self._writer or writer(self._config)
        windows = [row for table in self._staging.read(FRAMES, sample_ids) for row in table.to_pylist()]
        asks = list(self._asks(windows))
        written = ask_all(self._writer, asks, self._config.checks)
        failures: list[Refused] = []
        told = zip(windows, asks, written, strict=True)
        for sample_id, some in groupby(told, key=lambda one: one[1].sample_id):
            of_clip = list(some)
            refused = next((w.failure for _, _, w in of_clip if w.failure), None)
            if refused:
                failures.append({"sample_id": sample_id, **refused._asdict()})  # type: ignore[typeddict-item]
            else:
                self._stage(of_clip, self._writer.name)
        return {"clips": len(sample_ids), "failures": failures}

    def _asks(self, windows: Sequence[Row]) -> Sequence[Ask]:
        asks = []
        for sample_id, some in groupby(windows, key=lambda row: row["sample_id"]):
            of_clip = list(some)
            for number, row in enumerate(of_clip):
                values = {name: row[name] for name in ("kind", "seconds", "start_s", "end_s")}
                values |= {"frames": len(row["frames"]), "window": number + 1, "windows": len(of_clip)}
                asked = prompt.fill(self._config.prompt, values)
                asks.append(Ask(sample_id, number, asked, row["frames"], row["seen_text"]))
        return asks

    def _stage(self, of_clip: list[tuple[Row, Ask, Written]], captioner: str) -> None:
        first, ask, _ = of_clip[0]
        text = " ".join(str(written.text) for _, _, written in of_clip)
        copied = checks.copied_share(text, ask.seen_text)
        row = {
            "sample_id": ask.sample_id,
            "media_sha256": first["media_sha256"],
            "caption": text,
            "captioner": captioner,
            "caption_attempts": float(max(written.attempts for _, _, written in of_clip)),
            "caption_copied_text": copied,
            "caption_instruction": float(checks.gives_orders(ask.seen_text)),
        }
        self._staging.write(CAPTION, ask.sample_id, pa.Table.from_pylist([row], schema=CAPTIONED))


def writer(config: CaptionConfig) -> Writer:
    """The model that a configuration names, ready to be asked."""
    if config.captioner == "http":
        from curation.caption.endpoint import Endpoint

        return Endpoint(config)
    from curation.caption.in_process import InProcess

    return InProcess(config)
