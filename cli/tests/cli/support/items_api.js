// Items that are read and written, in Node.  items_api.js LOG
// The port is the first line of stdout; each request is a line of JSON in LOG, written before its answer.
const { appendFileSync } = require("fs");
const items = new Map();
const server = require("http").createServer((request, response) => {
  let body = "";
  request.on("data", (part) => (body += part));
  request.on("end", () => {
    const line = `${request.method} ${request.url}`;
    appendFileSync(process.argv[2], JSON.stringify({ line, body, key: request.headers["x-run"] }) + "\n");
    const id = request.url.split("/")[2];
    if (request.method === "PUT") {
      items.set(id, JSON.parse(body).note);
      response.writeHead(204).end();
    } else {
      const item = JSON.stringify({ id: Number(id), note: items.get(id) ?? null });
      response.writeHead(200, { "content-type": "application/json", etag: `"${id}"` }).end(item);
    }
  });
});
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
