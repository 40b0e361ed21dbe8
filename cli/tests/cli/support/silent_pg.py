"""A PostgreSQL server that lets everybody in and then serves less than it should.  silent_pg.py MODE TEXT
statement: falls silent at a statement that contains TEXT; one: serves one connection at a time.
The port is the first line of stdout. Every other statement has one row: the number of the connection."""
import socket, struct, sys, threading, time
MODE, TEXT = sys.argv[1], sys.argv[2].encode()
slot = threading.Lock()
def message(kind, body): return kind + struct.pack("!i", len(body) + 4) + body
READY = message(b"Z", b"I")
def serve(s, number):
    f = s.makefile("rb")
    f.read(struct.unpack("!i", f.read(4))[0] - 4)
    s.sendall(message(b"R", struct.pack("!i", 0)) + message(b"S", b"server_version\0" b"15.0\0") + READY)
    row = str(number).encode()
    rows = message(b"T", struct.pack("!h", 1) + b"x\0" + struct.pack("!ihihih", 0, 0, 23, 4, -1, 0))
    rows += message(b"D", struct.pack("!hi", 1, len(row)) + row) + message(b"C", b"SELECT 1\0")
    while kind := f.read(1):
        body = f.read(struct.unpack("!i", f.read(4))[0] - 4)
        if kind == b"X": return
        if MODE == "statement" and TEXT in body: time.sleep(3600)
        s.sendall((rows if kind == b"Q" else b"") + (READY if kind in b"QS" else b""))
def one(s, number):
    try:
        if MODE == "one":
            with slot: serve(s, number)
        else: serve(s, number)
    except (OSError, struct.error): pass
    finally: s.close()
l = socket.create_server(("127.0.0.1", 0), backlog=512)
print(l.getsockname()[1], flush=True)
number = 0
while True:
    number += 1
    threading.Thread(target=one, args=(l.accept()[0], number), daemon=True).start()
