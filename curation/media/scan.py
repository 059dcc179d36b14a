"""Judging one file in one decode pass; runs inside the child process only."""

from __future__ import annotations

from collections import deque
from pathlib import Path
from time import perf_counter
from typing import Any

import cv2

from curation.cascade import Cascade, Judge, Verdict
from curation.errors import InputError, MediaError
from curation.filters import Clip, Frames, Kind
from curation.media import decode, picture, probe, thumbnail
from curation.media.records import ClipRecord, ScanRequest, ScanResult
from curation.media.sampler import SampledClip, Sampler
from curation.media.signals import measure
from curation.split import Closing, Span, Splitter

HELD_BYTES = 512 << 20  # of frames that wait for a detector; larger ones wait at half their size


def scan(path: Path, request: ScanRequest, max_pixels: int, ask: Judge | None = None) -> ScanResult:
    """All clips of a file, each filter judging through `ask`.

    Raises MediaError for what is wrong with the file, InputError for the recipe.
    """
    cv2.setNumThreads(1)
    size = probe.check_file(path)
    promised = probe.sniff(path)
    try:
        if promised == "image":
            return _scan_image(path, request, max_pixels, ask)
        decode.check_length(path, size)
        return _VideoScan(path, request, max_pixels, ask).run()
    except (MediaError, InputError):
        raise
    except MemoryError as error:
        raise MediaError("out_of_memory", "MemoryError") from error
    except Exception as error:
        slug = "undecodable" if promised else "not_media"
        raise MediaError(slug, f"{type(error).__name__}: {error}") from error


def _scan_image(path: Path, request: ScanRequest, max_pixels: int, ask: Judge | None) -> ScanResult:
    cascade = Cascade(request.filters, request.score_all, ask)
    if (0, 0) in request.skip:
        return ScanResult("image", [], {})
    began = perf_counter()
    width, height = picture.size_of(path, max_pixels)
    header = SampledClip("image", width, height, None, 1, 0.0, 0.0, {})
    verdict = cascade.before_decoding(header)
    clip = picture.PictureClip(picture.read(path, max_pixels))
    decoding = perf_counter() - began
    verdict = verdict or cascade.judge(clip)
    small = clip.frames(thumbnail.wanted(clip.width, clip.height))
    record = _record(clip, verdict, [(0.0, small[0])])
    return ScanResult("image", [record], {"decode": decoding, **cascade.seconds})


