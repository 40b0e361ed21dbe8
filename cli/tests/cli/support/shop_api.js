// A shop's API in Node: sessions, carts and orders, and items that are read and written.  shop_api.js LOG
// The port is the first line of stdout; each request is a line of JSON in LOG, written before its answer.
const { appendFileSync } = require("fs");
const { randomUUID } = require("crypto");
const [sessions, orders, items] = [new Map(), new Set(), new Map()];
function answer({ method, url, headers }, body, user) {
  const [path, , id] = [url.split("?")[0], ...url.split("/").slice(1)];
  if (path === "/") return [200, {}];
  if (method === "POST" && path === "/api/login") {
    const token = randomUUID();
    sessions.set(token, user);
    return [200, { token }, { "set-cookie": `sid=${token}; Path=/api; HttpOnly` }];
  }
  if (method === "PUT" && path.startsWith("/items/")) {
    items.set(id, JSON.parse(body).note);
    return [204];
  }
  if (path.startsWith("/items/")) return [200, { id: Number(id), note: items.get(id) ?? null }, { etag: `"${id}"` }];
  if (!user) return [401, { error: "log in" }];
  if (path === "/api/cart") return [200, { user, currency: "EUR", items: [{ id: [...user].length }] }];
  const key = headers["idempotency-key"];
  if (orders.has(key)) return [409, { error: "twice" }];
  orders.add(key);
  return [201, {}, { location: `/api/orders/${orders.size}` }];
}
const server = require("http").createServer((request, response) => {
  let body = "";
  request.on("data", (part) => (body += part));
  request.on("end", () => {
    const { method, url, headers } = request;
    const token = headers.authorization?.slice("Bearer ".length);
    const user = url === "/api/login" ? JSON.parse(body).email : sessions.get(token) ?? null;
    const own_cookie = headers.cookie === (token && `sid=${token}`);
    const key = headers["idempotency-key"];
    appendFileSync(process.argv[2], JSON.stringify({ line: `${method} ${url}`, user, body, key, own_cookie }) + "\n");
    const [status, document, fields] = answer(request, body, user);
    response.writeHead(status, { "content-type": "application/json", ...fields });
    response.end(document && JSON.stringify(document));
  });
});
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
