"""What a drill has done so far: kept in its folder, so that it can go on, and told as a table in Markdown."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

FAULTS = {"lost", "doubled", "other", "stray files", "losses differ by", "other weights", "stuck"}


@dataclass
class Kill:
    """One kill: of which run, whom, how many seconds after its start, what the run was doing."""

    run: str
    victim: str
    seconds: float
    doing: str


@dataclass
class Record:
    """Kills, how each run ended (its starts, what was found), and the untouched runs' seconds."""

    folder: Path
    code: str
    kills: list[Kill] = field(default_factory=list)
    ends: dict[str, tuple[int, dict[str, Any]]] = field(default_factory=dict)
    untouched: dict[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, folder: Path) -> Record:
        """The record in `folder`, or a new one; raises RuntimeError if it is another code's."""
        file, code = folder / "record.json", _code()
        if not file.exists():
            return cls(folder, code)
        told = json.loads(file.read_text())
        if told["code"] != code:
            raise RuntimeError(f"{folder} is a drill of {told['code']}, not of {code}: give another folder")
        told["ends"] = {name: (starts, found) for name, (starts, found) in told["ends"].items()}
        told["kills"] = [kill for kill in (Kill(**one) for one in told["kills"]) if kill.run in told["ends"]]
        return cls(folder=folder, **told)

    def end(self, run: str, starts: int, found: dict[str, Any]) -> bool:
        """Take down how a run ended; return whether it ended well."""
        self.ends[run] = (starts, found)
        return _faultless(found)

    def good(self) -> bool:
        """Whether every run ended well."""
        return all(_faultless(found) for _, found in self.ends.values())

    def save(self) -> None:
        """Write the record and the table."""
        told = {name: value for name, value in asdict(self).items() if name != "folder"}
        (self.folder / "record.json").write_text(json.dumps(told, indent=1))
        (self.folder / "table.md").write_text("\n".join(self.table()) + "\n")

    def table(self) -> Iterator[str]:
        """The drill so far, in Markdown."""
        yield f"At {self.code}.\n\n| kill | run | victim | after | it was doing |\n|---|---|---|---|---|"
        for number, kill in enumerate(self.kills, 1):
            yield f"| {number} | {kill.run} | {kill.victim} | {kill.seconds:.1f} s | {kill.doing} |"
        yield "\n| run | starts | at its end |\n|---|---|---|"
        for name, (starts, found) in self.ends.items():
            yield f"| {name} | {starts} | {', '.join(f'{key} {value}' for key, value in found.items())} |"


def _faultless(found: dict[str, Any]) -> bool:
    return not any(value for key, value in found.items() if key in FAULTS)


def _code() -> str:
    command = ["git", "describe", "--always", "--dirty"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
