// kinto-http, the client of JavaScript: each of its methods does here what its documentation says.
//
// Environment: `SERVER`, `ADMIN` (`NAME:SECRET`), `NODE_PATH` (where the packages are).
"use strict";
const assert = require("node:assert/strict");
// The build for browsers: Node has what that needs.
const KintoClient = require("kinto-http/dist/kinto-http.min.js");

const remote = process.env.SERVER + "/v1";
const basic = (pair) => ({ headers: { Authorization: "Basic " + Buffer.from(pair).toString("base64") } });
const client = new KintoClient(remote, basic(process.env.ADMIN));
const ids = (result) => result.data.map((one) => one.id).sort();
const refused = (status, promise) => assert.rejects(promise, (error) => error.response?.status === status || assert.fail(String(error)));

async function server() {
  assert.equal((await client.fetchServerSettings()).batch_max_requests > 0, true);
  assert.equal((await client.fetchHTTPApiVersion()).startsWith("1."), true);
  assert.ok((await client.fetchServerCapabilities()).signer);
  assert.ok((await client.fetchServerInfo()).url.endsWith("/v1/"));
  assert.ok((await client.fetchUser()).id);
}

async function buckets() {
  const made = await client.createBucket("jb", { data: { a: 1 }, permissions: { read: ["system.Everyone"] } });
  assert.equal(made.data.a, 1);
  const bucket = client.bucket("jb");
  await bucket.setData({ b: 2 });
  assert.equal((await bucket.getData()).b, 2);
  await bucket.setData({ c: 3 }, { patch: true });
  assert.deepEqual([(await bucket.getData()).b, (await bucket.getData()).c], [2, 3]);
  await bucket.setPermissions({ read: ["account:x"] });
  await bucket.addPermissions({ read: ["account:y"], write: ["account:z"] });
  let permissions = await bucket.getPermissions();
  assert.deepEqual(permissions.read.sort(), ["account:x", "account:y"]);
  assert.ok(permissions.write.includes("account:z"));
  await bucket.removePermissions({ read: ["account:x"] });
  assert.deepEqual((await bucket.getPermissions()).read, ["account:y"]);
  await bucket.createGroup("g", ["account:x"], { data: { n: 1 } });
  assert.deepEqual((await bucket.getGroup("g")).data.members, ["account:x"]);
  await bucket.updateGroup({ id: "g", members: ["account:y"] });
  assert.ok((await bucket.getGroupsTimestamp()).match(/^"\d+"$/));
  await bucket.createGroup("h");
  assert.deepEqual(ids(await bucket.listGroups()), ["g", "h"]);
  await bucket.deleteGroup("g");
  assert.equal((await bucket.deleteGroups()).data.length, 1);
  await bucket.createCollection("c");
  await bucket.createCollection("d");
  assert.deepEqual(ids(await bucket.listCollections()), ["c", "d"]);
  assert.ok((await bucket.getCollectionsTimestamp()).match(/^"\d+"$/));
  await bucket.deleteCollection("c");
  assert.equal((await bucket.deleteCollections()).data.length, 1);
  assert.ok((await bucket.listHistory()).data.length >= 8);
  assert.ok(ids(await client.listBuckets()).includes("jb"));
  assert.ok((await client.listPermissions()).data.length >= 1);
  await client.deleteBucket("jb");
  assert.ok(!ids(await client.listBuckets()).includes("jb"));
}

