"""`make package`: fill dist/ with what is deployed, as it runs in Azure.

Code, dependencies for Linux and Python 3.13, web/ as built, and bytecode. `azd` zips dist/ as it is, so that
nothing is built in Azure. The bytecode is never checked against its source. Checked bytecode looks stale,
because zip files round timestamps: Python would compile everything at each cold start, on a read-only disk.
"""

import compileall
import hashlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from importlib.util import cache_from_source
from pathlib import Path
from py_compile import PycInvalidationMode
from typing import Annotated

import typer

ROOT = Path(__file__).parent.parent
PYTHON = (3, 13)
FILES = ("function_app.py", "host.json", "requirements.txt")
FOLDERS = ("shared", "web/build")
SITE_PACKAGES = Path(".python_packages", "lib", "site-packages")
# glibc 2.28 and older: what Azure's images for Python 3.13 have is newer.
PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64")
WHERE_IT_RUNS = "/home/site/wwwroot"
USELESS = ("tests", "*.pyi", "*.pyx", "*.pxd", "*.c", "*.h", "*.hpp", "*.map", "__pycache__")
# What pip, type checkers and the zone compiler want; METADATA and the licences stay.
USELESS_INSTALLED = (
    "RECORD",
    "INSTALLER",
    "REQUESTED",
    "WHEEL",
    "top_level.txt",
    "py.typed",
    "*.tab",
    "*.zi",
)
FUNCIGNORE = """\
# azd leaves __pycache__ out of a package that has no file like this one.
.funcignore
"""


