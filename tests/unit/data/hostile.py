"""Archives and raw HTTP answers made by hand, as no library would make them."""

import contextlib
import io
import lzma
import socketserver
import struct
import tarfile
import threading
import zlib


def zip_of(*members):
    """A ZIP archive of members as they are given: name, method, packed bytes, size, CRC-32, flags.

    The size and the CRC-32 are those that the archive declares.
    """
    body, directory = b"", b""
    for name, method, packed, size, crc, flags in members:
        encoded = name.encode()
        rest = struct.pack(
            "<HHHHIIIHH", flags, method, 0, 33, crc, len(packed), size, len(encoded), 0
        )
        offset = len(body)
        body += b"PK\x03\x04" + struct.pack("<H", 63) + rest + encoded + packed
        directory += b"PK\x01\x02" + struct.pack("<HH", 63, 63) + rest
        directory += struct.pack("<HHHII", 0, 0, 0, 0, offset) + encoded
    end = struct.pack("<HHHHIIH", 0, 0, len(members), len(members), len(directory), len(body), 0)
    return body + directory + b"PK\x05\x06" + end


def packed_member(name, method, packed, content, size=None, flags=0):
    """A member of `zip_of` that declares the truth, unless another size is given."""
    declared = len(content) if size is None else size
    return name, method, packed, declared, zlib.crc32(content), flags


def zip_lzma(content, dictionary=1 << 16):
    """The bytes of a member compressed by LZMA (method 14), with a dictionary as declared."""
    filters = [{"id": lzma.FILTER_LZMA1, "dict_size": 1 << 16, "lc": 3, "lp": 0, "pb": 2}]
    packed = lzma.compress(content, lzma.FORMAT_RAW, filters=filters)
    return struct.pack("<BBHBI", 9, 4, 5, 93, dictionary) + packed


def xz_with_dictionary(content, code):
    """An .xz file whose header asks for a dictionary of the size with this code (40: 4 GiB)."""
    packed = bytearray(lzma.compress(content, preset=0))
    end = 12 + (packed[12] + 1) * 4  # of the block header, whose last four bytes are a CRC-32
    place = packed.index(b"\x21\x01", 12, end) + 2
    packed[place] = code
    packed[end - 4 : end] = struct.pack("<I", zlib.crc32(bytes(packed[12 : end - 4])))
    return bytes(packed)


def sparse_tar(name, size, data=b"", old=False):
    """A tar with a sparse file of a declared size, of which only `data` at its start is stored."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w", format=tarfile.PAX_FORMAT) as file:
        if old:
            header = bytearray(tarfile.TarInfo(name).tobuf(tarfile.GNU_FORMAT))
            header[156:157] = tarfile.GNUTYPE_SPARSE
            header[124:136] = b"%011o\0" % len(data)
            header[386:410] = b"%011o\0%011o\0" % (0, len(data))
            header[410:434] = b"%011o\0%011o\0" % (size, 0)
            header[483:495] = b"%011o\0" % size
            header[148:156] = b" " * 8
            header[148:156] = b"%06o\0 " % sum(header)
            padding = bytes(-len(data) % 512)
            return bytes(header) + data + padding + bytes(10240)
        member = tarfile.TarInfo(f"GNUSparseFile.0/{name}")
        regions = b"2\n0\n%d\n%d\n0\n" % (len(data), size)
        stored = regions.ljust(512, b"\0") + data
        member.size = len(stored)
        member.pax_headers = {
            "GNU.sparse.major": "1",
            "GNU.sparse.minor": "0",
            "GNU.sparse.name": name,
            "GNU.sparse.realsize": str(size),
        }
        file.addfile(member, io.BytesIO(stored))
    return content.getvalue()


@contextlib.contextmanager
def answering(script, context=None, host="127.0.0.1", eager=False):
    """A server that answers with raw bytes: `script(number, headers)` yields them piece by piece.

    Yields its port and the list of the requests' headers. With a TLS `context` it is an https
    server; an `eager` one waits for no request.
    """
    asked = []

    class Handler(socketserver.StreamRequestHandler):
        def handle(self):
            headers = {}
            with contextlib.suppress(OSError, ValueError):
                while not eager and (line := self.rfile.readline().decode("latin-1").strip()) != "":
                    name, _, value = line.partition(":")  # the first line is none
                    headers[name.lower()] = value.strip()
                asked.append(headers)
                for piece in script(len(asked), headers):
                    self.wfile.write(piece)
                    self.wfile.flush()

    class Server(socketserver.ThreadingTCPServer):
        allow_reuse_address = daemon_threads = True

        def get_request(self):
            connection, address = super().get_request()
            if context:
                connection = context.wrap_socket(connection, server_side=True)
            return connection, address

        def handle_error(self, request, client_address):
            pass

    with Server((host, 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server.server_address[1], asked
        server.shutdown()


def answer(status, body=b"", **headers):
    """A whole answer; names of headers with _ for -."""
    headers.setdefault("Content_Length", len(body))
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in headers.items() if value != ""]
    return "\r\n".join([f"HTTP/1.1 {status}", *lines, "Connection: close", "", ""]).encode() + body