class _VideoScan:
    """The state of one pass: detector, samples and the clips found so far."""

    def __init__(self, path: Path, request: ScanRequest, max_pixels: int, ask: Judge | None) -> None:
        self.path = path
        self.request = request
        self.max_pixels = max_pixels
        self.cascade = Cascade(request.filters, request.score_all, ask)
        self.clips: list[ClipRecord] = []

    def run(self) -> ScanResult:
        """Decode once, judging each clip as soon as its scene closes."""
        began = perf_counter()
        with probe.open_video(self.path, self.max_pixels) as (container, stream):
            self.info = probe.read_video(stream, container)
            passing = decode.frames(container, stream)
            time, frame = next(passing)
            self._prepare(frame)
            header = self._clip(0.0, self.info.duration_s or 0.0, self.info.num_frames or 1, {})
            verdict = self.cascade.before_decoding(header)
            if verdict:
                self._keep(header, verdict, [(time, self._small(frame))])
            else:
                self._decode(time, frame, passing)
        spent = dict(self.cascade.seconds)
        rest = perf_counter() - began - sum(spent.values())
        return ScanResult("video", self.clips, {"decode": rest, **spent})

    def _prepare(self, frame: Any) -> None:
        self.turns = round(frame.rotation / 90) % 4
        stored = frame.width, frame.height
        self.size = stored[::-1] if self.turns % 2 else stored
        self.shape = stored
        self.small = thumbnail.wanted(*self.size)
        fps = self.info.fps or 25.0
        trimmed = self.request.split.trim_frames
        self.sampler = Sampler(self.cascade.needs() | {self.small}, fps, *stored, self.turns, trimmed)
        self.splitter = Splitter(self.request.split, fps)
        self.held: deque[tuple[float, Any]] = deque()  # frames whose scene is not known yet
        self.closings: deque[Closing] = deque()  # spans of which not all frames have been sampled yet
        self.released = 0  # frames that were
        self.begins = 0  # the frame at which the open scene's samples begin

    def _decode(self, time: float, frame: Any, passing: Any) -> None:
        self._feed(time, frame)
        for time, frame in passing:
            if (frame.width, frame.height) != self.shape:
                raise MediaError("undecodable", f"the frame size changes to {frame.width}x{frame.height}")
            self._feed(time, frame)
        self.closings += self.splitter.finish()
        while self.held:
            self._release()
        self._close(self.closings.pop())

    def _feed(self, time: float, frame: Any) -> None:
        """Show a frame to the detector; it is sampled when its scene is known."""
        self.closings += self.splitter.push(time, self.splitter.view(frame))
        self.held.append((time, self._light(frame)))
        while self.released < self.splitter.settled:
            self._release()

    def _release(self) -> None:
        """Sample the frame that has waited longest, after judging the clips that end before it."""
        time, frame = self.held.popleft()
        while self.closings and self.closings[0].end <= self.released:
            closing = self.closings.popleft()
            self._close(closing)
            if closing.at_cut:
                self.begins = max(self.released, closing.end + self.request.split.trim_frames)
        if self.released == self.begins:
            self.sampler.new_scene(time)
        self.sampler.offer(time, frame, sample=self.released >= self.begins)
        self.released += 1

    def _close(self, closing: Closing) -> None:
        end = self.splitter.end_time(closing.spans[-1])
        if closing.at_cut or closing.end == len(self.splitter.times):
            self.sampler.close(end)
        for span in closing.spans:
            self._judge(span)
        self.sampler.forget(end)

    def _light(self, frame: Any) -> Any:
        """The frame, or a smaller one where a detector that looks far ahead would fill the memory."""
        size = sum(plane.buffer_size for plane in frame.planes)
        if size * self.splitter.lag <= HELD_BYTES:
            return frame
        return frame.reformat(frame.width // 2, frame.height // 2)

    def _judge(self, span: Span) -> None:
        start, end = self.splitter.times[span.first], self.splitter.end_time(span)
        if (round(start * 1000), round(end * 1000)) in self.request.skip:
            return
        samples = self.sampler.between(start, end)
        clip = self._clip(start, end, span.last - span.first, samples)
        small = samples[self.small] or self.sampler.near(self.small, start)
        few = any(len(found) < needs.least for needs, found in samples.items())
        if span.too_short or few:
            self._keep(clip, Verdict({}, "split", "too_short"), small)
        else:
            self._keep(clip, self.cascade.judge(clip), small)

    def _clip(self, start: float, end: float, frames: int, samples: dict[Frames, Any]) -> SampledClip:
        kind: Kind = "video"
        return SampledClip(kind, *self.size, self.info.fps, frames, start, end, samples)

    def _keep(self, clip: Clip, verdict: Verdict, small: thumbnail.Samples) -> None:
        self.clips.append(_record(clip, verdict, small))

    def _small(self, frame: Any) -> Any:
        return self.sampler.picture(frame, self.small)


def _record(clip: Clip, verdict: Verdict, small: thumbnail.Samples) -> ClipRecord:
    pictures = thumbnail.pick(small, clip.start_s, clip.end_s)
    return {
        "kind": clip.kind,
        "start_s": clip.start_s,
        "end_s": clip.end_s,
        "width": clip.width,
        "height": clip.height,
        "fps": clip.fps,
        "num_frames": clip.num_frames,
        "scores": verdict.scores,
        "filter": verdict.filter,
        "reason": verdict.reason,
        "thumbnail": thumbnail.strip(pictures),
        "fingerprint": thumbnail.fingerprint(pictures),
        "signals": measure(pictures),
    }
