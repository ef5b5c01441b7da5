"""Functions in processes of their own, beside the one that tests."""

import ctypes
import os
import pickle
import signal
import traceback

PR_SET_PDEATHSIG = 1

libc = ctypes.CDLL(None, use_errno=True)


class Unavailable(Exception):
    """What this machine does not let us do, in a few words."""


class Apart:
    """function(*arguments) in a process of its own, which ends with the one that made it."""

    def __init__(self, function, *arguments):
        end, start = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(end)
            os._exit(self._run(start, function, arguments))
        os.close(start)
        self._answer = os.fdopen(end, "rb")

    @staticmethod
    def _run(start, function, arguments):
        signal.alarm(0)
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        try:
            answer = (function(*arguments), None)
        except BaseException as failure:  # whatever it is, it is the answer
            answer = (None, (isinstance(failure, Unavailable), str(failure),
                             traceback.format_exc()))
        with os.fdopen(start, "wb") as stream:
            pickle.dump(answer, stream)
        return 0

    def result(self):
        """What the function returned; raises Unavailable, or what else went wrong."""
        try:
            answer = self._answer.read()
        except BaseException:
            os.kill(self.pid, signal.SIGKILL)
            raise
        finally:
            self._answer.close()
            os.waitpid(self.pid, 0)
        assert answer, "the process that was to do it died"
        value, failed = pickle.loads(answer)
        if failed:
            unavailable, words, where = failed
            raise Unavailable(words) if unavailable else AssertionError(where)
        return value


def results(tasks):
    """Of all tasks, when the last one has ended."""
    return [task.result() for task in tasks]
