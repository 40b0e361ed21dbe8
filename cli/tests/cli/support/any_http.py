"""A server that answers anything and logs it whole.  any_http.py LOG
The port is the first line of stdout; each request is a line of JSON in LOG, written before its answer."""
import http.server, json, sys, threading
log = open(sys.argv[1], "a"); lock = threading.Lock()
class Any(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"; disable_nagle_algorithm = True
    def do(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        with lock:
            log.write(json.dumps({"line": f"{self.command} {self.path}", "headers": headers,
                                  "body": body.decode("utf-8", "backslashreplace")}) + "\n")
            log.flush()
        status = 302 if self.path.startswith("/moved") else 200
        self.send_response(status)
        if self.path.startswith("/login"): self.send_header("set-cookie", "sid=fresh; Path=/")
        self.send_header("content-length", "2"); self.end_headers()
        if self.command != "HEAD": self.wfile.write(b"ok")
    do_GET = do_POST = do_PUT = do_HEAD = do_DELETE = do_PATCH = do_OPTIONS = do
    def log_message(self, *_): pass
class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 512
server = Server(("127.0.0.1", 0), Any)
print(server.server_port, flush=True)
server.serve_forever()
