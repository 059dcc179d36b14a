"""When a recipe runs by itself."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field, model_validator


class ScheduleConfig(BaseModel):
    """A cron expression, an interval, or how often to look for new files; exactly one of the three."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cron: str | None = Field(None, description="five fields, as in crontab: '0 2 * * *'")
    interval_minutes: int | None = Field(None, ge=1)
    new_files_minutes: int | None = Field(
        None, ge=1, description="look this often, and run only if a source lists other files than last time"
    )
    timezone: str = Field("UTC", description="of the cron expression, an IANA name")

    @model_validator(mode="after")
    def _one(self) -> ScheduleConfig:
        given = [self.cron, self.interval_minutes, self.new_files_minutes]
        if sum(one is not None for one in given) != 1:
            raise ValueError("give one of cron, interval_minutes, new_files_minutes")
        return self

    @model_validator(mode="after")
    def _understood(self) -> ScheduleConfig:
        import zoneinfo

        from cronsim import CronSim, CronSimError  # what Prefect reads them with

        try:
            CronSim(self.cron or "0 0 * * *", datetime.now())
        except CronSimError as error:
            raise ValueError(f"{self.cron!r} is not a cron expression of five fields: {error}") from None
        if self.timezone not in zoneinfo.available_timezones():
            raise ValueError(f"there is no time zone {self.timezone!r}")
        return self
