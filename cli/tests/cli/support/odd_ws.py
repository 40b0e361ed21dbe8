"""WebSocket echo servers with a flaw, one per path; the port is the first line of stdout.
never: no handshake; r429; ext: an extension nobody offered; twice: accepts twice; close: closes with 1001; fin: closes
without a goodbye; slow: says goodbye after an hour; flood: sends on after our close; echo: without a flaw"""
import base64, hashlib, socket, struct, threading, time
def frame(data, op=1):
    n = len(data)
    return bytes([0x80 | op]) + (bytes([n]) if n < 126 else bytes([126]) + struct.pack(">H", n)) + data
def need(s, n):
    out = b""
    while len(out) < n:
        part = s.recv(n - len(out))
        if not part: raise OSError
        out += part
    return out
def read(s):
    a, b = need(s, 2); n = b & 127
    if n == 126: n = struct.unpack(">H", need(s, 2))[0]
    key = need(s, 4); return a & 15, bytes(c ^ key[i % 4] for i, c in enumerate(need(s, n)))
def serve(s):
    head = b""
    while b"\r\n\r\n" not in head: head += need(s, 1)
    lines = head.decode("latin1").split("\r\n"); mode = lines[0].split(" ")[1].strip("/").split("/")[0]
    key = next(l.split(":", 1)[1].strip() for l in lines if l.lower().startswith("sec-websocket-key"))
    if mode == "never": time.sleep(3600)
    if mode == "r429": return s.sendall(b"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\n\r\n")
    accept = base64.b64encode(hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()).decode()
    accept = "Sec-WebSocket-Accept: %s\r\n" % accept
    more = "Sec-WebSocket-Extensions: permessage-deflate\r\n" if mode == "ext" else accept if mode == "twice" else ""
    s.sendall(("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" + accept + more + "\r\n").encode())
    while True:
        op, data = read(s)
        if op == 8:
            if mode == "slow": time.sleep(3600)
            while mode == "flood": s.sendall(frame(b"unasked") * 3000)
            return s.sendall(frame(data, 8))
        if op == 1 and mode == "close": s.sendall(frame(struct.pack(">H", 1001) + b"restarting", 8)); read(s); return
        if op == 1 and mode == "fin": return
        if op == 1: s.sendall(frame(data))
def one(s):
    try: serve(s)
    except OSError: pass
    finally: s.close()
l = socket.create_server(("127.0.0.1", 0), backlog=512)
print(l.getsockname()[1], flush=True)
while True: threading.Thread(target=one, args=(l.accept()[0],), daemon=True).start()
