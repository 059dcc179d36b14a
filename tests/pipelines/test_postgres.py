"""Prefect's server on PostgreSQL, as infra/ runs it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.pipelines import postgres
from tests.pipelines.conftest import CommandLine
from tests.pipelines.test_serve import HOLD

BINARIES = postgres.binaries()


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    """The address of an empty database."""
    if BINARIES is None:
        pytest.skip("no PostgreSQL binaries here: install postgresql to run this")
    with postgres.running(BINARIES) as address:
        yield address


def test_deployments_lie_in_the_database(database: str, command_line: CommandLine) -> None:
    """The server makes its tables in an empty database, and what is deployed is a row there."""
    url = {"PREFECT_SERVER_DATABASE_CONNECTION_URL": f"postgresql+asyncpg://{database}"}
    user = replace(command_line, env={**command_line.env, **url})
    command = [sys.executable, "-c", HOLD, str(postgres.free_port())]
    with subprocess.Popen(
        command, env=user.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline().startswith("http://127.0.0.1:")
        done = user.run("deploy", "tiny", "--flow", "evaluate", "--model", "model", "--name", "judge")
        holder.communicate("")
    assert done.returncode == 0, done.stderr
    assert asyncio.run(deployments(database)) == ["judge"]


async def deployments(database: str) -> list[str]:
    """The names of the deployments in the database, read past Prefect."""
    import asyncpg

    connection = await asyncpg.connect(f"postgresql://{database}")
    try:
        return [row["name"] for row in await connection.fetch("SELECT name FROM deployment")]
    finally:
        await connection.close()
