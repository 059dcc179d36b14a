"""The `omnivideo` command. Nothing heavy is imported before a command needs it: --help is quick."""

from __future__ import annotations

import typer

from pipelines.commands import data, evaluation, history, machine, model, plan, run, serve, shapes, thresholds

app = typer.Typer(
    name="omnivideo",
    help="From raw video and images to a trained Omni-Video model, with every dropped clip accounted for.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for room in (plan, run, data, thresholds, history, model, evaluation, shapes, serve, machine):
    room.register(app)


def main() -> None:
    """Run the command line."""
    app()


if __name__ == "__main__":
    main()
