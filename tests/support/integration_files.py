"""The files of all formats of integrations, as the unit tests compare them with those in `GOLDEN`.

`python -m tests.support.integration_files` writes them anew. Read the differences against the documentation that the
format names.
"""

from pathlib import Path

from scripts.integrations.catalog import FORMATS, Format
from scripts.integrations.formats.kubernetes import TOKENS
from scripts.integrations.integration import Destination, Integration
from tests.support.shell import ROOT

GOLDEN = ROOT / "tests" / "unit" / "scripts" / "integrations" / "golden"
ID = "5f2c0c9e-6c5b-4c11-9d2f-2f1f6a1f7f10"
DOMAIN = "showdown.example.com"


def destination(tenant: str, token_path: str) -> Destination:
    """Return a tenant of the instance `showdown`."""
    return Destination(tenant, f"https://cortex.{tenant}.{DOMAIN}", f"https://loki.{tenant}.{DOMAIN}", token_path)


def plain(chosen: Format) -> Integration:
    """Return an integration without any option."""
    folder = TOKENS if chosen.in_kubernetes else f"/etc/{chosen.name}"
    return Integration(
        id=ID,
        instance="showdown",
        destinations=[destination("payments", f"{folder}/payments.jwt")],
        folder=folder,
        log_files=("/var/log/*.log",) if chosen.follows else (),
        secret="opstrace-token" if chosen.in_kubernetes else None,
        namespace="opstrace-integration" if chosen.has_namespace else "",
        command=f"./opstrace integrations write aws showdown payments {chosen.name} …",
    )


def full(chosen: Format) -> Integration:
    """Return an integration with every option that the format has."""
    folder = TOKENS if chosen.in_kubernetes else f"/srv/{chosen.name}"
    tenants = ["payments", "checkout"] if chosen.routes else ["payments"]
    return Integration(
        id=ID,
        instance="showdown",
        destinations=[destination(tenant, f"{folder}/{tenant}.jwt") for tenant in tenants],
        folder=folder,
        ca_path=f"{folder}/ca.pem",
        proxy="http://proxy.example.com:3128" if chosen.proxied else None,
        namespaces={"team-a": "payments", "team-b": "checkout", "team-c": "checkout"} if chosen.routes else {},
        scrape={"shop": ["10.0.0.1:8080", "10.0.0.2:8080"], "db": ["10.0.0.3:9187"]} if chosen.scrapes else {},
        log_files=("/srv/logs/*.log", "/var/log/syslog") if chosen.follows else (),
        secret="opstrace-token" if chosen.in_kubernetes else None,
        namespace="shop-telemetry" if chosen.has_namespace else "",
        command=f"./opstrace integrations write aws showdown payments {chosen.name} …",
    )


VARIANTS = {"plain": plain, "full": full}


def written(name: str, variant: str, folder: Path) -> Path:
    """Write a format's file in a folder that stands for the client's, with the files that it names."""
    integration = VARIANTS[variant](FORMATS[name])
    file = folder / FORMATS[name].file
    file.write_text(FORMATS[name].contents(integration)[file.name].replace(integration.folder, str(folder)))
    for path in (*(one.token_path for one in integration.destinations), integration.ca_path):
        if path:
            (folder / Path(path).name).write_text("")
    return file


def contents() -> dict[str, str]:
    """Return the content of each golden file by its name."""
    made = {}
    for chosen in FORMATS.values():
        for variant, make in VARIANTS.items():
            whole = chosen.contents(make(chosen))
            made[f"{chosen.name}.{variant}"] = whole.pop(chosen.file)
            made |= {f"{chosen.name}.{variant}.{name}": text for name, text in whole.items()}
    return made


def golden_file(name: str) -> Path:
    """Return the path of a golden file."""
    return GOLDEN / f"{name}.txt"


if __name__ == "__main__":
    GOLDEN.mkdir(exist_ok=True)
    for name, text in contents().items():
        golden_file(name).write_text(text)
