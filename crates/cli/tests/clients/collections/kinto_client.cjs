// kinto.js, the client that works without a network: two of them share a collection and settle their conflicts.
//
// Environment: `SERVER`, `ADMIN` (`NAME:SECRET`), `NODE_PATH` (where the packages are).
"use strict";
require("fake-indexeddb/auto");
const assert = require("node:assert/strict");
const { EventEmitter } = require("node:events");
const Kinto = require("kinto").default ?? require("kinto");

const remote = process.env.SERVER + "/v1";
const headers = { Authorization: "Basic " + Buffer.from(process.env.ADMIN).toString("base64") };
const call = (method, path, body) =>
  fetch(remote + path, { method, headers: { ...headers, "Content-Type": "application/json" }, body: body && JSON.stringify(body) });
const reader = (name) => new Kinto({ remote, headers, bucket: "offline", adapterOptions: { dbName: name }, events: new EventEmitter() }).collection("notes");
const all = async (collection) => (await collection.list({ order: "id" })).data;

(async () => {
  await call("PUT", "/buckets/offline");
  await call("PUT", "/buckets/offline/collections/notes");
  const one = reader("one"), other = reader("other");

  const made = (await one.create({ text: "é😀" })).data;
  await one.create({ text: "two" });
  let result = await one.sync();
  assert.deepEqual([result.ok, result.published.length], [true, 2]);
  result = await other.sync();
  assert.deepEqual([result.ok, result.created.length], [true, 2]);
  assert.deepEqual((await all(other)).map((r) => r.text).sort(), ["two", "é😀"]);
  assert.deepEqual((await one.sync()).published.length, 0);

  await other.update({ ...(await other.get(made.id)).data, text: "changed" });
  await other.sync();
  assert.equal((await one.sync()).updated.length, 1);
  assert.equal((await one.get(made.id)).data.text, "changed");

  await one.update({ ...(await one.get(made.id)).data, text: "from one" });
  await other.update({ ...(await other.get(made.id)).data, text: "from other" });
  await one.sync();
  result = await other.sync();
  assert.deepEqual([result.ok, result.conflicts.length], [false, 1]);
  result = await other.sync({ strategy: Kinto.syncStrategy.CLIENT_WINS });
  assert.equal(result.ok, true);
  await one.sync();
  assert.equal((await one.get(made.id)).data.text, "from other");

  await one.delete(made.id);
  await one.sync();
  assert.equal((await other.sync()).deleted.length, 1);
  assert.equal((await all(other)).length, 1);

  for (let n = 0; n < 120; n++) await other.create({ n });
  assert.equal((await other.sync()).published.length, 120);
  assert.equal((await one.sync()).created.length, 120);

  await call("DELETE", "/buckets/offline/collections/notes/records");
  result = await one.sync();
  assert.equal(result.deleted.length, 121);
  console.log("ok");
})().catch((error) => {
  console.error(error);
  process.exit(1);
});
