"""Reading and indexing a million annotations: `python tests/benchmarks/speed/annotations.py [RECORDS]`.

Makes up a JSON array as LLaVA's mix has it, JSON lines as Cambrian-7M, and a table of addresses as COYO-700M
in a temporary folder, lists each in a process of its own, and prints its CPU seconds and its largest memory.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from curation.sources import DatasetSource, list_items

ANSWER = "The image shows a street with several people, parked bicycles and a small café. " * 4
MAX_SECONDS, MAX_BYTES = 60.0, 2 << 30


def records(count: int) -> Iterator[str]:
    """Conversations of two turns about images, some 1.1 kB each."""
    for number in range(count):
        name = f"{number:012d}"
        turns = [
            {"from": "human", "value": "<image>\nWhat is going on in this picture?"},
            {"from": "gpt", "value": f"{name} {ANSWER}"},
            {"from": "human", "value": "And what is the weather like?"},
            {"from": "gpt", "value": ANSWER},
        ]
        record = {"id": name, "image": f"coco/train2017/{name}.jpg", "conversations": turns}
        yield json.dumps(record, ensure_ascii=False)


def make(root: Path, count: int) -> dict[str, Path]:
    """One folder for each layout."""
    folders = {name: root / name for name in ("llava_v1_5_mix", "cambrian_7m", "coyo_700m")}
    for folder in folders.values():
        folder.mkdir()
    with (folders["llava_v1_5_mix"] / "llava_v1_5_mix665k.json").open("w") as file:
        file.write("[")
        for number, record in enumerate(records(count)):
            file.write(("," if number else "") + "\n" + record)
        file.write("]")
    with (folders["cambrian_7m"] / "Cambrian7M_withsystemprompt.jsonl").open("w") as file:
        file.writelines(f"{record}\n" for record in records(count))
    numbers = range(count)
    table = {
        "id": list(numbers),
        "url": [f"https://images{n % 997}.example.org/photos/{n:010d}.jpg" for n in numbers],
        "text": [f"photo {n}: a street with parked bicycles" for n in numbers],
    }
    pq.write_table(pa.table(table), folders["coyo_700m"] / "part-00000.parquet")
    return folders


def read(dataset: str, root: str) -> None:
    """List a source and print what it took."""
    items = list_items([DatasetSource(dataset=dataset, root=root)])
    used = resource.getrusage(resource.RUSAGE_SELF)
    seconds, peak = used.ru_utime + used.ru_stime, used.ru_maxrss * 1024
    print(f"{dataset:<16} {len(items):>9,} records {seconds:6.1f} s CPU {peak / 2**20:7.0f} MiB")
    if seconds > MAX_SECONDS or peak > MAX_BYTES:
        sys.exit(f"over {MAX_SECONDS:g} s or {MAX_BYTES >> 20} MiB")


def main(arguments: list[str]) -> None:
    """Make the folders and read each in a fresh process."""
    if len(arguments) == 2:
        read(*arguments)
        return
    count = int(arguments[0]) if arguments else 1_000_000
    with tempfile.TemporaryDirectory() as folder:
        for dataset, root in make(Path(folder), count).items():
            began = time.monotonic()
            subprocess.run([sys.executable, __file__, dataset, str(root)], check=True)
            print(f"{'':<16} {time.monotonic() - began:26.1f} s wall")


if __name__ == "__main__":
    main(sys.argv[1:])
