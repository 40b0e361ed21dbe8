"""A shop's API in aiohttp, with sessions that only it knows.  shop_api.py LOG USERS
The port is the first line of stdout; each request is a line of JSON in LOG, written before its answer."""
import asyncio, csv, json, socket, sys, uuid
from aiohttp import web
log = open(sys.argv[1], "a"); users = {row["email"]: row["password"] for row in csv.DictReader(open(sys.argv[2]))}
sessions = {}; orders = {}
def note(request, user, body=""):
    sid, bearer = request.cookies.get("sid"), request.headers.get("authorization", "").removeprefix("Bearer ")
    log.write(json.dumps({"line": f"{request.method} {request.path_qs}", "user": user, "body": body,
                          "key": request.headers.get("idempotency-key"), "own_cookie": sid == bearer}) + "\n")
    log.flush()
async def login(request):
    document = await request.json(); email = document["email"]
    note(request, email)
    if users.get(email) != document["password"]: return web.json_response({}, status=403)
    token = str(uuid.uuid4()); sessions[token] = email
    response = web.json_response({"token": token})
    response.set_cookie("sid", token, path="/api", httponly=True)
    return response
async def with_session(request, answer):
    user = sessions.get(request.headers.get("authorization", "").removeprefix("Bearer "))
    note(request, user, await request.text())
    return web.json_response({"error": "log in"}, status=401) if user is None else await answer(request, user)
async def cart(request, user):
    return web.json_response({"user": user, "currency": "EUR", "items": [{"id": len(user)}]})
async def buy(request, user):
    key = request.headers["idempotency-key"]
    if key in orders: return web.json_response({"error": "twice"}, status=409)
    orders[key] = await request.json()
    return web.json_response({}, status=201, headers={"location": f"/api/orders/{len(orders)}"})
async def root(request):
    note(request, None)
    return web.Response(text="shop")
app = web.Application()
app.add_routes([web.get("/", root), web.post("/api/login", login),
                web.get("/api/cart", lambda request: with_session(request, cart)),
                web.post("/api/orders", lambda request: with_session(request, buy))])
async def main():
    runner = web.AppRunner(app, access_log=None); await runner.setup()
    listener = socket.create_server(("127.0.0.1", 0), backlog=512)
    await web.SockSite(runner, listener).start()
    print(listener.getsockname()[1], flush=True)
    await asyncio.Event().wait()
asyncio.run(main())
