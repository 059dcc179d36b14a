"""Cambrian-7M: seven million visual instructions from many sources.

Released (huggingface.co/datasets/nyu-visionx/Cambrian-10M): `jsons/Cambrian7M_withsystemprompt.jsonl`, a line
each of {id, image, conversations, source}; images unpacked from the archives at the root (coco, gqa, ocr_vqa,
textvqa, vg, ai2d, chartqa, ...), which paths begin with (github.com/cambrian-mllm/cambrian, "Visual
Instruction Tuning"). Records of text alone are rejected as such.
"""

from curation.sources.datasets._chat import chat
from curation.sources.datasets._sample import Reader

READER = Reader(
    task="image_understanding",
    annotations=("jsons/Cambrian7M*.jsonl", "Cambrian7M*.json*", "jsons/Cambrian*.json*", "Cambrian*.json*"),
    licence="Apache-2.0",
    read=chat,
    folders=("", "images"),
)
