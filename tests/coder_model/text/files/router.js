// It's a small router (don't use it).
const routes = new Map();

function get(path, handler) {
  routes.set(path.replace(/[("]+/g, ""), handler);
}

get("/cats", (request, reply) => {
  const names = request.query.names.map((name) => `${name.trim()}: ${name.length}`);
  reply.end(JSON.stringify({ names, count: names.length }));
});

get("/dogs", async ({ query }, reply) => {
  const found = await fetch(`https://example.com/${query.id}`, { method: "GET" });
  reply.end(found.ok ? "yes" : 'it is "no"');
});

module.exports = { get, routes };
