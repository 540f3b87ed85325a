"""Certificates for the stand-in, made with the openssl command: one that is right, and three that are not.

`make(folder)` returns a Certificates; `ca` is what a client must be told to trust.  The wrong ones differ
from the right one in a single thing each: the validity, the name, or who signed it.  A folder that has
them already is used as it is.
"""
import os
import subprocess
from dataclasses import dataclass


@dataclass
class Certificates:
    ca: str
    good: tuple              # (certificate file, key file)
    expired: tuple
    wrong_host: tuple
    unknown_ca: tuple


def make(folder):
    os.makedirs(folder, exist_ok=True)

    def openssl(*args):
        subprocess.run(['openssl', *args], check=True, capture_output=True, cwd=folder)

    def authority(name):
        openssl('req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes',
                '-keyout', name + '.key', '-out', name + '.pem', '-days', '30', '-subj', '/CN=Test ' + name)

    def leaf(name, ca, names, days):
        pair = os.path.join(folder, name + '.pem'), os.path.join(folder, name + '.key')
        if os.path.exists(pair[0]):
            return pair
        openssl('req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes',
                '-keyout', name + '.key', '-out', name + '.csr', '-subj', '/CN=' + name)
        with open(os.path.join(folder, name + '.ext'), 'w', encoding='ascii') as f:
            f.write('subjectAltName=%s\n' % names)
        openssl('x509', '-req', '-in', name + '.csr', '-CA', ca + '.pem', '-CAkey', ca + '.key',
                '-CAcreateserial', '-out', name + '.pem', '-days', str(days), '-extfile', name + '.ext')
        return pair

    for name in ('ca', 'stranger'):
        if not os.path.exists(os.path.join(folder, name + '.pem')):
            authority(name)
    here = 'DNS:localhost,IP:127.0.0.1'
    return Certificates(ca=os.path.join(folder, 'ca.pem'),
                        good=leaf('good', 'ca', here, 30),
                        expired=leaf('expired', 'ca', here, -1),
                        wrong_host=leaf('elsewhere', 'ca', 'DNS:elsewhere.example.org', 30),
                        unknown_ca=leaf('unsigned', 'stranger', here, 30))
