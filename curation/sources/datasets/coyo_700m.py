"""COYO-700M: addresses of images with their alternative texts.

Released (huggingface.co/datasets/kakaobrain/coyo-700m): `data/part-*.parquet` with id, url, text, width,
height, image_phash, clip_similarity_vitb32, watermark_score, aesthetic_score_laion_v2 and others. Images
are downloaded from `url`, politely (`download`), and curated like any other; `text` is the original
caption.
"""

from curation.sources.datasets._sample import Links, Reader

READER = Reader(
    task="text_to_image",
    annotations=("data/*.parquet", "*.parquet", "*/*.parquet"),
    licence="CC-BY-4.0; images: of their owners",
    links=Links("url", ("text",)),
)
