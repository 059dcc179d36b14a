"""ShareGPT4V: captions and conversations by GPT-4V and by a captioner trained on them.

Released (huggingface.co/datasets/Lin-Chen/ShareGPT4V): `sharegpt4v_instruct_gpt4-vision_cap100k.json`,
`share-captioner_coco_lcs_sam_1246k_1107.json` and
`sharegpt4v_mix665k_cap23k_coco-ap9k_lcs3k_sam9k_div2k.json`, arrays of {id, image, conversations}. Images
are below data/: coco/train2017, llava/llava_pretrain/images, sam/images, gqa/images, ocr_vqa/images,
textvqa/train_images, vg/VG_100K, share_textvqa/images, web-celebrity/images, web-landmark/images,
wikiart/images (github.com/ShareGPT4Omni/ShareGPT4V, docs/Data.md). Text-only records of the mix are
rejected as such.
"""

from curation.sources.datasets._chat import chat
from curation.sources.datasets._sample import Reader

READER = Reader(
    task="image_understanding",
    annotations=("share*.json", "*/share*.json", "*.json"),
    licence="CC-BY-NC-4.0",
    read=chat,
    folders=("", "data", "images"),
)
