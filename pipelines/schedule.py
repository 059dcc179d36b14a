"""When a recipe runs by itself."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, model_validator


class ScheduleConfig(BaseModel):
    """A cron expression or an interval; exactly one of the two."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cron: str | None = Field(None, description="five fields, as in crontab: '0 2 * * *'")
    interval_minutes: int | None = Field(None, ge=1)
    timezone: str = "UTC"

    @model_validator(mode="after")
    def _one(self) -> ScheduleConfig:
        if (self.cron is None) == (self.interval_minutes is None):
            raise ValueError("give either cron or interval_minutes")
        return self
