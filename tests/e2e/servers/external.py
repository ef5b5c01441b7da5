"""Servers and proxies that others wrote, as processes: started, waited for, and ended."""

import os
import shutil
import socket
import subprocess

import pytest

from harness import LIMIT, free_port, wait_until

TRIES = 5


def program(name):
    path = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/bin")
    if not path:
        pytest.skip(f"{name} is not installed")
    return path


def listens(port):
    try:
        socket.create_connection(("127.0.0.1", port), LIMIT).close()
    except OSError:
        return False
    return True


class External:
    """A process that listens on a port of its own. Another process can take the port between the
    choice and the start: then the server ends at once, and another port is tried."""

    def __init__(self, directory):
        self.directory = directory
        for _ in range(TRIES):
            self.port = free_port()
            with open(directory / "log", "ab") as log:
                self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL,
                                                stdout=log, stderr=log)
            wait_until(lambda: self.process.poll() is not None or listens(self.port),
                       f"{self.command()[0]} listens")
            if self.process.poll() is None:
                return
        raise AssertionError(f"cannot start it: {self.log()}")

    def command(self):
        raise NotImplementedError

    def log(self):
        return (self.directory / "log").read_text(errors="replace")

    def kill(self):
        self.process.kill()
        self.process.wait(LIMIT)

    finish = kill


class Nginx(External):
    """Ends TLS, if a certificate is given, and passes everything on to `upstream`, a port."""

    def __init__(self, directory, upstream, certificate=None, more=""):
        self._upstream, self._certificate, self._more = upstream, certificate, more
        super().__init__(directory)
        self.url = f"{'wss' if certificate else 'ws'}://127.0.0.1:{self.port}/"

    def command(self):
        path = self.directory / "nginx.conf"
        path.write_text(self._configuration())
        return [program("nginx"), "-e", "stderr", "-p", self.directory, "-c", path]

    def _configuration(self):
        temp = "".join(f"{kind}_temp_path {self.directory}/{kind};\n" for kind in
                       ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        tls = ""
        if self._certificate:
            tls = "ssl_certificate {}; ssl_certificate_key {};".format(*self._certificate)
        return f"""
            daemon off; master_process off; pid {self.directory}/pid; error_log stderr;
            events {{}}
            http {{
                access_log off; {temp}
                server {{
                    listen 127.0.0.1:{self.port} {"ssl" if tls else ""}; {tls} {self._more}
                    location / {{
                        proxy_pass http://127.0.0.1:{self._upstream};
                        proxy_http_version 1.1;
                        proxy_set_header Upgrade $http_upgrade;
                        proxy_set_header Connection upgrade;
                        proxy_buffering off;
                    }}
                }}
            }}"""


class Tinyproxy(External):
    """HTTP CONNECT. `user` is (name, password)."""

    def __init__(self, directory, user=None, more=""):
        self._user, self._more = user, more
        super().__init__(directory)

    def command(self):
        path = self.directory / "tinyproxy.conf"
        auth = "BasicAuth {} {}\n".format(*self._user) if self._user else ""
        path.write_text(f"Port {self.port}\nListen 127.0.0.1\nTimeout 60\nLogLevel Connect\n"
                        f"MaxClients 20\n{auth}{self._more}\n")
        return [program("tinyproxy"), "-d", "-c", path]


class Microsocks(External):
    """SOCKS5."""

    def __init__(self, directory, user=None):
        self._user = user
        super().__init__(directory)

    def command(self):
        auth = ["-u", self._user[0], "-P", self._user[1]] if self._user else []
        return [program("microsocks"), "-i", "127.0.0.1", "-p", str(self.port), *auth]
