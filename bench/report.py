"""What a bench run found, as it goes along on the terminal and at the end as Markdown."""
import os
import platform
import re

from rig import histogram, quantile

LAG = 'larder_loop_lag_seconds'
LAG_AIM_MS = 1.024             # a bound of the histogram

HEAD = '''# Figures

Written by `make bench` (`make bench T=quick` for a short run, `RECORDS=100000` for a smaller store). Larder and its
yardsticks ran on this machine in turns, the server on one processor and wrk on the other; each figure is the median of
%(rounds)d rounds of %(seconds)d s. Compare within this file only. **CPU µs** is the server's processor time, user and
system, over the requests it answered: on a machine where wrk is as dear as the server, the one figure that is the
server's own.

* **(c)** is `yard_uv.c`: libuv, llhttp, one comparison of the key, one LMDB read that gives the ready answer, nothing else.
* **nginx** is `return 200` with the same body, one worker.
* **Redis** is redis-server 7 with `appendonly yes`, `appendfsync always`, which takes the same URLs as pipelined `ZADD`s.
* **made anew**: every request has a target that was not asked before, so Larder decodes records and writes JSON for each.
  Otherwise targets repeat and nothing is written meanwhile: Larder gives an answer again until what it was made of changes.

%(machine)s

'''


def machine():
    with open('/proc/cpuinfo', encoding='utf-8') as f:
        text = f.read()

    def field(name):
        found = re.search(r'^%s\s*: (.*)$' % name, text, re.M)
        return found.group(1) if found else '?'
    memory = os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 2**30
    return 'Machine: %s (model %s, %s MHz), %d processors, %.0f GiB, Linux %s.' % (
        field('model name'), field('model'), field('cpu MHz').split('.')[0], os.cpu_count(), memory, platform.release())


class Report:
    def __init__(self, rig):
        self.head = HEAD % {'rounds': rig.rounds, 'seconds': rig.seconds, 'machine': machine()}
        self.rows, self.aims, self.texts, self.failed = [], [], [], 0

    def runs(self, title, figures):
        """One line for each server that answered the same questions."""
        for name, run in figures.items():
            self.failed += run.failed
            cells = (title, name, '{:,.0f}'.format(run.rate), '%.0f' % run.p50, '{:,.0f}'.format(run.p99),
                     '%.2f' % run.cpu)
            self.rows.append(cells)
            print('  '.join(cell.ljust(width) for cell, width in zip(cells, (34, 22, 9, 7, 8, 7))), flush=True)
            title = ''

    def aim(self, what, value, aimed, unit='', at_least=False):
        """A figure beside what it should be: at most `aimed`, or at least."""
        reached = value >= aimed if at_least else value <= aimed
        number = '%.2f' if abs(value) < 10 and value != int(value) else '%.0f'
        cells = (what, number % value + unit, ('≥ ' if at_least else '≤ ') + '%g' % aimed + unit,
                 'yes' if reached else '**no**')
        self.aims.append(cells)
        print('%-66s %12s   %s%s' % (what, cells[1], cells[2], '' if reached else '   NOT REACHED'), flush=True)

    def fact(self, what, value):
        self.aims.append((what, value, '', ''))
        print('%-66s %12s' % (what, value), flush=True)

    def loop_held(self, during, server, before):
        """`before`: histogram(server, LAG) when it began."""
        self.aim('loop held by one callback, in %s: p99.9 below' % during,
                 quantile(before, histogram(server, LAG), 0.999) * 1e3, LAG_AIM_MS, ' ms')

    def memory(self, name, server):
        self.fact(name + ': resident, and of that not pages of files',
                  '%.1f MB, %.1f MB' % tuple(n / 1e6 for n in server.resident()))

    def text(self, title, block):
        self.texts.append('## %s\n\n```\n%s\n```\n' % (title, block.rstrip()))

    def write(self, path):
        def table(head, rows):
            lines = [head, tuple('---:' if i else '---' for i in range(len(head))), *rows]
            return '\n'.join('| %s |' % ' | '.join(line) for line in lines) + '\n'
        parts = [self.head, '## Aims\n\n', table(('what', 'figure', 'aim', 'reached'), self.aims),
                 '\n## Under load\n\n',
                 table(('what', 'server', 'requests/s', 'p50 µs', 'p99 µs', 'CPU µs'), self.rows),
                 '\nAnswers that failed: %d.\n' % self.failed, *('\n' + text for text in self.texts)]
        with open(path, 'w', encoding='utf-8') as f:
            f.write(''.join(parts))
