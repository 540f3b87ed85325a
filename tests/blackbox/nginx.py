"""nginx with etc/nginx.conf, as it is in the tree but for addresses and folders, in front of a running Larder that has
two listeners.

    with Nginx(larder, folder) as nginx: Wire(nginx.port)
"""
import os
import re
import shutil
import socket
import subprocess

import pytest
from program import until
from wire import Wire, request

EXAMPLE = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..', 'etc', 'nginx.conf')
CLIENT = '127.0.0.2'           # so that nginx, at 127.0.0.1, is a proxy and we are not


def free_port():
    with socket.create_server(('127.0.0.1', 0)) as s:
        return s.getsockname()[1]


def adapted(text, upstreams, port, pages):
    """The example with our ports and our folder: nothing else is changed."""
    left = list(upstreams)
    text, n = re.subn(r'(\bserver\s+)(127\.0\.0\.1:\d+|unix:[^\s;]+)', lambda m: m[1] + left.pop(0), text)
    assert n == len(upstreams), 'the example has %d upstream servers' % n
    text, n = re.subn(r'\blisten\s+[^;]+;', 'listen 127.0.0.1:%d;' % port, text)
    assert n, 'the example listens nowhere'
    text, n = re.subn(r'\balias\s+[^;]+;', 'alias %s/;' % pages, text)
    assert n == 1, 'the example knows %d folders of pages' % n
    return re.sub(r'^pid\s[^;]+;', '', text, flags=re.M)


class Nginx:
    def __init__(self, larder, folder):
        program = shutil.which('nginx') or shutil.which('nginx', path='/usr/sbin')
        if not program:
            pytest.skip('nginx is not installed')
        self.folder = str(folder)
        self.port = free_port()
        with open(EXAMPLE, encoding='utf-8') as f:
            text = adapted(f.read(), [name[len('http://'):] for name in larder.listeners], self.port,
                           os.path.join(larder.data, 'pages'))
        config = os.path.join(self.folder, 'nginx.conf')
        with open(config, 'w', encoding='utf-8') as f:
            f.write(text)
        os.makedirs(os.path.join(self.folder, 'logs'), exist_ok=True)
        settings = 'daemon off; pid %s;' % os.path.join(self.folder, 'nginx.pid')
        if os.geteuid() == 0:
            settings += ' user root;'          # workers that may read the tests' folders
        self.command = [program, '-p', self.folder, '-c', config, '-g', settings]
        self.process = None

    def __enter__(self):
        out = os.path.join(self.folder, 'nginx.out')
        with open(out, 'wb') as f:
            self.process = subprocess.Popen(self.command, stdout=f, stderr=f)

        def answers():
            with open(out, encoding='utf-8', errors='replace') as f:
                assert self.process.poll() is None, f.read()
            try:
                with Wire(self.port) as wire:
                    return wire.send(request('GET', '/healthz')).reply().status == 200
            except OSError:
                return False
        until(answers, 'nginx to answer')
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(30)
