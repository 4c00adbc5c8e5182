"""The files around a semantic model: the shortcut, the item settings and a report with one page.

Formats: learn.microsoft.com/power-bi/developer/projects/projects-overview; the schemas that the
files name are Microsoft's.
"""

from __future__ import annotations

import json

from orchestration.bi.tmdl import tag

_SCHEMAS = "https://developer.microsoft.com/json-schemas/fabric"


def shell(name: str) -> dict[str, str]:
    """Everything but the model's definition, by path; `name` is the project's."""
    report = f"{name}.Report"
    page = tag("page", "first").replace("-", "")[:20]
    definition = f"{report}/definition"
    schemas = f"{_SCHEMAS}/item/report"
    return {
        f"{name}.pbip": _json(
            {
                "$schema": f"{_SCHEMAS}/pbip/pbipProperties/1.0.0/schema.json",
                "version": "1.0",
                "artifacts": [{"report": {"path": report}}],
                "settings": {"enableAutoRecovery": True},
            }
        ),
        f"{name}.SemanticModel/definition.pbism": _json(
            {
                "$schema": f"{_SCHEMAS}/item/semanticModel/definitionProperties/1.0.0/schema.json",
                "version": "4.2",
                "settings": {},
            }
        ),
        f"{name}.SemanticModel/.platform": _platform(name, "SemanticModel"),
        f"{report}/.platform": _platform(name, "Report"),
        f"{report}/definition.pbir": _json(
            {
                "$schema": f"{schemas}/definitionProperties/2.0.0/schema.json",
                "version": "4.0",
                "datasetReference": {"byPath": {"path": f"../{name}.SemanticModel"}},
            }
        ),
        f"{definition}/version.json": _json(
            {
                "$schema": f"{schemas}/definition/versionMetadata/1.0.0/schema.json",
                "version": "2.0.0",
            }
        ),
        f"{definition}/report.json": _json(
            {
                "$schema": f"{schemas}/definition/report/3.0.0/schema.json",
                "themeCollection": {
                    "baseTheme": {
                        "name": "CY24SU10",
                        "reportVersionAtImport": {
                            "visual": "1.8.95",
                            "report": "2.0.95",
                            "page": "1.3.95",
                        },
                        "type": "SharedResources",
                    }
                },
            }
        ),
        f"{definition}/pages/pages.json": _json(
            {
                "$schema": f"{schemas}/definition/pagesMetadata/1.0.0/schema.json",
                "pageOrder": [page],
                "activePageName": page,
            }
        ),
        f"{definition}/pages/{page}/page.json": _json(
            {
                "$schema": f"{schemas}/definition/page/2.0.0/schema.json",
                "name": page,
                "displayName": "callfunnel",
                "displayOption": "FitToPage",
                "height": 720,
                "width": 1280,
            }
        ),
    }


def _platform(name: str, kind: str) -> str:
    return _json(
        {
            "$schema": f"{_SCHEMAS}/gitIntegration/platformProperties/2.0.0/schema.json",
            "metadata": {"type": kind, "displayName": name},
            "config": {"version": "2.0", "logicalId": tag("platform", name, kind)},
        }
    )


def _json(content: object) -> str:
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"
