"""What frozen parts say of a dataset's samples: said on the fly, or written down before and read by row."""
