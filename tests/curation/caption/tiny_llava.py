"""A LLaVA of random weights that speaks in words, saved as a released one is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

WORDS = ("dog", "cat", "runs", "jumps", "street", "beach", "house", "tree", "red", "blue", "green", "slow")
WORDS += ("camera", "pans", "left", "right", "sky", "water", "walks", "child")
TEMPLATE = (
    "{% for message in messages %}{{ message['role'] }}: {% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<image>{% else %}{{ part['text'] }}{% endif %}{% endfor %}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant:{% endif %}"
)


def save(folder: Path) -> Path:
    """A CLIP tower of two layers, a Llama of two, and a processor: half a megabyte."""
    import torch
    from transformers import (
        CLIPVisionConfig,
        LlamaConfig,
        LlavaConfig,
        LlavaForConditionalGeneration,
        LlavaProcessor,
    )
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    tokenizer = _tokenizer()
    size = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    ids = {"pad_token_id": tokenizer.pad_token_id, "eos_token_id": tokenizer.eos_token_id}
    config = LlavaConfig(
        vision_config=CLIPVisionConfig(**size, image_size=28, patch_size=14, projection_dim=32),
        text_config=LlamaConfig(
            **size, vocab_size=len(tokenizer), bos_token_id=None, initializer_range=0.4, **ids
        ),
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        vision_feature_layer=-1,
    )
    torch.manual_seed(0)
    model = LlavaForConditionalGeneration(config)
    words = set(tokenizer.convert_tokens_to_ids([f"Ġ{word}" for word in WORDS]))
    model.generation_config.suppress_tokens = [one for one in range(len(tokenizer)) if one not in words]
    model.save_pretrained(folder)
    images = CLIPImageProcessorPil(
        size={"height": 28, "width": 28}, crop_size={"height": 28, "width": 28}, do_center_crop=False
    )
    LlavaProcessor(
        images,
        tokenizer,
        patch_size=14,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=TEMPLATE,
    ).save_pretrained(folder)
    return folder


def _tokenizer() -> Any:
    """Bytes, and a few whole words."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    entries = ["<pad>", "</s>", "<unk>", "<image>", *alphabet, *(f"Ġ{word}" for word in WORDS)]
    tokenizer = Tokenizer(models.BPE(vocab={entry: i for i, entry in enumerate(entries)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        eos_token="</s>",
        unk_token="<unk>",
        additional_special_tokens=["<image>"],
    )
