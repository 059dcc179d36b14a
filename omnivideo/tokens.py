"""Tokenizers: the four modality markers, and byte-level vocabularies for models with random weights."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from omnivideo.remembering import remembered

BOI, EOI, BOV, EOV = "<BOI>", "<EOI>", "<BOV>", "<EOV>"
MARKERS = (BOI, EOI, BOV, EOV)  # section 3.2
_SPECIALS = ("<pad>", "</s>", "<s>", "<unk>")  # 0 and 1 as in UMT5

_CHAT = (
    "{{ bos_token }}{% for message in messages %}"
    "{{ message['role'] }}: {{ message['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant: {% endif %}"
)


def byte_tokenizer(append_eos: bool = False) -> Any:
    """A transformers tokenizer with one token a byte, 264 entries, left-padded, with the four markers.

    `append_eos` gives the text encoder's flavour: the end token closes every text and padding goes right.
    """
    from tokenizers import Tokenizer, models, pre_tokenizers

    entries = [*_SPECIALS, *sorted(pre_tokenizers.ByteLevel.alphabet()), *MARKERS]
    tokenizer = Tokenizer(models.BPE(vocab={entry: i for i, entry in enumerate(entries)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    return _wrapped(tokenizer, append_eos, extra_special_tokens=list(MARKERS))


def learned_tokenizer(texts: Iterable[str], entries: int, append_eos: bool = False) -> Any:
    """A byte-pair tokenizer of at most `entries` learnt from texts, as released models bring one: without
    markers. The same texts give the same tokenizer; `append_eos` as for `byte_tokenizer`.
    """
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    trainer = trainers.BpeTrainer(
        vocab_size=entries,
        special_tokens=list(_SPECIALS),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return _wrapped(tokenizer, append_eos)


def _wrapped(tokenizer: Any, append_eos: bool, **special: Any) -> Any:
    from tokenizers import decoders, processors
    from transformers import PreTrainedTokenizerFast

    tokenizer.decoder = decoders.ByteLevel()
    if append_eos:
        tokenizer.post_processor = processors.TemplateProcessing(
            single="$A </s>", special_tokens=[("</s>", 1)]
        )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        eos_token="</s>",
        bos_token="<s>",
        unk_token="<unk>",
        padding_side="right" if append_eos else "left",
        chat_template=None if append_eos else _CHAT,
        clean_up_tokenization_spaces=False,
        **special,
    )


def add_markers(tokenizer: Any) -> int:
    """Add the four markers to a released tokenizer, and padding if it has none; returns how many were new."""
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return int(tokenizer.add_special_tokens({"extra_special_tokens": list(MARKERS)}))


@remembered
def end_ids(tokenizer: Any) -> tuple[int, ...]:
    """Ids that end an answer; the first is the one to write. Chat models end a turn by a token of their
    own.
    """
    vocabulary = tokenizer.get_vocab()
    turns = [vocabulary[token] for token in ("<|eot_id|>", "<|im_end|>") if token in vocabulary]
    return tuple(dict.fromkeys([*turns, tokenizer.eos_token_id]))


def marker_id(tokenizer: Any, marker: str) -> int:
    """The token id of one of the four markers."""
    return int(tokenizer.convert_tokens_to_ids(marker))
