#!/usr/bin/env bash
# Data-Juicer on the videos of a folder, in an environment of its own: run.sh FOLDER [PROCESSES] [VENV]
# Prints the wall seconds of the run, of which the filters' own are in its log.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
folder=$(realpath "$1") processes=${2:-$(nproc)} venv=${3:-$here/.venv}
if [ ! -x "$venv/bin/dj-process" ]; then
  "${PYTHON:-python3}" -m venv "$venv"
  "$venv/bin/pip" install --quiet py-data-juicer==1.6.1 av==13.1.0 aiohttp opencv-contrib-python-headless
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$venv/bin/python" - "$folder" "$work/videos.jsonl" <<'PY'
import json, pathlib, sys
kinds = {".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts"}
found = sorted(p for p in pathlib.Path(sys.argv[1]).rglob("*") if p.suffix.lower() in kinds)
with open(sys.argv[2], "w") as out:
    for path in found:
        out.write(json.dumps({"text": "<__dj__video>", "videos": [str(path)]}) + "\n")
PY
SECONDS=0
"$venv/bin/dj-process" --config "$here/recipe.yaml" --dataset_path "$work/videos.jsonl" \
  --export_path "$work/out/kept.jsonl" --np "$processes" >&2
echo "data-juicer $SECONDS s wall, start-up too, kept $(wc -l < "$work/out/kept.jsonl") of $(wc -l < "$work/videos.jsonl")"
