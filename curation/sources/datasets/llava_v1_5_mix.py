"""LLaVA-v1.5's instruction mix, 665 thousand conversations about images.

Released: `llava_v1_5_mix665k.json` (huggingface.co/datasets/liuhaotian/LLaVA-Instruct-150K), an array of
{id, image, conversations}; the images unpacked beside it as coco/train2017, gqa/images, ocr_vqa/images,
textvqa/train_images, vg/VG_100K and vg/VG_100K_2 (github.com/haotian-liu/LLaVA, "Visual instruction tuning").
Some 40 thousand records are of text alone: they have `model` in place of `image`, and are rejected as such.
"""

from curation.sources.datasets._chat import chat
from curation.sources.datasets._sample import Reader

READER = Reader(
    task="image_understanding",
    annotations=("llava_v1_5_mix665k.json", "llava_v1_5_mix*.json", "*.json"),
    licence="CC-BY-4.0",
    read=chat,
    folders=("", "data", "images"),
)
