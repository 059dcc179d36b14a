"""LAION-5B: addresses of images with their alternative texts.

Released (laion.ai/blog/laion-5b; Relaion-2B is its cleaned successor): `part-*.parquet` with SAMPLE_ID,
URL, TEXT, WIDTH, HEIGHT, LICENSE, NSFW, similarity (laion2B-en and others; some parts write them in lower
case). Images are downloaded from URL, politely (`download`), and curated like any other; TEXT is the
original caption.
"""

from curation.sources.datasets._sample import Links, Reader

READER = Reader(
    task="text_to_image",
    annotations=("*.parquet", "*/*.parquet"),
    licence="CC-BY-4.0; images: of their owners",
    links=Links("URL", ("TEXT", "caption"), "LICENSE"),
)
