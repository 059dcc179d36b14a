"""Media in, judged and captioned clips out, as Parquet shards of a Delta table."""
