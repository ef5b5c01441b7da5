"""Programs in C, compiled against an installation as a user's are."""

import json
import os
import shlex
import subprocess

import harness

BUILD = harness.weir_path().parent
WARNINGS = ["-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Wstrict-prototypes", "-Werror"]


def run(command, **options):
    done = subprocess.run(command, capture_output=True, text=True, timeout=harness.LIMIT,
                          stdin=subprocess.DEVNULL, check=False, **options)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done


def install(root):
    """Returns an environment in which pkg-config and the loader find a fresh installation."""
    run(["meson", "install", "-C", str(BUILD), "--no-rebuild", "--quiet", "--tags", "devel,runtime",
         "--destdir", str(root)])
    libraries = next(root.rglob("weir.pc")).parent.parent
    return {**os.environ, "PKG_CONFIG_SYSROOT_DIR": str(root), "LD_LIBRARY_PATH": str(libraries),
            "PKG_CONFIG_PATH": str(libraries / "pkgconfig")}


def sanitizers():
    """A program needs those that the libraries were built with."""
    options = json.loads((BUILD / "meson-info/intro-buildoptions.json").read_text())
    value = next(option["value"] for option in options if option["name"] == "b_sanitize")
    return [] if value == "none" else [f"-fsanitize={value}"]


def compiled(source, library, environment, directory):
    flags = run(["pkg-config", "--cflags", "--libs", library], env=environment).stdout.split()
    program = directory / "program"
    compiler = shlex.split(os.environ.get("CC", "cc"))
    run([*compiler, "-o", program, source, *WARNINGS, *sanitizers(), *flags], env=environment)
    return program


def environment_of(weir, installed):
    return weir.environment({key: installed[key] for key in ("LD_LIBRARY_PATH",)})
