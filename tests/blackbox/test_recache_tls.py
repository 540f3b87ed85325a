"""Render services whose certificate can't be believed: they get no page, the status says why, and the others do."""
import signal

import certs
import pytest
from program import until
from recaching import DESKTOP, Recache, options
from repos import unique

import scripted


@pytest.fixture(scope='module')
def keys(tmp_path_factory):
    return certs.make(str(tmp_path_factory.mktemp('recache-tls')))


@pytest.mark.parametrize('fault, reason', [('expired', 'the certificate has expired'),
                                           ('wrong_host', 'the certificate is for another host name'),
                                           ('unknown_ca', 'the certificate is not signed by a known authority')])
def test_a_service_with_a_wrong_certificate_gets_nothing(larder, keys, fault, reason):
    with scripted.Scripted(pool=4, cert=getattr(keys, fault)) as wrong, \
         scripted.Scripted(pool=4, cert=keys.good) as right:
        one = larder(options([wrong.url], ca=keys.ca))
        api = Recache(one)
        url = 'https://localhost/' + unique('page')
        api.queue([url])
        state = until(lambda: [s for s in api.status()['services'] if s['last_error']], 'the reason')[0]
        assert state['last_error'].endswith(reason)
        assert (state['is_reachable'], state['pages'], state['load']) == (False, 0, 0)
        assert wrong.asked == [] and api.waiting() == 1 and api.dead()['total'] == 0
        one.configure(recache__render_services=[{'url': wrong.url}, {'url': right.url}])
        one.signal(signal.SIGHUP)
        api.settle()
        assert api.page(url, DESKTOP).status == 200 and wrong.asked == []
