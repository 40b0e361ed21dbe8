"""An HTTP/1.1 server with a flaw.  slots_http.py MODE N
wait: serves N connections at a time, the others wait accepted and unanswered; reset: they are reset, unless a slot is free within a second;
silent: falls silent for good after N answers; slow: needs N ms for each answer, one at a time. The port is the first line of stdout."""
import socket, struct, sys, threading, time
MODE, N = sys.argv[1], int(sys.argv[2])
slots = threading.Semaphore(1 if MODE == "slow" else N); lock = threading.Lock(); served = 0
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
def serve(s):
    global served
    buf = b""
    while True:
        while b"\r\n\r\n" not in buf:
            part = s.recv(65536)
            if not part: return
            buf += part
        buf = buf.split(b"\r\n\r\n", 1)[1]
        with lock: served += 1; mute = MODE == "silent" and served > N
        if mute: time.sleep(3600)
        if MODE == "slow":
            with slots: time.sleep(N / 1000)
        s.sendall(OK)
def one(s):
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        if MODE == "wait":
            with slots: serve(s)
        elif MODE in ("silent", "slow"): serve(s)
        # The connection before may have been closed without its thread having run since.
        elif slots.acquire(timeout=1):
            try: serve(s)
            finally: slots.release()
        else: s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    except OSError: pass
    finally: s.close()
l = socket.create_server(("127.0.0.1", 0), backlog=512)
print(l.getsockname()[1], flush=True)
while True: threading.Thread(target=one, args=(l.accept()[0],), daemon=True).start()
