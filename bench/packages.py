"""The deployment package: how large it is, and how fast the app starts from it, beside the usual sample's."""

import hashlib
import os
import shutil
import subprocess
import sys
import time
import zipfile
from pathlib import Path

from bench.child import ROOT
from bench.results import Findings, Goal, Row, Side
from bench.stats import Spread, ratios
from ops import package

SAMPLE = ROOT / "bench" / "peers" / "usual"
KEPT = ROOT / ".local" / "bench"
"""Where what pip installed stays for the next run."""
_WHOSE_FILES = (
    "over 600 of ours are tzdata, which no sample of the usual kind has: time zones are in its image or not"
)
_IMPORT = "import sys, time; sys.path[:0] = sys.argv[1:]; import function_app; print(time.process_time())"


def prepare() -> dict[str, package.Package]:
    """Both packages, zipped; needs PyPI the first time. Raises PackageError."""
    return {"ours": ours(KEPT / "ours"), "usual": usual(KEPT / "usual")}


def measure(findings: Findings, *, rounds: int) -> None:
    """Both are zipped and unpacked again, as a deployment does. Raises PackageError."""
    zips = prepare()
    folders = {name: unpacked(each, KEPT / f"{name}-unpacked") for name, each in zips.items()}
    cpu: dict[str, list[float]] = {name: [] for name in zips}
    for _ in range(rounds):
        for name, folder in folders.items():
            cpu[name].append(cold_import(folder))
    findings.add(
        Row(
            "cold import from the package as deployed, CPU",
            "s",
            Side("ours", cpu["ours"]),
            peer=Side("the usual sample, zipped as usual", cpu["usual"]),
            key="package_import_ratio",
            ratio=ratios(cpu["ours"], cpu["usual"]),
            goal=Goal(0.35),
            note="read-only, as in Azure; a zip's two-second clock spoils half of the sample's .pyc files",
        )
    )
    mb = {name: each.zipped for name, each in zips.items()}
    findings.values |= {"package_mb": mb["ours"], "package_mb_usual": mb["usual"]}
    for what, unit, values in (
        ("deployment package, zipped", "MB", mb),
        ("the same, without bytecode", "MB", {name: without_bytecode(each) for name, each in zips.items()}),
        ("the same, unpacked", "MB", {name: each.unpacked for name, each in zips.items()}),
        ("the same, files", "files", {name: float(each.files) for name, each in zips.items()}),
    ):
        findings.add(
            Row(
                what,
                unit,
                Side("ours", [values["ours"]]),
                peer=Side("the usual sample's requirements", [values["usual"]]),
                ratio=Spread.of([values["ours"] / values["usual"]]),
                goal=Goal(1.0),
                note=_WHOSE_FILES if unit == "files" else "",
            )
        )


def without_bytecode(packed: package.Package) -> float:
    """MB of a zip but for its .pyc files: the usual sample's may be left to Azure to compile."""
    with zipfile.ZipFile(packed.path) as archive:
        return (
            sum(each.compress_size for each in archive.infolist() if not each.filename.endswith(".pyc")) / 1e6
        )


def ours(folder: Path) -> package.Package:
    """What `make package` makes. Raises PackageError."""
    folder.mkdir(parents=True, exist_ok=True)
    package.build(ROOT, folder)
    return package.pack(folder, folder.with_suffix(".zip"))


def usual(folder: Path) -> package.Package:
    """The sample with `pip install --target`, zipped as it is. Raises PackageError."""
    target = folder / package.SITE_PACKAGES
    stamp = folder.with_suffix(".installed")
    wanted = hashlib.sha256((SAMPLE / "requirements.txt").read_bytes()).hexdigest()
    if not stamp.is_file() or stamp.read_text(encoding="utf-8") != wanted:
        shutil.rmtree(folder, ignore_errors=True)
        target.mkdir(parents=True)
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--compile"]
        run = subprocess.run(
            [*pip, "--target", target, "-r", SAMPLE / "requirements.txt"],
            env={name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"},
            capture_output=True,
            text=True,
            check=False,
        )
        if run.returncode:
            raise package.PackageError(f"the usual sample's requirements cannot be installed:\n{run.stderr}")
        stamp.write_text(wanted, encoding="utf-8")
    for name in ("function_app.py", "requirements.txt"):
        shutil.copy2(SAMPLE / name, folder / name)
    shutil.copy2(ROOT / "host.json", folder / "host.json")
    return package.pack(folder, folder.with_suffix(".zip"))


def unpacked(packed: package.Package, folder: Path) -> Path:
    """The zip's files with the zip's times, which are to two seconds."""
    shutil.rmtree(folder, ignore_errors=True)
    with zipfile.ZipFile(packed.path) as archive:
        for each in archive.infolist():
            path = archive.extract(each, folder)
            at = time.mktime((*each.date_time, 0, 0, -1))
            os.utime(path, (at, at))
    return folder


def cold_import(folder: Path) -> float:
    """CPU seconds of an interpreter that imports the app from there, with nothing else installed."""
    run = subprocess.run(
        [sys.executable, "-I", "-S", "-B", "-c", _IMPORT, folder, folder / package.SITE_PACKAGES],
        env={name: value for name, value in os.environ.items() if name != "PYTHONPYCACHEPREFIX"},
        capture_output=True,
        text=True,
        check=False,
    )
    if run.returncode:
        raise package.PackageError(f"function_app does not import from {folder.name}:\n{run.stderr}")
    return float(run.stdout)
