"""nginx in front of a WebSocket server."""

import subprocess

from harness import free_port
from servers.program import Program, find_program, listens

CONFIGURATION = """
daemon off;
pid nginx.pid;
error_log stderr;
worker_processes 1;
events {{}}
http {{
	access_log off;
	client_body_temp_path body;
	proxy_temp_path proxy;
	fastcgi_temp_path fastcgi;
	uwsgi_temp_path uwsgi;
	scgi_temp_path scgi;
	server {{
		listen 127.0.0.1:{port};
		listen 127.0.0.1:{tls_port} ssl;
		ssl_certificate certificate.pem;
		ssl_certificate_key key.pem;
		location / {{
			proxy_pass {upstream};
			proxy_http_version 1.1;
			proxy_set_header Host $host;
			proxy_set_header Upgrade $http_upgrade;
			proxy_set_header Connection upgrade;
			proxy_read_timeout {idle_limit};
		}}
		location /refused {{ return 403; }}
		location /moved {{ return 302 ws://elsewhere.invalid/feed; }}
		location /busy {{
			add_header Retry-After 7 always;
			return 503;
		}}
	}}
}}
"""


class NginxServer(Program):
    name, package = "nginx", "nginx"

    def __init__(self, upstream, idle_limit="60s"):
        self._upstream = upstream.replace("ws://", "http://")
        self._idle_limit = idle_limit
        super().__init__()

    def choose_ports(self):
        super().choose_ports()
        self._tls_port = free_port()

    def command(self):
        self._make_certificate()
        (self.directory / "conf").write_text(CONFIGURATION.format(
            port=self.port, tls_port=self._tls_port, upstream=self._upstream,
            idle_limit=self._idle_limit))
        return ["-p", self.directory, "-e", "stderr", "-c", "conf"]

    @property
    def certificate(self):
        """Signed by itself, so it is also the authority to trust."""
        return self.directory / "certificate.pem"

    @property
    def tls_url(self):
        return f"wss://localhost:{self._tls_port}/"

    def _make_certificate(self):
        if self.certificate.exists():
            return
        subprocess.run(
            [find_program("openssl", "openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt",
             "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=localhost",
             "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout",
             self.directory / "key.pem", "-out", self.certificate],
            check=True, capture_output=True, stdin=subprocess.DEVNULL)

    def ready(self):
        return listens(self.port) and listens(self._tls_port)
