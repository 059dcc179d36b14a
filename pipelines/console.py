"""What the user sees: progress and errors on the terminal, everybody else's noise in a log file."""

from __future__ import annotations

import contextlib
import functools
import json
import logging
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import typer

from curation.errors import InputError as CurationInputError
from omnivideo.errors import InputError as ModelInputError
from pipelines.home import new_log

if TYPE_CHECKING:
    from rich.console import Console

EXIT_FAILED, EXIT_BAD_INPUT, EXIT_STOPPED = 1, 2, 130


class Terminal:
    """The user's own terminal while descriptors 1 and 2 go to a log file."""

    def __init__(self, console: Console, out: TextIO, log: Path) -> None:
        self.console, self._out, self.log = console, out, log

    def print(self, text: str = "") -> None:
        """Print one plain line for people."""
        self.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def print_json(self, result: dict[str, Any]) -> None:
        """Print one JSON object on standard output."""
        self._out.write(json.dumps(result, default=str) + "\n")
        self._out.flush()


@contextlib.contextmanager
def terminal(command: str, as_json: bool = False) -> Iterator[Terminal]:
    """Give the terminal to us alone: what libraries print, C++ ones too, goes to a new log file.

    With `as_json` people's lines go to standard error, so that standard output holds the JSON alone.
    """
    from rich.console import Console

    log = new_log(command)
    sys.stdout.flush()
    sys.stderr.flush()
    # Duplicates of the descriptors themselves: Ray's and torch's C++ code writes past sys.stdout.
    out, err = os.dup(1), os.dup(2)
    with log.open("ab") as sink, os.fdopen(out, "w") as out_file, os.fdopen(err, "w") as err_file:
        os.dup2(sink.fileno(), 1)
        os.dup2(sink.fileno(), 2)
        try:
            yield Terminal(Console(file=err_file if as_json else out_file), out_file, log)
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            logging.disable()  # Prefect's server stops after this, and has nothing to say to a person
            os.dup2(out, 1)
            os.dup2(err, 2)


def reports_errors(command: Callable[..., Any]) -> Callable[..., None]:
    """Turn what a command raises into one line and an exit code: 2 bad input, 1 failed, 130 stopped."""

    @functools.wraps(command)
    def wrapped(*args: Any, **kwargs: Any) -> None:
        try:
            command(*args, **kwargs)
        except (CurationInputError, ModelInputError) as error:
            _end(f"{error.what} (while {error.step}). {error.next_step}", EXIT_BAD_INPUT)
        except (typer.Exit, typer.Abort):
            raise
        except KeyboardInterrupt:
            _end("stopped; what is finished is kept: run the same command again to go on", EXIT_STOPPED)
        except Exception as error:  # noqa: BLE001 - the last line of defence: a line for people, the rest to a log
            _end(_failure(error), EXIT_FAILED)

    return wrapped


def _failure(error: Exception) -> str:
    text = str(error).strip().splitlines()
    log = new_log("failure")
    log.write_text("".join(traceback.format_exception(error)))
    first = text[0] if text else type(error).__name__
    return first if "log: " in first else f"{first}; details in {log}"


def _end(message: str, code: int) -> None:
    sys.stderr.write(f"omnivideo: {message}\n")
    raise typer.Exit(code)
