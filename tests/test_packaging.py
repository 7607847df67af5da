"""What an installation holds, and what the repository must not hold."""

import configparser
import fnmatch
import re
import subprocess
from pathlib import Path

import pytest
from setuptools import find_namespace_packages
from setuptools.dist import Distribution

ROOT = Path(__file__).resolve().parents[1]
TOPS = ("async_envs", "plugins", "registry", "benchmarks")
BINARIES = (".whl", ".pyc", ".so", ".tar.gz", ".zip", ".pt", ".th")
SHIPPED = "benchmarks/results/"  # its bundles are zip files, which tests/benchmarks/leaderboard/test_shipped.py opens
OF_A_MACHINE = re.compile(r"(?<![\w./~])/(?:home|Users|root|work|mnt)/[\w.-]+")


def tracked() -> list[Path]:
    """Every file that git knows and that is there."""
    try:
        listed = subprocess.run(
            ["git", "-C", str(ROOT), "ls-files", "-z"], capture_output=True, text=True, check=True
        ).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"git cannot be asked here: {error}")
    return [ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()]


def listed_packages() -> list[str]:
    settings = configparser.ConfigParser()
    settings.read(ROOT / "setup.cfg")
    return settings["options"]["packages"].split()


def folders_with_code() -> list[str]:
    """Every folder that holds a module, written as the package it is; setuptools finds them."""
    found = find_namespace_packages(str(ROOT), include=[pattern for top in TOPS for pattern in (top, f"{top}.*")])
    found += find_namespace_packages(str(ROOT / "src"), include=["epymarl_lite", "epymarl_lite.*"])
    return sorted(name for name in found if any(folder_of(name).glob("*.py")))


def folder_of(package: str) -> Path:
    top = ROOT / "src" if package.startswith("epymarl_lite") else ROOT
    return top / package.replace(".", "/")


def test_every_folder_with_code_is_listed_as_a_package():
    assert sorted(listed_packages()) == folders_with_code()


def test_data_files_of_the_packages_are_installed():
    """All tracked data beside the code, but for results that ship, goes along (by setuptools' own build step)."""
    distribution = Distribution({"src_root": str(ROOT)})
    distribution.parse_config_files([str(ROOT / "setup.cfg")])
    patterns = distribution.package_data
    left_out = []
    for path in tracked():
        names = [name for name in listed_packages() if folder_of(name) in path.parents]
        if not names or path.suffix == ".py" or path.relative_to(ROOT).as_posix().startswith(SHIPPED):
            continue
        package = max(names, key=len)
        inside = path.relative_to(folder_of(package)).as_posix()
        accepted = [*patterns.get("", []), *patterns.get("*", []), *patterns.get(package, [])]
        if not any(fnmatch.fnmatch(inside, pattern) for pattern in accepted):
            left_out.append(str(path.relative_to(ROOT)))
    assert left_out == []


def test_no_path_of_a_machine_and_no_binary_is_in_the_repository():
    told = []
    for path in tracked():
        name = str(path.relative_to(ROOT))
        if name.endswith(BINARIES) and not name.startswith(SHIPPED):
            told.append(f"{name}: a binary")
        elif path.suffix in {".py", ".md", ".yaml", ".cfg", ".toml", ".txt", ".svg", ".cff", ""}:
            told += [f"{name}: {found}" for found in OF_A_MACHINE.findall(path.read_text(encoding="utf-8"))]
    assert told == []
