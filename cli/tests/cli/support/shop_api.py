"""A shop's API with sessions that only it knows.  shop_api.py LOG
The port is the first line of stdout; each request is a line of JSON in LOG, written before its answer."""
import http.server, json, sys, threading, uuid
log = open(sys.argv[1], "a"); lock = threading.Lock(); users = {}; orders = {}
class Shop(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"; disable_nagle_algorithm = True
    def do(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0))).decode()
        bearer = self.headers.get("authorization", "").removeprefix("Bearer ")
        cookie = dict(c.split("=", 1) for c in self.headers.get("cookie", "").split("; ") if c).get("sid")
        user = users.get(bearer)
        with lock:
            log.write(json.dumps({"line": f"{self.command} {self.path}", "user": user, "body": body,
                                  "key": self.headers.get("idempotency-key"), "own_cookie": cookie == bearer}) + "\n")
            log.flush()
        if self.path == "/api/login" and self.command == "POST":
            login = json.loads(body)
            if login["password"] != "pw " + login["email"]: return self.answer(403, {})
            token = str(uuid.uuid4())
            users[token] = login["email"]
            return self.answer(200, {"token": token}, {"set-cookie": f"sid={token}; Path=/api; HttpOnly"})
        if user is None: return self.answer(401, {"error": "log in"})
        if self.path.startswith("/api/cart") and self.command == "GET":
            return self.answer(200, {"user": user, "currency": "EUR", "items": [{"id": len(user)}]})
        if self.path == "/api/orders" and self.command == "POST":
            key = self.headers["idempotency-key"]
            with lock:
                if key in orders: return self.answer(409, {"error": "twice"})
                orders[key] = json.loads(body)
            return self.answer(201, {}, {"location": f"/api/orders/{len(orders)}"})
        self.answer(404, {})
    do_GET = do_POST = do_PUT = do_HEAD = do
    def answer(self, status, document, headers={}):
        body = json.dumps(document).encode()
        self.send_response(status)
        for name, value in headers.items(): self.send_header(name, value)
        self.send_header("content-type", "application/json"); self.send_header("content-length", str(len(body)))
        self.end_headers(); self.wfile.write(body)
    def log_message(self, *_): pass
class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 512
server = Server(("127.0.0.1", 0), Shop)
print(server.server_port, flush=True)
server.serve_forever()
