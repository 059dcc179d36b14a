"""What to look at first, drawn from the figures of a report; each finding names the section that shows it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

BAD, WARN, NOTE = "bad", "warn", "note"

_MANY_ERRORS = 0.05
_TOO_MANY_ERRORS = 0.2
_NEARLY_ALL = 0.9  # of the clips that reach a filter
_ENOUGH_CLIPS = 20  # below which a share says little
_SENSITIVE = 0.05  # change of the kept clips for a tenth of a threshold
_FEW_CAPTIONS = 0.5  # distinct captions among captions
_SHIFT = 0.25  # population stability index


def findings(report: Mapping[str, Any]) -> list[dict[str, str]]:
    """Problems first, then warnings, then remarks."""
    drawn = [
        finding
        for look in (
            _gates,
            _checks,
            _errors,
            _kept,
            _filters,
            _thresholds,
            _sources,
            _captions,
            _mix,
            _recipes,
            _drift,
        )
        for finding in look(report)
    ]
    return sorted(drawn, key=lambda finding: (BAD, WARN, NOTE).index(finding["severity"]))


def verdict(report: Mapping[str, Any]) -> dict[str, str]:
    """The banner: a level and one sentence."""
    counted = report["funnel"]
    severities = {finding["severity"] for finding in report["findings"]}
    level = next((level for level in (BAD, WARN) if level in severities), "good")
    if not counted["clips"]:
        return {"level": BAD, "sentence": "This version holds no rows."}
    if not counted["closes"]:
        return {"level": BAD, "sentence": "The funnel does not close: some clips are not accounted for."}
    if not counted["kept"]:
        return {"level": BAD, "sentence": "Every clip is accounted for, and none was kept."}
    shut = sum(not gate["holds"] for gate in report["gates"])
    if shut:
        what = "A gate is" if shut == 1 else f"{shut} gates are"
        return {"level": BAD, "sentence": f"Every clip is accounted for. {what} shut: not fit to train on."}
    sentence = {
        "good": "Every clip is accounted for.",
        WARN: "Every clip is accounted for. Some things deserve a look.",
        BAD: "The funnel closes, but something is wrong.",
    }[level]
    return {"level": level, "sentence": sentence}


def _finding(severity: str, section: str, title: str, text: str) -> dict[str, str]:
    return {"severity": severity, "section": section, "title": title, "text": text}


def _gates(report: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    for gate in report["gates"]:
        if not gate["holds"]:
            text = f"{gate['value']:.4g} ({gate['what']}), where the recipe allows {gate['bound']:.4g}."
            yield _finding(BAD, "gates", f"Gate {gate['name']} is shut", text)


def _checks(report: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    for check in report["checks"]:
        if check["holds"] is False:
            rows = f"{check['broken']:,} row{'s' if check['broken'] != 1 else ''} break this."
            yield _finding(BAD, "checks", f"Does not hold: {check['what']}", rows)


def _errors(report: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    errors, clips = report["funnel"]["error"], report["funnel"]["clips"]
    if clips and errors / clips > _MANY_ERRORS and clips >= _ENOUGH_CLIPS:
        severity = BAD if errors / clips > _TOO_MANY_ERRORS else WARN
        title = f"{errors / clips:.0%} of the clips ended in an error"
        yield _finding(severity, "errors", title, "Their classes and messages are listed under Errors.")


def _kept(report: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    if report["funnel"]["clips"] and not report["funnel"]["kept"]:
        yield _finding(
            BAD, "funnel", "Nothing was kept", "The funnel shows which step dropped the last clips."
        )


def _filters(report: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    known = {rule["name"]: rule for rule in report["filters"]}
    idle: list[str] = []
    for step in report["funnel"]["steps"]:
        if step["verdict"] != "rejected" or step["in"] < _ENOUGH_CLIPS:
            continue
        rule = known.get(step["name"])
        if step["dropped"] >= _NEARLY_ALL * step["in"]:
            text = f"{step['dropped']:,} of {step['in']:,} that reached it. Is its threshold meant?"
            yield _finding(WARN, "filters", f"{step['name']} rejects nearly everything", text)
        elif step["dropped"] == 0 and rule and rule["thresholds"]:
            idle.append(step["name"])
        elif rule and not rule["thresholds"]:
            text = "The recipe names it, but no threshold of it belongs to a stored score."
            yield _finding(NOTE, "filters", f"{step['name']} has no threshold to draw", text)
    if idle:
        title = f"{idle[0]} rejects nothing" if len(idle) == 1 else f"{len(idle)} filters reject nothing"
        text = f"No clip that reached {', '.join(idle)} lies beyond the thresholds."
        yield _finding(NOTE, "filters", title, text)


def _thresholds(report: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    for rule in report["filters"]:
        for threshold in rule["thresholds"]:
            change = max((move["change"] for move in threshold["moved"]), key=abs, default=0)
            if threshold["kept"] >= _ENOUGH_CLIPS and abs(change) > _SENSITIVE * threshold["kept"]:
                most = "by" if threshold["exact"] or change < 0 else "by up to"
                part = abs(change) / threshold["kept"]
                text = f"Moving it by a tenth changes the kept clips {most} {part:.1%}."
                title = f"{rule['name']}.{threshold['field']} decides a lot"
                yield _finding(NOTE, "filters", title, text)


def _sources(report: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    for source in report["sources"]["listed"]:
        if source["clips"] >= _ENOUGH_CLIPS and not source["kept"]:
            text = f"None of its {source['clips']:,} clips was kept."
            yield _finding(WARN, "sources", f"Source {source['source']} yields nothing", text)
    unknown = [row["kept"] for row in report["sources"]["licences"] if row["licence"] == "(unknown)"]
    if sum(unknown):
        title = f"{sum(unknown):,} kept clips have no licence"
        yield _finding(WARN, "sources", title, "Name one for each source in the recipe.")


def _captions(report: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    captions = report["captions"]
    written, different = captions["captioned"], captions["distinct_captions"]
    if written >= _ENOUGH_CLIPS and different < _FEW_CAPTIONS * written:
        text = f"{different:,} different captions on {written:,} clips."
        yield _finding(WARN, "captions", "Captions repeat", text)


def _mix(report: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    tasks = report["mix"]["tasks"]
    missing = [task["task"] for task in tasks if task["paper"] and not task["kept"]]
    if missing and report["mix"]["kept"]:
        text = f"{', '.join(missing)}. Another dataset has to bring them, or training goes without."
        yield _finding(NOTE, "mix", f"{len(missing)} of the paper's six tasks have no samples", text)


def _recipes(report: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    recipes = {run["recipe_sha256"] for run in report["lineage"]["runs"]}
    if len(recipes) > 1:
        text = "Thresholds drawn here are those of the newest; older rows were judged by others."
        yield _finding(WARN, "lineage", f"Rows come from {len(recipes)} recipes", text)
    if report["funnel"]["clips"] and not report["lineage"]["recipe"]:
        text = "Scores are shown without thresholds."
        yield _finding(WARN, "lineage", "No commit of this dataset says its recipe", text)


def _drift(report: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    for drift in (report["changes"] or {}).get("drift", []):
        if drift["psi"] is not None and drift["psi"] > _SHIFT:
            medians = f"Median {drift['before']:.4g} before, {drift['new']:.4g} in the new clips"
            text = f"{medians} (PSI {drift['psi']:.2f})."
            yield _finding(WARN, "changes", f"{drift['score']} has shifted", text)
