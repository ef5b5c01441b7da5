"""What the documents show, done: programs are compiled against an installation, and shell commands
and the reader of docs/format.md are run as they stand there."""

import os
import re
import shutil

import pytest

import harness
from frames import binary, text
from programs import compiled, environment_of, run
from servers.hostile import sending
from spool_reader import records_of

ROOT = harness.ROOT
BUILD = harness.weir_path().parent
CLIENTS = {"echo.c", "receive.c"}  # see test_client.py
PROGRAMS = sorted({path.name for path in (ROOT / "examples").glob("*.c")} - CLIENTS)


def blocks(path, language):
    """The code blocks of a document, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", (ROOT / path).read_text(), re.M | re.S)


def check_count(program, weir, serve, installed):
    payloads = [b"a", b"two\nlines", b""] * 100
    url = serve(sending(b"".join(text(p) for p in payloads))).url
    out = run([program, url], cwd=weir.place.cwd, env=environment_of(weir, installed)).stdout
    assert re.match(r"300 messages, 1000 bytes in .*/00000000000000000000\.data\n", out)
    assert out.endswith("\n300 messages in all\n")


def check_read(program, weir, serve, installed):
    """It reads what a capture left, and ends, since nobody owns the spool any more."""
    spool = weir.place.root / "spool"
    weir.captured(serve(sending(text("a") * 100)).url, spool=spool)[0].expect(0)
    out = run([program, spool], cwd=weir.place.cwd, env=environment_of(weir, installed)).stdout
    assert sum(int(line.split()[1]) for line in out.splitlines()) == 100, out


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program(name, installed, weir, serve, place):
    library = "weir" if "<weir.h>" in (ROOT / "examples" / name).read_text() else "tempfile"
    program = compiled(ROOT / "examples" / name, library, installed, place.root)
    if name == "count.c":
        check_count(program, weir, serve, installed)
    elif name == "read.c":
        check_read(program, weir, serve, installed)
    else:
        assert run([program], cwd=place.cwd, env=environment_of(weir, installed)).stdout


def size_of(line, word):
    return int(re.search(rf"{word} (\d+)", line)[1])


@pytest.mark.skipif(shutil.disk_usage("/tmp").free < 4 << 30, reason="the disk is nearly full")
def test_a_gibibyte(installed, weir, place):
    """The tutorial's own numbers: 1 GiB is written, read back and counted, and disk usage rises and
    falls by it, unless somebody else writes at the same moment."""
    environment = environment_of(weir, installed)
    anonymous = compiled(ROOT / "examples/tempfile_anonymous.c", "tempfile", installed, place.root)
    assert str(1 << 30) in run([anonymous, "1024"], env=environment).stdout
    usage = compiled(ROOT / "examples/tempfile_usage.c", "tempfile", installed, place.root)

    def rises_and_falls():
        lines = run([usage, "1024"], env=environment).stdout.splitlines()
        before, during, after = (size_of(line, "used") for line in lines[1:4])
        return all(abs(during - used - (1 << 30)) < 64 << 20 for used in (before, after))

    harness.wait_until(rises_and_falls, "disk usage rises and falls by 1 GiB")


def manual_blocks(page):
    """The examples of a manual page; there the source has two backslashes for each."""
    blocks = re.findall(r"^```\n(.*?)^```$", (ROOT / "man" / page).read_text(), re.M | re.S)
    return [block.replace("\\\\", "\\") for block in blocks]


def test_the_program_of_weir_3(installed, weir, serve, place):
    source = place.root / "program.c"
    source.write_text(manual_blocks("weir.3.scd")[-1])
    check_count(compiled(source, "weir", installed, place.root), weir, serve, installed)


@pytest.mark.parametrize("number", range(1, len(manual_blocks("tempfile.3.scd"))))
def test_an_example_of_tempfile_3(number, installed, weir, place):
    headers = "errno.h stdint.h stdio.h stdlib.h string.h sys/mman.h sys/stat.h tempfile.h unistd.h".split()
    source = place.root / "program.c"
    source.write_text("".join(f"#include <{name}>\n" for name in headers)
                      + "static int example(void)\n{\n" + manual_blocks("tempfile.3.scd")[number]
                      + "}\nint main(void)\n{\n\treturn example() != 0;\n}\n")
    program = compiled(source, "tempfile", installed, place.root)
    place.may_stay(place.cwd / "result.txt")
    run([program], cwd=place.cwd, env=environment_of(weir, installed))


SHELL = blocks("examples/README.md", "sh")
EXPECTED = {  # by a word in the block: what its output must match
    "wc -l {}": r"(?s)( *\d+ \S+/\d{20}\.data\n){3,}( *\d+\n){3,}",
    "awk": r"(?s)ADA-USD +\d+\.\d{4}\n.*XRP-USD +\d+\.\d{4}\n",
    "jq": r"([A-Z]+-USD\t[\d.]+\t104\.8[\d.]*\n)+",
    "gzip": r" *\d{5}\n",
    "weir cat": r"\{.*\"sequence\":1000\}\n *1000\n *1\n",
    "false": r"exit code 1\n *500\n *1\n",
}


@pytest.mark.parametrize("word", EXPECTED)
def test_a_shell_example(word, weir, place):
    if word == "jq" and not shutil.which("jq"):
        pytest.skip("jq is not installed")
    block, = [block for block in SHELL[1:] if word in block]
    for name in ("url", "trades", "again", "archive"):
        place.may_stay(place.cwd / name)
    path = f"{BUILD}:{os.environ['PATH']}"
    script = "set -e\n" + SHELL[0] + 'trap "kill $!" EXIT\n' + block
    done = run(["bash", "-c", script], cwd=place.cwd, env=weir.environment({"PATH": path}))
    assert re.fullmatch(EXPECTED[word], done.stdout), f"{done.stdout}\n{done.stderr}"


def test_every_shell_example_is_tested():
    assert len(SHELL) == len(EXPECTED) + 1


def test_the_reader_of_the_format(weir, serve, place):
    stream = text("hello") + binary(b"\x00\n\xff") + text("") + binary(bytes(range(256)))
    result, spool = weir.captured(serve(sending(stream)).url)
    result.expect(0)
    reader = place.root / "reader.py"
    reader.write_text(blocks("docs/format.md", "python")[0])
    lines = run(["/usr/bin/python3", reader, spool]).stdout.splitlines()
    found = [(int(line.split()[0]), *line.split(maxsplit=4)[3:]) for line in lines]
    assert {line.split()[2] for line in lines} == {"0"}, "there is one source"
    assert found == [(0, "16", "0"), (1, "1", "b'hello'"), (2, "2", repr(b"\x00\n\xff")),
                     (3, "1", "b''"), (4, "2", repr(bytes(range(256)))), (5, "17", "1000")]


def undump(block):
    """The bytes of a hex dump."""
    return bytes.fromhex("".join(line[10:49] for line in block.splitlines()))


def test_the_example_of_the_format(place):
    spool = place.directory("spool")
    dumps = [undump(block) for block in blocks("docs/format.md", "") if block.startswith("0000")]
    lock, data, header, entries = dumps
    assert re.fullmatch(rb"next 0{19}4\nowner \d+ \d{10} \w+ [0-9a-f-]{36}\n", lock)
    (spool / f"{0:020}.data").write_bytes(data)
    (spool / f"{0:020}.index").write_bytes(header + entries)
    connected, hello, three, disconnected = records_of(spool)
    assert (hello.payload, three.payload) == (b"hello", b"\x00\n\xff")
    assert hello.kernel_time and three.kernel_time
    assert (connected.kind, disconnected.kind, disconnected.close_code) == (16, 17, 1000)
