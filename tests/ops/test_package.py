"""`make package`: what is in it, that it runs with nothing else installed, and what is not in it."""

import os
import re
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from importlib.util import cache_from_source
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name
from typer.testing import CliRunner

from local.host.worker import Worker
from ops import package
from ops.package import SITE_PACKAGES, PackageError
from tests.funcignore import Ignored
from tests.test_lock import locked

ROOT = Path(__file__).parent.parent.parent
FOLDERS = tuple(f"{name}/" for name in package.FOLDERS)

pytestmark = pytest.mark.timeout(300)  # pip, on a slow line
UNCHECKED_HASH = 0b01
"""The flags of a .pyc that is never checked against its source (PEP 552)."""


@dataclass(frozen=True, slots=True)
class Built:
    """What the command made, and what it printed of it."""

    dist: Path
    printed: str

    @property
    def installed(self) -> Path:
        return self.dist / SITE_PACKAGES


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """The package, made once, as installing takes seconds."""
    dist = tmp_path_factory.mktemp("package") / "dist"
    with pytest.MonkeyPatch.context() as patch:
        if "FAKETIME" in os.environ:  # with a moved clock, pip refuses every certificate
            patch.delenv("LD_PRELOAD")
        result = CliRunner().invoke(package.cli, ["--dist", str(dist)])
    assert result.exit_code == 0, result.output
    return Built(dist, result.output)


def test_the_command_prints_size_and_cold_import(built: Built) -> None:
    assert re.fullmatch(
        r"dist/: [\d,]+ files, \d+ MB, \d+\.\d MB zipped\n"
        r"cold import of function_app from the unpacked zip: \d+\.\d\d s\n",
        built.printed,
    )


def test_a_zip_holds_everything_but_azds_rules(tmp_path: Path) -> None:
    (tmp_path / "dist" / "__pycache__").mkdir(parents=True)
    for name in ("a.py", "__pycache__/a.pyc", ".funcignore"):
        (tmp_path / "dist" / name).write_text("1", encoding="utf-8")

    zipped = package.pack(tmp_path / "dist", tmp_path / "app.zip")

    with zipfile.ZipFile(zipped.path) as archive:
        assert sorted(archive.namelist()) == ["__pycache__/a.pyc", "a.py"]
    assert zipped.files == 2


def test_every_requirement_is_installed_for_linux_and_python_3_13(built: Built) -> None:
    wanted = locked("requirements").keys()
    present = {canonicalize_name(path.name.split("-")[0]) for path in built.installed.glob("*.dist-info")}
    compiled = [path.name for path in built.installed.rglob("*.so")]

    assert wanted == present
    assert compiled
    assert all("cpython-313-x86_64-linux-gnu" in name or ".abi3." in name for name in compiled)


def test_it_holds_what_is_deployed_and_nothing_else(built: Built) -> None:
    present = {path.name for path in built.dist.iterdir()}

    assert present == {
        ".funcignore",
        ".python_packages",
        "__pycache__",
        "function_app.py",
        "host.json",
        "requirements.txt",
        "shared",
        "web",
    }
    assert [path.name for path in (built.dist / "web").iterdir()] == ["build"]
    assert (built.dist / "web" / "build" / "console.html").is_file()
    assert not list(built.dist.rglob("tests"))
    assert not list(built.dist.rglob("*.env"))


def test_every_module_has_bytecode_that_is_never_checked(built: Built) -> None:
    sources = list(built.dist.rglob("*.py"))
    compiled = [Path(cache_from_source(str(path))) for path in sources]

    assert len(sources) > 100
    assert [path for path in compiled if not path.is_file()] == []
    assert {int.from_bytes(path.read_bytes()[4:8], "little") for path in compiled} == {UNCHECKED_HASH}


def test_the_app_has_all_its_functions_with_nothing_else_installed(built: Built, worker: Worker) -> None:
    script = (
        "import sys; sys.path[:0] = sys.argv[1:]; import function_app; "
        "print(*sorted(f.get_function_name() for f in function_app.app.get_functions()))"
    )
    run = subprocess.run(
        [sys.executable, "-I", "-S", "-B", "-c", script, built.dist, built.installed],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )

    assert run.stdout.split() == sorted(function.name for function in worker.functions)


