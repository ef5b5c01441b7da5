"""usage: tempfile.py anonymous|named COUNT DIR: the same as bench/tempfile.c, by Python's tempfile."""

import sys
import tempfile
import time

case, count, directory = sys.argv[1], int(sys.argv[2]), sys.argv[3]
make = {"anonymous": tempfile.TemporaryFile, "named": tempfile.NamedTemporaryFile}[case]
begin = time.process_time_ns()
for _ in range(count):
    make(dir=directory).close()
print((time.process_time_ns() - begin) // count)
