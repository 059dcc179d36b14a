"""The two ways curation fails: the user's input is wrong, or one media file is."""

from __future__ import annotations


class InputError(ValueError):
    """Something the user wrote or pointed at is wrong; the command line prints it in one line and exits 2.

    `what` is wrong, in which `step`, and what to do about it (`next_step`).
    """

    def __init__(self, what: str, step: str, next_step: str) -> None:
        super().__init__(what)
        self.what = what
        self.step = step
        self.next_step = next_step

    def __reduce__(self) -> tuple[type[InputError], tuple[str, str, str]]:
        return type(self), (self.what, self.step, self.next_step)


SLUGS = {
    "missing": "the file is not there or cannot be read",
    "unreachable": "the file's store did not answer, several times",
    "incomplete": "fewer bytes came than the file's store announced, several times",
    "no_media": "nothing in the place where a shard's media is said to be",
    "broken_shard": "the larger file that the media lies in is damaged",
    "empty": "the file has no bytes",
    "not_media": "no image or video of a known format",
    "undecodable": "a known format that does not decode",
    "truncated": "fewer frames than the file announces",
    "too_many_pixels": "frames larger than the limit",
    "out_of_memory": "decoding needed more memory than the limit",
    "timeout": "decoding took longer than the limit",
    "crashed": "decoding killed its process",
    "bad_record": "a dataset's record that cannot be parsed or lacks what it must have",
    "no_conversation": "a record about media in which nothing is asked and answered",
    "placeholder_count": "a conversation shows another number of media than its record names",
    "wrong_kind": "an image where a record says video, or a video where it says image",
    "outside_root": "a name that leads out of the folder it is relative to",
    "bad_name": "a name that is not UTF-8",
    "changed": "a file whose bytes are not those that were announced",
    "opted_out": "the media's server or site asks not to be used for training",
    "refused": "an address that may not be asked: private, or not of http or https",
    "too_large": "a download larger than the limit",
    "filter_failed": "a filter raised an exception or gave a score that is not finite",
}


class MediaError(Exception):
    """One file could not be judged: an `error` row with a stable `slug` (a key of SLUGS), never a score.

    `message` says what was seen, with the class of the exception behind it; it goes to the row's `detail`.
    """

    def __init__(self, slug: str, message: str) -> None:
        if slug not in SLUGS:
            raise ValueError(f"unknown slug {slug!r}")
        super().__init__(f"{slug}: {message}")
        self.slug = slug
        self.message = message

    def __reduce__(self) -> tuple[type[MediaError], tuple[str, str]]:
        return type(self), (self.slug, self.message)
