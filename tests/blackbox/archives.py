"""Archives that mean harm: each function returns the bytes of one, to be served with the 'body' fault.

They are built block by block, because the usual libraries refuse to write most of them.  Every one of them
also holds an honest skill, `skills/honest`, unless its docstring says otherwise, so that a test can see
whether the rest of the archive was still read.
"""
import gzip
import struct
import zlib

from repos import front, path_bytes

BLOCK = 512
REGULAR, SYMLINK, HARDLINK, DIRECTORY, FIFO, LONG_NAME, PAX = b'0', b'2', b'1', b'5', b'6', b'L', b'x'
HONEST = front(name='honest', description='An honest skill')


def header(path, size=0, kind=REGULAR, link=''):
    """A ustar header; a path of more than 100 bytes must be announced by `long_name` before it."""
    name = path if isinstance(path, bytes) else path_bytes(path)
    target = link if isinstance(link, bytes) else path_bytes(link)
    length = b'%011o\0' % size if size < 8 ** 11 else b'\x80' + size.to_bytes(11, 'big')
    fields = [name[:100].ljust(100, b'\0'), b'0000644\0', b'0000000\0', b'0000000\0', length,
              b'14735400000\0', b' ' * 8, kind, target[:100].ljust(100, b'\0'), b'ustar\00000']
    block = b''.join(fields).ljust(BLOCK, b'\0')
    return block[:148] + b'%06o\0 ' % sum(block) + block[156:]


def entry(path, data=b'', kind=REGULAR, link=''):
    data = data.encode() if isinstance(data, str) else data
    return header(path, len(data), kind, link) + data + b'\0' * (-len(data) % BLOCK)


def long_name(path):
    """The GNU announcement of a long path."""
    name = path if isinstance(path, bytes) else path_bytes(path)
    return entry('././@LongLink', name + b'\0', LONG_NAME)


def tar(*entries, top='acme-x-0123456', honest=True):
    """The entries below one top folder, as GitHub ships them, with the honest skill first."""
    parts = [entry(top + '/', kind=DIRECTORY)]
    if honest:
        parts.append(entry(top + '/skills/honest/SKILL.md', HONEST))
    return b''.join(parts) + b''.join(entries) + b'\0' * (2 * BLOCK)


def packed(*entries, **how):
    return gzip.compress(tar(*entries, **how), 1)


def bomb(megabytes=1024):
    """A file of zeros that packs about a thousand to one."""
    size = megabytes << 20
    chunk = bytes(1 << 20)
    head = tar()[:-2 * BLOCK] + header('acme-x-0123456/skills/honest/zeros.bin', size)
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    body = packer.compress(head) + packer.flush(zlib.Z_FULL_FLUSH)
    one = packer.compress(chunk) + packer.flush(zlib.Z_FULL_FLUSH)     # the same bytes whenever it comes
    end = packer.compress(bytes(2 * BLOCK)) + packer.flush(zlib.Z_FINISH)
    crc = zlib.crc32(head)
    for _ in range(megabytes):
        crc = zlib.crc32(chunk, crc)
    crc = zlib.crc32(bytes(2 * BLOCK), crc)
    total = len(head) + size + 2 * BLOCK
    return (b'\x1f\x8b\x08\0\0\0\0\0\0\x03' + body + one * megabytes + end +
            struct.pack('<II', crc, total & 0xffffffff))


def climbing(top='acme-x-0123456'):
    """Paths that lead out of the tree, upwards, absolutely, and in disguise."""
    evil = front(name='evil', description='Must never be seen')
    return packed(entry(top + '/../../skills/evil-up/SKILL.md', evil),
                  entry('/skills/evil-absolute/SKILL.md', evil),
                  entry(top + '/skills/../../evil-inner/SKILL.md', evil),
                  entry(top + '/skills/./evil-dot/../../../SKILL.md', evil),
                  entry('../evil-bare/SKILL.md', evil),
                  entry(top + '/skills\\..\\evil-back/SKILL.md', evil))


def linking(secret='/etc/passwd', top='acme-x-0123456'):
    """Links to places outside, links in a circle, and a thing that is no file."""
    return packed(entry(top + '/skills/link-absolute/SKILL.md', kind=SYMLINK, link=secret),
                  entry(top + '/skills/link-up/SKILL.md', kind=SYMLINK, link='../../../../../..' + secret),
                  entry(top + '/skills/link-hard/SKILL.md', kind=HARDLINK, link=secret),
                  entry(top + '/skills/link-folder', kind=SYMLINK, link='/etc'),
                  entry(top + '/skills/link-folder/SKILL.md', 'through a link'),
                  entry(top + '/skills/link-circle/SKILL.md', kind=SYMLINK, link='SKILL.md'),
                  entry(top + '/skills/evil-fifo/SKILL.md', kind=FIFO))


def many_entries(count, top='acme-x-0123456'):
    """`count` empty files, cheap to make: one header, patched."""
    blank = header(top + '/many/000000.txt')
    at = len(top) + 6
    total = sum(blank[:148]) + 8 * 32 + sum(blank[156:]) - 6 * 48
    parts = []
    for i in range(count):
        digits = b'%06d' % i
        checksum = b'%06o\0 ' % (total + sum(digits))
        parts.append(blank[:at] + digits + blank[at + 6:148] + checksum + blank[156:])
    return packed(*parts, top=top)


def foreign_bytes(top=b'acme-x-0123456'):
    """Names and contents that are not UTF-8."""
    latin = b'---\nname: latin\ndescription: caf\xe9 \xff\n---\n'
    return packed(entry(top + b'/skills/bad-\xff\xfe-name/SKILL.md', front(name='x', description='x')),
                  entry(top + b'/skills/latin/SKILL.md', latin),
                  entry(top + b'/skills/binary/SKILL.md', bytes(range(256)) * 20))


def truncated():
    """Ends in the middle of the compressed stream."""
    whole = packed(entry('acme-x-0123456/filler.bin', bytes(range(256)) * 400))
    return whole[:len(whole) // 2]


def bad_crc():
    """Everything is there, but the checksum at the end is not that of the data."""
    whole = packed()
    return whole[:-8] + struct.pack('<I', zlib.crc32(b'other')) + whole[-4:]


def bad_header():
    """A tar header whose checksum is wrong, behind a good one."""
    rotten = bytearray(entry('acme-x-0123456/skills/rotten/SKILL.md', front(name='rotten', description='x')))
    rotten[0:4] = b'zzzz'
    return packed(bytes(rotten))


def lying_size():
    """An entry that claims more bytes than follow."""
    liar = header('acme-x-0123456/skills/liar/SKILL.md', 1 << 40)
    return gzip.compress(tar()[:-2 * BLOCK] + liar + b'short')


def not_gzip():
    """A page of HTML, as a tired proxy would send; no honest skill."""
    return b'<html><body>Service unavailable</body></html>' * 20


def nothing():
    """No byte at all; no honest skill."""
    return b''
