"""Recipes on a Prefect server: one deployment each, with the recipe's schedule, run by the pool's workers."""

from __future__ import annotations

import os
from typing import Any

from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
from prefect.client.schemas.schedules import CronSchedule, IntervalSchedule
from prefect.deployments.runner import RunnerDeployment
from prefect.events import DeploymentEventTrigger
from prefect.exceptions import ObjectAlreadyExists
from prefect.flows import EntrypointType

from pipelines import artifacts, scheduled
from pipelines.recipe import Recipe
from pipelines.schedule import ScheduleConfig

POOL = "omnivideo"
FLOWS = {
    flow.name.removeprefix("scheduled-"): flow
    for flow in (scheduled.curate, scheduled.audit, scheduled.train, scheduled.evaluate, scheduled.retrain)
}


def deploy(
    kind: str, name: str, recipe: Recipe, parameters: dict[str, Any], on_version_of: str | None
) -> str:
    """Make or replace the deployment `name` of a flow of FLOWS; return its full name.

    It runs when the recipe's `schedule` says, and each time `on_version_of`, a dataset, has a new version.
    Two runs of it never overlap: the later one waits.
    """
    document = recipe.model_dump(mode="json", exclude_none=True)
    deployment = RunnerDeployment.from_flow(
        FLOWS[kind],
        name=name,
        parameters={"recipe": document, **parameters},
        schedules=[_schedule(recipe.schedule)] if recipe.schedule else None,
        triggers=[_trigger(on_version_of)] if on_version_of else None,
        concurrency_limit=ConcurrencyLimitConfig(
            limit=1, collision_strategy=ConcurrencyLimitStrategy.ENQUEUE
        ),
        entrypoint_type=EntrypointType.MODULE_PATH,
        work_pool_name=POOL,
        job_variables={"working_dir": os.getcwd()},  # a recipe may name a filter's file relative to it
        tags=["omnivideo"],
    )
    make_pool()
    deployment.apply(work_pool_name=POOL)
    return str(deployment.full_name)


def make_pool() -> None:
    """The work pool, made if there is none."""
    with get_client(sync_client=True) as client:
        try:
            client.create_work_pool(WorkPoolCreate(name=POOL, type="process"))
        except ObjectAlreadyExists:
            return


def _schedule(config: ScheduleConfig) -> CronSchedule | IntervalSchedule:
    from datetime import timedelta

    if config.cron:
        return CronSchedule(cron=config.cron, timezone=config.timezone)
    minutes = config.interval_minutes or config.new_files_minutes
    return IntervalSchedule(interval=timedelta(minutes=minutes or 1))


def _trigger(dataset: str) -> DeploymentEventTrigger:
    return DeploymentEventTrigger(
        name=f"new version of {dataset}",
        expect={artifacts.PUBLISHED},
        match={"prefect.resource.id": artifacts.resource(dataset)},
    )