class PackageError(Exception):
    """The package cannot be made; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Package:
    """A zip of dist/, as azd makes it. Sizes in MB, of a million bytes."""

    path: Path
    files: int
    zipped: float
    unpacked: float


def build(root: Path, dist: Path) -> None:
    """Fill dist/ anew. Dependencies are installed anew only when requirements.txt has changed.

    Raises PackageError.
    """
    for name in FILES:
        if not (root / name).is_file():
            raise PackageError(f"{name} is missing in {root}")
    if any(dist.iterdir()) and not (dist / SITE_PACKAGES.parts[0]).is_dir():
        raise PackageError(f"{dist} is not empty and holds no package of ours: nothing was removed from it")
    install(root / "requirements.txt", dist)
    for old in dist.iterdir():
        if old.name != SITE_PACKAGES.parts[0]:
            shutil.rmtree(old) if old.is_dir() else old.unlink()
    build_web(root)
    for name in FILES:
        shutil.copy2(root / name, dist / name)
    for name in FOLDERS:
        shutil.copytree(root / name, dist / name, ignore=shutil.ignore_patterns(*USELESS))
    (dist / ".funcignore").write_text(FUNCIGNORE, encoding="utf-8")
    compile_bytecode(dist, dist, levels=0)
    compile_bytecode(dist / "shared", dist)


def install(requirements: Path, dist: Path) -> None:
    """Install the dependencies into dist/ for Linux and Python 3.13, whatever runs here."""
    target = dist / SITE_PACKAGES
    options = [option for platform in PLATFORMS for option in ("--platform", platform)]
    options += ["--python-version", "3.13", "--implementation", "cp", "--only-binary=:all:"]
    stamp = target.parent / "installed"
    how = (options, USELESS, USELESS_INSTALLED, sys.version_info[:2])
    wanted = hashlib.sha256(requirements.read_bytes() + repr(how).encode())
    if stamp.is_file() and stamp.read_text(encoding="utf-8") == wanted.hexdigest():
        return
    shutil.rmtree(dist / SITE_PACKAGES.parts[0], ignore_errors=True)
    target.mkdir(parents=True)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile"]
    pip += ["--require-hashes"]
    run = subprocess.run(
        [*pip, "--target", target, *options, "-r", requirements], capture_output=True, text=True, check=False
    )
    if run.returncode:
        raise PackageError(f"the dependencies cannot be installed for Linux and Python 3.13:\n{run.stderr}")
    shutil.rmtree(target / "bin", ignore_errors=True)
    for pattern in (*USELESS, *USELESS_INSTALLED):
        for path in list(target.rglob(pattern)):
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
    compile_bytecode(target, dist)
    stamp.write_text(wanted.hexdigest(), encoding="utf-8")


def build_web(root: Path) -> None:
    """Bundle the pages into web/build."""
    npm = shutil.which("npm") or "npm"  # npm.cmd on Windows, which is not found without its ending
    run = subprocess.run(
        [npm, "run", "--silent", "build"], cwd=root, capture_output=True, text=True, check=False
    )
    if run.returncode:
        raise PackageError(f"npm run build failed:\n{run.stdout}{run.stderr}")


def compile_bytecode(folder: Path, dist: Path, *, levels: int | None = None) -> None:
    """Compile to bytecode that is never checked against its source, if this is the Python that Azure runs."""
    if sys.version_info[:2] == PYTHON and not compileall.compile_dir(
        folder,
        maxlevels=levels,
        quiet=1,
        force=True,
        workers=0,
        stripdir=str(dist),
        prependdir=WHERE_IT_RUNS,
        invalidation_mode=PycInvalidationMode.UNCHECKED_HASH,
    ):
        raise PackageError(f"{folder} does not compile")


def has_bytecode(dist: Path) -> bool:
    return Path(cache_from_source(str(dist / "function_app.py"))).is_file()


def pack(dist: Path, target: Path) -> Package:
    """Zip dist/ as azd does: all of it but .funcignore."""
    paths = [path for path in sorted(dist.rglob("*")) if path.is_file() and path.name != ".funcignore"]
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in paths:
            archive.write(path, path.relative_to(dist))
    unpacked = sum(path.stat().st_size for path in paths)
    return Package(target, len(paths), target.stat().st_size / 1e6, unpacked / 1e6)


def cold_import(package: Package, folder: Path, *, runs: int = 5) -> float:
    """Median seconds to import function_app from the unpacked zip, with nothing else installed."""
    with zipfile.ZipFile(package.path) as archive:
        archive.extractall(folder)
    measure = (
        "import sys, time; sys.path[:0] = sys.argv[1:]; began = time.perf_counter(); import function_app; "
        "print(time.perf_counter() - began)"
    )
    times = []
    for _ in range(runs):
        run = subprocess.run(
            [sys.executable, "-I", "-S", "-B", "-c", measure, folder, folder / SITE_PACKAGES],
            capture_output=True,
            text=True,
            check=False,
        )
        if run.returncode:
            raise PackageError(f"function_app does not import from the package:\n{run.stderr}")
        times.append(float(run.stdout))
    return statistics.median(times)


cli = typer.Typer(add_completion=False)


@cli.command()
def main(
    dist: Annotated[Path, typer.Option(help="The folder to fill.")] = ROOT / "dist",
) -> None:
    """Fill dist/ with what is deployed, and say how large it is and how fast it starts."""
    try:
        dist.mkdir(parents=True, exist_ok=True)
        build(ROOT, dist)
        with tempfile.TemporaryDirectory() as temporary:
            package = pack(dist, Path(temporary, "app.zip"))
            seconds = cold_import(package, Path(temporary, "unpacked"))
    except PackageError as exc:
        typer.echo(exc, err=True)
        raise typer.Exit(1) from exc
    typer.echo(
        f"{dist.name}/: {package.files:,} files, {package.unpacked:.0f} MB, {package.zipped:.1f} MB zipped\n"
        f"cold import of function_app from the unpacked zip: {seconds:.2f} s"
    )
    if not has_bytecode(dist):
        typer.echo(
            "without bytecode, so a cold start takes about three times as long: Azure runs Python 3.13, "
            f"this is {sys.version_info[0]}.{sys.version_info[1]}. Make .venv with Python 3.13 to mend it.",
            err=True,
        )


if __name__ == "__main__":
    cli()
