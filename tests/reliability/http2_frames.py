"""Just enough of HTTP/2 (RFC 9113) over TLS to misuse it: frames are made by hand."""
import socket
import ssl
import struct

DATA, HEADERS, RST_STREAM, SETTINGS, PING, CONTINUATION = 0, 1, 3, 4, 6, 9
END_STREAM, END_HEADERS = 1, 4
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def _text(text):
    """An HPACK string, not Huffman coded: its length as a 7-bit prefix integer (RFC 7541, 5.1)."""
    size, head = len(text), b""
    if size < 127:
        head = bytes([size])
    else:
        size, head = size - 127, b"\x7f"
        while size >= 128:
            head += bytes([size % 128 + 128])
            size //= 128
        head += bytes([size])
    return head + text


def header(name, value):
    """A literal header field without indexing (RFC 7541, 6.2.2)."""
    return b"\x00" + _text(name) + _text(value)


CALL = b"".join(header(*pair) for pair in (
    (b":method", b"POST"), (b":scheme", b"https"), (b":authority", b"x"), (b":path", b"/hone.v1.JobService/ListJobs"),
    (b"te", b"trailers"), (b"content-type", b"application/grpc"), (b"authorization", b"Bearer nobody")))


def tls_context():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    return context


def connect(address):
    """A TLS connection that has said what HTTP/2 begins with."""
    plain = socket.create_connection(address, timeout=10)
    secure = tls_context().wrap_socket(plain)
    secure.sendall(PREFACE + frame(SETTINGS, 0, 0))
    return secure


def client_hello():
    """The first bytes of a handshake."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    handshake = tls_context().wrap_bio(incoming, outgoing)
    try:
        handshake.do_handshake()
    except ssl.SSLWantReadError:
        pass
    return outgoing.read()