async function records() {
  await client.createBucket("jr");
  await client.bucket("jr").createCollection("c", { permissions: { read: ["system.Everyone"] } });
  const collection = client.bucket("jr").collection("c");
  await collection.setData({ title: "t" }, { patch: true });
  assert.equal((await collection.getData()).title, "t");
  await collection.addPermissions({ write: ["account:x"] });
  assert.ok((await collection.getPermissions()).write.includes("account:x"));
  await collection.removePermissions({ write: ["account:x"] });
  assert.ok(!(await collection.getPermissions()).write.includes("account:x"));
  const made = await collection.createRecord({ id: "one", a: "é😀" });
  assert.equal(made.data.a, "é😀");
  await refused(412, collection.createRecord({ id: "one", a: 2 }, { safe: true }));
  await collection.updateRecord({ ...made.data, a: 3 }, { safe: true });
  await refused(412, collection.updateRecord({ ...made.data, a: 4 }, { safe: true }));
  await collection.updateRecord({ id: "one", b: 1 }, { patch: true });
  const got = (await collection.getRecord("one", { fields: ["a", "b"] })).data;
  assert.deepEqual([got.a, got.b], [3, 1]);
  const before = await collection.getRecordsTimestamp();
  await collection.batch((batch) => {
    for (let n = 0; n < 250; n++) batch.createRecord({ id: `r${String(n).padStart(3, "0")}`, n });
    batch.deleteRecord("one");
  });
  assert.equal(await collection.getTotalRecords(), 250);
  let page = await collection.listRecords({ limit: 100, sort: "n" });
  let seen = page.data.map((one) => one.n);
  while (page.hasNextPage) {
    page = await page.next();
    seen = seen.concat(page.data.map((one) => one.n));
  }
  assert.deepEqual([...new Set(seen)].sort((a, b) => a - b), [...Array(250).keys()]);
  assert.equal((await collection.listRecords({ limit: 60, pages: Infinity })).data.length, 250);
  const some = await collection.listRecords({ filters: { min_n: 240, not_n: 245 }, sort: "-n", fields: ["n"] });
  assert.deepEqual(some.data.map((one) => one.n), [249, 248, 247, 246, 244, 243, 242, 241, 240]);
  const since = await collection.listRecords({ since: before });
  assert.ok(since.data.some((one) => one.id === "one" && one.deleted) && since.data.length === 251);
  const result = await collection.batch((batch) => {
    batch.updateRecord({ id: "r001", n: 1, last_modified: 5 }, { safe: true });
    batch.getRecord("r002");
    batch.deleteRecord("none-such");
    batch.createRecord({ id: "new" });
  }, { aggregate: true });
  assert.deepEqual([result.published.length, result.conflicts.length, result.skipped.length], [2, 1, 1], JSON.stringify(result));
  assert.equal(await collection.isHistoryComplete(), true);
  const at = (await collection.listRecords({ filters: { id: "r010" } })).data[0].last_modified;
  const snapshot = await collection.getSnapshot(at);
  assert.deepEqual(snapshot.data.map((one) => one.id).sort(), ["one", ...[...Array(11).keys()].map((n) => `r${String(n).padStart(3, "0")}`)].sort());
  await collection.deleteRecord("new");
  const public_ = new KintoClient(remote).bucket("jr").collection("c");
  assert.equal((await public_.listRecords()).data.length, 250);
  await refused(401, public_.createRecord({ id: "x" }));
  assert.equal((await collection.deleteRecords({ filters: { min_n: 100 } })).data.length, 150);
  assert.equal((await collection.deleteRecords()).data.length, 100);
}

async function accounts() {
  // Its `createAccount` asks without credentials: only who may do everything makes accounts here.
  await refused(401, client.createAccount("js-user", "pass word"));
  const body = JSON.stringify({ data: { password: "pass word" } });
  const json = { ...basic(process.env.ADMIN).headers, "Content-Type": "application/json" };
  assert.ok((await fetch(`${remote}/accounts/js-user`, { method: "PUT", headers: json, body })).ok);
  const user = new KintoClient(remote, basic("js-user:pass word"));
  assert.equal((await user.fetchUser()).id, "account:js-user");
  await user.bucket("default").collection("notes").createRecord({ id: "mine" });
  assert.deepEqual(ids(await user.bucket("default").collection("notes").listRecords()), ["mine"]);
}

async function attachments() {
  if (!(await client.fetchServerCapabilities()).attachments) return;
  await client.createBucket("ja");
  await client.bucket("ja").createCollection("c");
  const collection = client.bucket("ja").collection("c");
  const uri = "data:text/plain;name=hello.txt;base64," + Buffer.from("hello").toString("base64");
  const made = await collection.addAttachment(uri, { id: "r", a: 1 });
  assert.deepEqual([made.data.attachment.size, made.data.attachment.filename, made.data.a], [5, "hello.txt", 1]);
  await collection.removeAttachment("r");
  assert.ok(!(await collection.getRecord("r")).data.attachment);
}

async function reviews() {
  await client.createBucket("source");
  await client.bucket("source").createCollection("js-books");
  const source = client.bucket("source").collection("js-books");
  await source.createRecord({ id: "one", v: 1 });
  await source.setData({ status: "to-sign" }, { patch: true });
  assert.equal((await source.getData()).status, "signed");
  const published = new KintoClient(remote).bucket("destination").collection("js-books");
  assert.deepEqual(ids(await published.listRecords()), ["one"]);
  assert.ok((await published.getData()).signature.signature);
}

(async () => {
  for (const part of [server, buckets, records, accounts, attachments, reviews]) {
    await part();
    console.log("ok", part.name);
  }
})().catch((error) => {
  console.error(error);
  process.exit(1);
});
