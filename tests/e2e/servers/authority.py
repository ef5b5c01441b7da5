"""Certificates, made when a test asks for them and never kept."""

import datetime
import ipaddress
import ssl

import pytest

try:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID
except ImportError:
    x509 = None

DAY = datetime.timedelta(days=1)


def _name(text):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _alternative(host):
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


class Authority:
    """Signs for any host. `path` is what a client has to trust."""

    def __init__(self, directory, name="weir test authority"):
        if x509 is None:
            pytest.skip("python3-cryptography is not installed")
        self._directory, self._name, self._count = directory, _name(name), 0
        self._key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._build(self._name, self._key, DAY).add_extension(
            x509.BasicConstraints(ca=True, path_length=None), critical=True)
        self.path = self._write("authority.pem", self._signed(certificate))

    def _build(self, subject, key, lasts, issuer=None):
        now = datetime.datetime.utcnow()
        return (x509.CertificateBuilder().subject_name(subject).issuer_name(issuer or self._name)
                .public_key(key.public_key()).serial_number(x509.random_serial_number())
                .not_valid_before(now - 10 * DAY).not_valid_after(now + lasts))

    def _signed(self, builder, key=None):
        certificate = builder.sign(key or self._key, hashes.SHA256())
        return certificate.public_bytes(serialization.Encoding.PEM)

    def _write(self, name, *parts):
        path = self._directory / name
        path.write_bytes(b"".join(parts))
        return path

    def issue(self, *hosts, lasts=DAY, password=None, self_signed=False):
        """The paths of a certificate for these hosts, and of its key."""
        self._count += 1
        key = ec.generate_private_key(ec.SECP256R1())
        name = _name(hosts[0])
        builder = self._build(name, key, lasts, name if self_signed else None).add_extension(
            x509.SubjectAlternativeName([_alternative(host) for host in hosts]), critical=False)
        hidden = (serialization.BestAvailableEncryption(password.encode()) if password
                  else serialization.NoEncryption())
        pem = key.private_bytes(serialization.Encoding.PEM,
                                serialization.PrivateFormat.PKCS8, hidden)
        signed = self._signed(builder, key if self_signed else None)
        return (self._write(f"{self._count}.pem", signed), self._write(f"{self._count}.key", pem))

    def context(self, *hosts, **options):
        """What a Python server needs to be one of these hosts."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.issue(*(hosts or ("localhost", "127.0.0.1", "::1")),
                                            **options))
        return context
