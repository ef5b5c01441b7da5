"""The tools that are measured: how each is built, called and asked for its version."""

import dataclasses
import glob
import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from typing import Callable

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BENCH = os.path.join(ROOT, "bench")
BUILD = os.path.join(ROOT, "build", "bench")
WEIR = os.path.join(ROOT, "build", "weir")
PYTHON = "/usr/bin/python3"
CERTIFICATE = os.path.join(BUILD, "certificate.pem")
SERVER = ["server.c", "channel.c", "stream.c", "json.c"]


@dataclass
class Tool:
    """A receiver. `volumes` says how many MiB of payload make about a second of CPU time or more,
    by message size; `parse` makes (messages, bytes) of what it printed."""

    name: str
    title: str
    volumes: dict
    build: Callable
    command: Callable
    version: Callable
    parse: Callable
    counts_wire_bytes: bool = False


def built(name):
    return os.path.join(BUILD, name)


def is_newer(target, *sources):
    if not os.path.exists(target):
        return False
    return all(os.path.getmtime(target) >= os.path.getmtime(source) for source in sources)


def compile_with(compiler, sources, name, *libraries):
    paths = [os.path.join(BENCH, source) for source in sources]
    headers = glob.glob(os.path.join(BENCH, "*.h"))
    if not is_newer(built(name), *paths, *headers):
        subprocess.run([*compiler, "-o", built(name), *paths, *libraries], check=True)


def compile_c(sources, name, *libraries):
    compiler = [os.environ.get("CC", "cc"), "-std=c11", "-D_GNU_SOURCE", "-DZLIB_CONST", "-O2"]
    compile_with([*compiler, "-Wall", "-Wextra"], sources, name, *libraries)


def build_beast():
    compiler = [os.environ.get("CXX", "c++"), "-std=c++17", "-O2", "-Wall", "-Wextra"]
    header_only = "-DBOOST_ERROR_CODE_HEADER_ONLY"
    compile_with([*compiler, header_only], ["peers/beast.cpp"], "peer-beast", "-lpthread")


def build_go():
    """With Debian's packages as the only source of modules: nothing is downloaded."""
    source = os.path.join(BENCH, "peers", "go", "receive.go")
    environment = {"GOPATH": "/usr/share/gocode", "GO111MODULE": "off"}
    environment["GOCACHE"] = built("go-cache")
    if not is_newer(built("peer-go"), source):
        command = ["go", "build", "-o", built("peer-go"), source]
        subprocess.run(command, check=True, env={**os.environ, **environment})


def build_node():
    """In the build directory, so that no node_modules appears among the sources."""
    target = built("peer-node")
    lock = os.path.join(target, "package-lock.json")
    source = os.path.join(BENCH, "peers", "node")
    stamp = os.path.join(target, "node_modules", ".package-lock.json")
    shutil.copytree(source, target, dirs_exist_ok=True)
    if not is_newer(stamp, lock):
        command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"]
        subprocess.run(command, check=True, cwd=target)


def make_certificate():
    """With its key in the same file."""
    if os.path.exists(CERTIFICATE):
        return
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    names = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    files = ["-nodes", "-days", "3650", "-keyout", "-", "-out", "-"]
    text = output_of(*command, *names, *files)
    with open(CERTIFICATE, "w", encoding="ascii", opener=private) as file:
        file.write(text)


def private(path, flags):
    return os.open(path, flags, 0o600)


def build(chosen):
    os.makedirs(BUILD, exist_ok=True)
    compile_c(["source.c", *SERVER], "source", "-lnettle", "-lssl", "-lcrypto", "-lz")
    compile_c(["measure.c"], "measure")
    make_certificate()
    for tool in chosen:
        tool.build()


def plain(*command):
    return lambda url, directory: [*command, url, directory]


def parse_plain(stdout, _stderr):
    messages, size = stdout.split()
    return int(messages), int(size)


def parse_weir(_stdout, stderr):
    status = json.loads(stderr.strip().splitlines()[-1])
    return status["messages"], status["bytes"]


def weir_command(url, directory, program=WEIR):
    trust = ["--cacert", CERTIFICATE] if url.startswith("wss:") else []
    rest = ["--dir", directory, "--status", "json", "--", "true"]
    return [program, "capture", url, *trust, *rest]


def limit_command(url, directory):
    return [built("limit"), url, directory, *([CERTIFICATE] if url.startswith("wss:") else [])]


def build_limit():
    compile_c(["limit.c", "channel.c"], "limit", "-lssl", "-lcrypto")


def output_of(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def package_version(package):
    return output_of("dpkg-query", "--show", "--showformat=${source:Upstream-Version}", package)


def node_version():
    with open(built("peer-node/node_modules/ws/package.json"), encoding="utf-8") as file:
        return f"ws {json.load(file)['version']}, Node {output_of('node', '--version')[1:]}"


def python_version():
    python = output_of(PYTHON, "-c", "import platform; print(platform.python_version())")
    return f"websockets {package_version('python3-websockets')}, Python {python}"


def go_version():
    gorilla = package_version("golang-github-gorilla-websocket-dev")
    return f"gorilla/websocket {gorilla}, {output_of('go', 'version').split()[2]}"


def nothing():
    pass


def other_weir(program):
    """Another build of weir, to compare with."""
    return dataclasses.replace(
        TOOLS["weir"],
        name="other",
        title=f"weir before: {program}",
        command=lambda url, directory: weir_command(url, directory, program),
        version=lambda: output_of(program, "--version").splitlines()[0],
    )


TOOLS = {
    tool.name: tool
    for tool in [
        Tool(
            "limit",
            "`limit`: recv() and write() only",
            {100: 3072, 200: 3072, 4096: 3072, 65536: 3072},
            build_limit,
            limit_command,
            lambda: "",
            parse_plain,
            counts_wire_bytes=True,
        ),
        Tool(
            "weir",
            "**weir capture**",
            {100: 2048, 200: 2048, 4096: 3072, 65536: 3072},
            nothing,
            weir_command,
            lambda: output_of(WEIR, "--version").splitlines()[0],
            parse_weir,
        ),
        Tool(
            "beast",
            "Boost.Beast (C++)",
            {100: 896, 200: 1280, 4096: 2048, 65536: 2560},
            build_beast,
            plain(built("peer-beast")),
            lambda: f"Boost {package_version('libboost-dev')}",
            parse_plain,
        ),
        Tool(
            "go",
            "gorilla/websocket (Go)",
            {100: 640, 200: 1024, 4096: 2048, 65536: 2560},
            build_go,
            plain(built("peer-go")),
            go_version,
            parse_plain,
        ),
        Tool(
            "node",
            "ws (Node)",
            {100: 128, 200: 256, 4096: 1024, 65536: 1024},
            build_node,
            plain("node", built("peer-node/receive.js")),
            node_version,
            parse_plain,
        ),
        Tool(
            "lws",
            "libwebsockets (C)",
            {100: 128, 200: 192, 4096: 256, 65536: 256},
            lambda: compile_c(["peers/lws.c"], "peer-lws", "-lwebsockets"),
            plain(built("peer-lws")),
            lambda: f"libwebsockets {package_version('libwebsockets-dev')}",
            parse_plain,
        ),
        Tool(
            "python",
            "websockets (Python)",
            {100: 24, 200: 48, 4096: 512, 65536: 768},
            nothing,
            plain(PYTHON, os.path.join(BENCH, "peers", "python", "receive.py")),
            python_version,
            parse_plain,
        ),
    ]
}
