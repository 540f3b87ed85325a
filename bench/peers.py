"""One of our servers beside (c) and nginx with the same answers, and the tables that come of it."""
from rig import Case

NEVER = 16384                  # four times as many targets as answers are kept for: each must be made anew
NGINX_TEXT_MAX = 4000          # bytes that fit a `return`


class Peers:
    """`ours` is asked first; then (c) knows its answers (see `answer_too`). .bodies: {target: (ETag, body)}; .asks_with:
    header lines."""
    def __init__(self, rig, report, ours, name):
        self.rig, self.report, self.ours, self.name = rig, report, ours, name
        self.bodies, self.yard, self.asks_with = {}, None, ()

    def ask(self, target):
        return self.ours.ask('GET', target, headers=self.asks_with)

    def answer(self, target):
        """(ETag without quotes, body)"""
        status, headers, body = self.ask(target)
        assert status == 200, (target, status, body)
        return headers.get('etag', '"0"').strip('"'), body

    def answer_too(self, targets):
        """(c), with our answers to these."""
        self.bodies = {target: self.answer(target) for target in targets}
        self.yard = self.rig.yard(self.ours.key, [(target, *answer) for target, answer in self.bodies.items()],
                                  self.name + '-yard')

    def nginx_return(self, target, more=''):
        body = self.bodies[target][1].decode()
        assert len(body) < NGINX_TEXT_MAX and "'" not in body and '$' not in body
        return "location / { %sreturn 200 '%s'; }" % (more, body)

    def repeated(self, targets):
        return self.rig.requests('repeated', ['GET ' + target for target in targets])

    def anew(self, targets):
        """The same answers under names that nobody has used, over and over."""
        return self.rig.requests('anew', ['GET %s%sagain=%d' % (t, '&' if '?' in t else '?', i) for i, t in
                                          zip(range(NEVER), targets * (NEVER // len(targets) + 1))])

    def compare_reads(self, title, targets, nginx, aims, more=()):
        """The same answers from ours, where it still has them and where it must make each (for `more` targets like
        these), and from the yardsticks. `aims`: (peer, the ratio of CPU per request that is aimed at)."""
        repeated, anew, ours = self.repeated(targets), self.anew(list(more) or targets), 'larder'
        cases = [Case(ours, self.ours, repeated), Case('larder, made anew', self.ours, anew),
                 Case('(c)', self.yard, repeated)]
        if nginx:
            cases.append(Case('nginx', nginx, repeated))
        figures = self.rig.compare(cases)
        self.report.runs(title, figures)
        for peer, ratio in aims:
            for case in cases[:2]:
                self.report.aim('%s: CPU per request ÷ %s%s' % (title, peer, case.name[len(ours):]),
                                figures[case.name].cpu / figures[peer].cpu, ratio)
