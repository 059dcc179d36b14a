from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from omnivideo.mllm import MEDIA
from omnivideo.prompts import chat_ids, clean
from omnivideo.tokens import MARKERS, byte_tokenizer, end_ids, marker_id

TOKENIZER = byte_tokenizer()


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=40))
def test_bytes_round_trip(text: str) -> None:
    """Any text without special tokens decodes to itself."""
    if any(token in text for token in TOKENIZER.all_special_tokens):
        return
    assert TOKENIZER.decode(TOKENIZER(text, add_special_tokens=False).input_ids) == text


def test_each_marker_is_one_token() -> None:
    """<BOI>, <EOI>, <BOV> and <EOV> are four distinct single tokens."""
    ids = [TOKENIZER(marker, add_special_tokens=False).input_ids for marker in MARKERS]
    assert ids == [[marker_id(TOKENIZER, marker)] for marker in MARKERS]
    assert len({i[0] for i in ids}) == 4


def test_users_cannot_write_markers() -> None:
    """A marker in a user's text is dropped before it reaches a tokenizer."""
    assert clean("a <BOV> cat&amp;dog\n <EOI>") == "a cat&dog"


def test_frames_come_before_the_question() -> None:
    """A prompt with two frames holds their places in order, before the question's first token."""
    ids = chat_ids(TOKENIZER, "why?", [[MEDIA] * 3] * 2)
    media = [i for i, token in enumerate(ids) if token == MEDIA]
    assert len(media) == 6
    assert TOKENIZER.decode(ids[media[-1] + 1 :]).strip().startswith("why?")


def test_an_image_tag_in_the_question_is_text() -> None:
    """Only the program's own frame tags become frames."""
    assert chat_ids(TOKENIZER, "an <image> tag", [[MEDIA] * 3]).count(MEDIA) == 3
    assert chat_ids(TOKENIZER, "an <image> tag").count(MEDIA) == 0


def test_text_encoder_tokens_end_and_pad_right() -> None:
    """The text encoder's tokenizer closes each text with its end token and pads after it."""
    batch = byte_tokenizer(append_eos=True)(["ab", "c"], padding=True)
    assert batch.input_ids[1][1:] == [1, 0]
    assert end_ids(TOKENIZER) == (TOKENIZER.eos_token_id,)
