"""The S3 API of the tests of sources, here too."""

from tests.curation.sources.conftest import s3, s3_server

__all__ = ["s3", "s3_server"]