def test_what_is_imported_later_is_in_it_too(built: Built) -> None:
    script = (
        "import sys; sys.path[:0] = sys.argv[1:]; import azure.identity.aio, azure.data.tables.aio, "
        "azure.storage.blob.aio, dateutil.rrule, dotenv, phonenumbers, twilio.rest, tzdata"
    )
    subprocess.run(
        [sys.executable, "-I", "-S", "-B", "-c", script, built.dist, built.installed],
        capture_output=True,
        timeout=60,
        check=True,
    )


def test_azd_is_told_to_keep_the_bytecode(built: Built) -> None:
    rules = (built.dist / ".funcignore").read_text(encoding="utf-8").splitlines()

    assert [rule for rule in rules if rule and not rule.startswith("#")] == [".funcignore"]


def test_unchanged_dependencies_are_not_installed_again(built: Built) -> None:
    one = built.dist / SITE_PACKAGES / "six.py"
    before = one.stat().st_mtime_ns
    leftover = built.dist / "shared" / "leftover.py"
    leftover.write_text("", encoding="utf-8")

    package.build(ROOT, built.dist)

    assert one.stat().st_mtime_ns == before
    assert not leftover.exists()


def test_a_dependency_without_a_wheel_for_linux_is_an_error(tmp_path: Path) -> None:
    requirements = tmp_path / "requirements.txt"
    requirements.write_text(f"six==0.9.0 --hash=sha256:{'0' * 64}\n", encoding="utf-8")

    with pytest.raises(PackageError, match=r"Linux and Python 3\.13:\n(.|\n)*six==0\.9\.0"):
        package.install(requirements, tmp_path / "dist")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "function_app.py").write_text("", encoding="utf-8")

    with pytest.raises(PackageError, match=r"host\.json is missing in"):
        package.build(tmp_path, tmp_path / "dist")


def test_pages_that_do_not_build_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "package.json").write_text(
        '{"scripts": {"build": "echo a broken page; exit 1"}}', encoding="utf-8"
    )

    with pytest.raises(PackageError, match="npm run build failed:\na broken page"):
        package.build_web(tmp_path)


def test_code_that_does_not_import_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "dist").mkdir()
    (tmp_path / "dist" / "function_app.py").write_text("import nothing_of_the_kind\n", encoding="utf-8")

    with pytest.raises(PackageError, match=r"does not import(.|\n)*nothing_of_the_kind"):
        package.cold_import(
            package.pack(tmp_path / "dist", tmp_path / "app.zip"), tmp_path / "unpacked", runs=1
        )


def test_func_publish_leaves_behind_what_the_package_does_not_hold() -> None:
    ignored = Ignored((ROOT / ".funcignore").read_text(encoding="utf-8"))
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    made = [
        *("web/build/console.html", "web/build/softphone.html", ".venv/bin/python", ".local/running.env"),
        *("node_modules/x/package.json", "dist/function_app.py", "local.settings.json", ".env"),
        *("shared/__pycache__/config.pyc", "__pycache__/function_app.pyc", ".azure/prod/.env"),
    ]

    deployed = {path for path in (*tracked.stdout.splitlines(), *made) if not ignored.denies(path)}

    kept = {path for path in deployed if path in package.FILES or path.startswith(FOLDERS)}
    assert deployed == kept
    assert {*package.FILES, "shared/config.py", "web/build/console.html"} <= kept


def test_a_star_in_funcignore_is_one_character_or_more() -> None:
    """So package*.json lets package.json through."""
    assert Ignored("package*.json").denies("package-lock.json")
    assert not Ignored("package*.json").denies("package.json")
    assert Ignored("ops").denies("ops/connect.py")
    assert not Ignored("ops").denies("shared/ops/x.py")
    assert not Ignored("web/*\n!web/build").denies("web/build/console.html")


def test_what_pip_alone_wants_is_left_out_and_licences_stay(built: Built) -> None:
    infos = list(built.installed.glob("*.dist-info"))
    assert infos
    for info in infos:
        assert {"METADATA"} <= {each.name for each in info.iterdir()}
        assert not {"RECORD", "INSTALLER", "WHEEL"} & {each.name for each in info.iterdir()}
    assert list(built.installed.glob("aiohttp-*.dist-info/**/LICENSE*"))
    assert not list(built.installed.rglob("py.typed"))


def test_a_folder_that_holds_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work", encoding="utf-8")
    result = CliRunner().invoke(package.cli, ["--dist", str(tmp_path)])
    assert result.exit_code == 1
    assert "is not empty and holds no package of ours" in result.output.replace("\n", " ")
    assert [each.name for each in tmp_path.iterdir()] == ["thesis.txt"]
