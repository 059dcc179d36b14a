"""Judging one file in one decode pass; runs inside the child process only."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from fractions import Fraction
from pathlib import Path
from time import perf_counter
from typing import Any

import cv2

from curation.cascade import NOTHING, Cascade, Judge, Verdict
from curation.errors import InputError, MediaError
from curation.filters import VECTORS, Clip, Frames, Kind
from curation.media import decode, hiding, picture, probe, shape, thumbnail
from curation.media.delivery import Delivery
from curation.media.records import ClipRecord, ScanRequest, ScanResult, span_of
from curation.media.sampler import SPARED, SampledClip, Sampler, nearest
from curation.media.signals import measure
from curation.media.vectors import EXPORT
from curation.split import Closing, Span, Splitter

HELD_BYTES = 512 << 20  # of frames that wait for a detector; larger ones wait at half their size


def scan(
    path: Path,
    request: ScanRequest,
    max_pixels: int,
    ask: Judge | None = None,
    delivery: Delivery | None = None,
) -> ScanResult:
    """All clips of a file that `delivery` has not taken by the end, each filter judging through `ask`.

    Raises MediaError for what is wrong with the file, InputError for the recipe.
    """
    cv2.setNumThreads(1)
    size = probe.check_file(path)
    promised = probe.sniff(path)
    try:
        if promised == "image":
            return _scan_image(path, request, max_pixels, ask)
        decode.check_length(path, size)
        return _VideoScan(path, request, max_pixels, ask, delivery or Delivery()).run()
    except (MediaError, InputError):
        raise
    except MemoryError as error:
        raise MediaError("out_of_memory", "MemoryError") from error
    except Exception as error:
        slug = "undecodable" if promised else "not_media"
        raise MediaError(slug, f"{type(error).__name__}: {error}") from error


def _scan_image(path: Path, request: ScanRequest, max_pixels: int, ask: Judge | None) -> ScanResult:
    cascade = Cascade(request.filters, request.score_all, ask, request.order)
    if (0, 0) in request.skip:
        return ScanResult("image", [], {})
    known = request.known.get((0, 0))
    began = perf_counter()
    width, height = picture.size_of(path, max_pixels)
    header = SampledClip("image", width, height, None, 1, 0.0, 0.0, {})
    verdict = cascade.before_decoding(header) if known is None else None
    clip = picture.PictureClip(picture.read(path, max_pixels))
    decoding = perf_counter() - began
    verdict = verdict or cascade.judge(clip, known or NOTHING)
    small = [] if known else [(0.0, clip.frames(thumbnail.wanted(clip.width, clip.height))[0])]
    record = _record(clip, verdict, small, cascade.hides_faces)
    return ScanResult("image", [record], {"decode": decoding, **cascade.seconds})


class _VideoScan:
    """The state of one pass: detector, samples and the clips found so far."""

    def __init__(
        self, path: Path, request: ScanRequest, max_pixels: int, ask: Judge | None, delivery: Delivery
    ) -> None:
        self.path = path
        self.request = request
        self.max_pixels = max_pixels
        self.cascade = Cascade(request.filters, request.score_all, ask, request.order)
        self.needs = self.cascade.needs("video", list(request.known.values()))
        self.delivery = delivery
        self.done = sorted(request.skip)

    def run(self) -> ScanResult:
        """Decode once, judging each clip as soon as its scene closes."""
        began = perf_counter()
        with probe.open_video(self.path, self.max_pixels) as (container, stream):
            self.info = probe.read_video(stream, container)
            stream.codec_context.options = {**stream.codec_context.options, **self._options()}
            passing = decode.frames(container, stream)
            time, frame = next(passing)
            self._prepare(frame, stream.sample_aspect_ratio)
            header = self._clip(0.0, self.info.duration_s or 0.0, self.info.num_frames or 1, {})
            again = self.request.known or self.request.skip  # then the header has not rejected it
            verdict = None if again else self.cascade.before_decoding(header)
            if verdict:
                self._keep(header, verdict, [(time, self._small(frame))])
            else:
                self._decode(time, frame, passing)
        spent = dict(self.cascade.seconds)
        rest = perf_counter() - began - sum(spent.values())
        return ScanResult("video", self.delivery.rest, {"decode": rest, **spent})

    def _options(self) -> dict[str, str]:
        """Of the decoder: what it is to export, and where it may leave out its deblocking."""
        asked = EXPORT if VECTORS in self.needs else {}
        if self.request.split.skip_loop_filter:
            return {**asked, "skip_loop_filter": "all"}
        exact = self.request.split.exact or any(need.color == "bgr_gray" for need in self.needs)
        return asked if exact else {**asked, **SPARED}

    def _prepare(self, frame: Any, pixel: Fraction | None) -> None:
        self.turns = round(frame.rotation / 90) % 4
        self.shape = frame.width, frame.height
        stored = shape.square(*self.shape, pixel)
        self.size = stored[::-1] if self.turns % 2 else stored
        self.small = thumbnail.wanted(*self.size)
        fps = self.info.fps or 25.0
        needs = self.needs | (set() if self.request.known else {self.small})
        self.sampler = Sampler(needs, fps, *stored, self.turns, self.request.split.trim_frames)
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
        if closings := self.splitter.push(time, self.splitter.view(frame)):
            self.closings += closings
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
        self.sampler.offer(time, frame, self.released >= self.begins and not self._is_done(time))
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
        if frame.width * frame.height * 1.5 * self.splitter.lag <= HELD_BYTES:
            return frame
        return frame.reformat(frame.width // 2, frame.height // 2, threads=1)

    def _is_done(self, time: float) -> bool:
        """Whether a frame is of a clip that is left out."""
        now = round(time * 1000)
        place = bisect_right(self.done, (now, now)) - 1 if self.done else -1
        return place >= 0 and self.done[place][0] <= now < self.done[place][1]

    def _judge(self, span: Span) -> None:
        start, end = self.splitter.times[span.first], self.splitter.end_time(span)
        samples = self.sampler.between(start, end)
        clip = self._clip(start, end, span.last - span.first, samples)
        if span_of(vars(clip)) in self.request.skip:
            return
        few = any(len(found) < needs.least for needs, found in samples.items())
        known = self.request.known.get(span_of(vars(clip)), NOTHING)
        short = Verdict({}, "split", "too_short") if span.too_short or few else None
        self._keep(clip, short or self.cascade.judge(clip, known), self._strip(clip))

    def _strip(self, clip: SampledClip) -> thumbnail.Samples:
        """The small pictures of a clip, at least one; none where they are known."""
        if self.small not in clip.samples:
            return []
        few = clip.samples[self.small] or self.sampler.near(clip.start_s)
        shown = dict(nearest(few, thumbnail.points(clip.start_s, clip.end_s)))
        return [(time, held.picture(self.small)) for time, held in shown.items()]

    def _clip(self, start: float, end: float, frames: int, samples: dict[Frames, Any]) -> SampledClip:
        kind: Kind = "video"
        return SampledClip(kind, *self.size, self.info.fps, frames, start, end, samples)

    def _keep(self, clip: Clip, verdict: Verdict, small: thumbnail.Samples) -> None:
        self.delivery.add(_record(clip, verdict, small, self.cascade.hides_faces))

    def _small(self, frame: Any) -> Any:
        return self.sampler.held(frame).picture(self.small)


def _record(whole: Clip, verdict: Verdict, small: thumbnail.Samples, hides_faces: bool) -> ClipRecord:
    clip = shape.without(whole, verdict.margins)
    left = [(time, shape.inside(shown[None], verdict.margins)[0]) for time, shown in small]
    pictures = thumbnail.pick(left, clip.start_s, clip.end_s) if small else []
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
        "thumbnail": thumbnail.strip(hiding.hidden(pictures) if hides_faces else pictures) if small else b"",
        "fingerprint": thumbnail.fingerprint(pictures) if small else b"",
        "signals": measure(pictures) if small else {},
    }
