"""The flows as deployments run them: their parameters are a form in Prefect's UI, the recipe and a place."""

from __future__ import annotations

import hashlib
from typing import Any

from prefect import flow, get_run_logger
from prefect.variables import Variable

from pipelines import flows, preflight, requests
from pipelines.flows import Event
from pipelines.gates import check
from pipelines.recipe import Recipe


@flow(name="scheduled-curate", persist_result=False)
def curate(
    recipe: Recipe, out: str, limit: int | None = None, fresh: bool = False, only_new_files: bool = False
) -> Event:
    """Process what is new in the recipe's sources into a new version of the dataset `out`.

    With `only_new_files` nothing is started while the sources list the same files as the last time.
    """
    run_id = requests.new_run_id()
    request = requests.curate(recipe, out, run_id, limit, fresh)
    preflight.curate(request)
    listed = _listing(recipe, out)
    if only_new_files and Variable.get(_seen(out)) == listed:
        get_run_logger().info("the sources list no other files than the last time")
        return {"dataset": out, "version": None, "skipped": "no new files"}
    result: Event = flows.curate(request, run_id, recipe.cluster.address)
    Variable.set(_seen(out), listed, overwrite=True)
    return result


@flow(name="scheduled-audit", persist_result=False)
def audit(recipe: Recipe, dataset: str, out: str, version: int | None = None) -> Event:
    """Write the audit page of a dataset version, by default the newest, into `out`."""
    run_id = requests.new_run_id()
    request = {"dataset": dataset, "out": out, "version": version, "run_id": run_id}
    result: Event = flows.audit(request, run_id, recipe.cluster.address)
    return result


@flow(name="scheduled-train", persist_result=False)
def train(recipe: Recipe, data: str, out: str, version: int | None = None) -> Event:
    """Train the three stages on a version, by default the newest, if its gates hold.

    Each version has its own folder in `out`; a run for the same version goes on with what is there.
    """
    from curation.dataset import open_dataset

    run_id = requests.new_run_id()
    address = recipe.cluster.address
    version = open_dataset(data, version).version
    asked = requests.train(recipe, data, out, run_id)
    request = requests.in_folder_of_its_own(asked, requests.absolute(out), version)
    auditing = {"dataset": data, "out": f"{request['out']}/audit", "version": version, "run_id": run_id}
    check(flows.audit(auditing, run_id, address))
    preflight.train(request)
    result: Event = flows.train(request, run_id, address)
    return result


@flow(name="scheduled-retrain", persist_result=False)
def retrain(recipe: Recipe, out: str, prompt: str, limit: int | None = None) -> dict[str, Any]:
    """Media to a trained model in `out`: curate, audit, the gates, three stages, scores, one sample clip.

    Each dataset version has its own folder in `out`; a run for the same version goes on with what is there.
    """
    run_id = requests.new_run_id()
    curating = requests.curate(recipe, f"{out}/dataset", run_id, limit)
    training = requests.train(recipe, f"{out}/dataset", out, run_id)
    judging = requests.evaluate(recipe, "", "", run_id)
    preflight.curate(curating)
    address = recipe.cluster.address
    result: dict[str, Any] = flows.retrain(curating, training, judging, run_id, out, prompt, address, True)
    return result


@flow(name="scheduled-evaluate", persist_result=False)
def evaluate(recipe: Recipe, model: str, out: str) -> Event:
    """Judge the model folder `model` as the recipe's `evaluation` says; scores and page into `out`."""
    run_id = requests.new_run_id()
    request = requests.evaluate(recipe, model, f"{out}/{run_id}", run_id)
    result: Event = flows.evaluate(request, run_id, recipe.cluster.address)
    return result


def _listing(recipe: Recipe, out: str) -> str:
    """A hash of the names and sizes of all files that the sources list."""
    from curation.sources import list_items

    digest = hashlib.sha256()
    for item in list_items(recipe.sources, out):
        digest.update(f"{item.uri}\0{item.size}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _seen(out: str) -> str:
    return f"omnivideo_listed_{hashlib.sha256(out.encode()).hexdigest()[:16]}"
