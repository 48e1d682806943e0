// Drives the sandbox with jsforce and @hubspot/api-client. Addresses and credentials come from the environment.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { setTimeout as sleep } from "node:timers/promises";

// The packages are installed in target/clients/node, away from this file.
const require = createRequire(process.env.CLIENTS_NODE + "/index.js");
const jsforce = require("jsforce");
const { Client } = require("@hubspot/api-client");
const records = Number(process.env.SANDBOX_RECORDS);

async function salesforce() {
  const conn = new jsforce.Connection({ loginUrl: process.env.SANDBOX_SALESFORCE, version: "67.0" });
  const credentials = { grant_type: "client_credentials", client_id: process.env.SANDBOX_CLIENT_ID };
  await assert.rejects(conn.authorize({ ...credentials, client_secret: "wrong" }), /invalid/);
  await conn.authorize({ ...credentials, client_secret: process.env.SANDBOX_CLIENT_SECRET });
  assert.equal(conn.instanceUrl, process.env.SANDBOX_SALESFORCE);

  const global = await conn.describeGlobal();
  assert.ok(global.sobjects.some((entry) => entry.name === "Subscription__c"));
  const described = await conn.sobject("Subscription__c").describe();
  assert.deepEqual(described.fields.find((field) => field.name === "Account__c").referenceTo, ["Account"]);

  const soql = "SELECT Id, Name FROM Subscription__c ORDER BY Id";
  const all = await conn.query(soql, { autoFetch: true, maxFetch: 10000, headers: { "Sforce-Query-Options": "batchSize=200" } });
  assert.equal(all.records.length, all.totalSize);
  assert.ok(all.totalSize >= records, `${all.totalSize} of ${records}`);
  await assert.rejects(conn.query("SELECT Nope__c FROM Subscription__c"), { errorCode: "INVALID_FIELD" });

  const subscriptions = conn.sobject("Subscription__c");
  const made = await subscriptions.create([{ Name: "From jsforce", Status__c: "Active" }, { Name: "Bad", Status__c: "Exploded" }]);
  assert.equal(made[0].success, true);
  assert.equal(made[1].success, false);
  assert.equal(made[1].errors[0].statusCode, "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST");
  const id = made[0].id;
  assert.equal((await subscriptions.retrieve(id)).Name, "From jsforce");
  assert.equal((await subscriptions.update({ Id: id, Name: "Renamed" })).success, true);
  assert.equal((await subscriptions.findOne({ Id: id }, ["Name"])).Name, "Renamed");

  const stream = await conn.bulk2.query("SELECT Id, Name FROM Subscription__c", { pollInterval: 100, pollTimeout: 30000 });
  const rows = await stream.toArray();
  assert.equal(rows.length, all.totalSize + 1);
  assert.equal(rows.find((row) => row.Id === id).Name, "Renamed");

  assert.equal((await subscriptions.destroy(id)).success, true);
  const minute = 60_000;
  const gone = await subscriptions.deleted(new Date(Date.now() - 5 * minute), new Date(Date.now() + 5 * minute));
  assert.ok(gone.deletedRecords.some((entry) => entry.id === id));

  conn.accessToken = "00D5g000004XYZk!expired";
  await assert.rejects(conn.query(soql), { errorCode: "INVALID_SESSION_ID" });
  console.log("jsforce: ok");
}

async function hubspot() {
  const connect = (accessToken) => new Client({ accessToken, basePath: process.env.SANDBOX_HUBSPOT });
  await assert.rejects(connect("wrong").crm.schemas.coreApi.getAll(), { code: 401 });
  const { crm } = connect(process.env.SANDBOX_TOKEN);

  const schema = await crm.schemas.coreApi.create({
    name: "node_things", labels: { singular: "Node thing", plural: "Node things" }, primaryDisplayProperty: "title",
    requiredProperties: ["title"], secondaryDisplayProperties: [], searchableProperties: [], associatedObjects: ["0-2"],
    properties: [
      { name: "title", label: "Title", type: "string", fieldType: "text" },
      { name: "key", label: "Key", type: "string", fieldType: "text", hasUniqueValue: true },
    ],
  });
  assert.match(schema.objectTypeId, /^2-\d+$/);
  // A custom object is named by its type id; its bare name is refused.
  const things = schema.objectTypeId;
  await sleep(300);
  const schemas = (await crm.schemas.coreApi.getAll()).results;
  assert.ok(schemas.some((entry) => entry.name === "node_things"));
  const subscriptions = schemas.find((entry) => entry.name === "subscriptions").objectTypeId;
  const properties = (await crm.properties.coreApi.getAll(things)).results;
  assert.equal(properties.find((property) => property.name === "key").hasUniqueValue, true);

  const { batchApi, basicApi, searchApi } = crm.objects;
  const upsert = { inputs: ["a", "b", "c"].map((key) => ({ id: key, idProperty: "key", properties: { key, title: `Thing ${key}` } })) };
  assert.deepEqual((await batchApi.upsert(things, upsert)).results.map((result) => result._new ?? result.new), [true, true, true]);
  const read = await batchApi.read(things, {
    idProperty: "key", properties: ["title"], propertiesWithHistory: [], inputs: [{ id: "a" }, { id: "nowhere" }],
  });
  assert.equal(read.results.length, 1);
  assert.equal(read.results[0].properties.title, "Thing a");
  assert.equal(read.errors[0].category, "OBJECT_NOT_FOUND");
  const broken = { inputs: [{ id: "s", idProperty: "salesforce_id", properties: { subscription_name: "x", seats: "many" } }] };
  await assert.rejects(batchApi.upsert(subscriptions, broken), (error) => error.code === 400 && JSON.stringify(error.body).includes("INVALID_"));
  const updated = await batchApi.update(things, { inputs: [{ id: read.results[0].id, properties: { title: "Changed" } }] });
  assert.equal(updated.results[0].properties.title, "Changed");

  const filters = [{ propertyName: "title", operator: "EQ", value: "Changed" }];
  let found = { total: 0 };
  // The search index is late, as the real one is.
  for (let tries = 0; tries < 50 && !found.total; tries += 1) {
    await sleep(200);
    found = await searchApi.doSearch(things, { filterGroups: [{ filters }], properties: ["title"], limit: 10 });
  }
  assert.equal(found.results[0].id, read.results[0].id);

  const labels = (await crm.associations.v4.schema.definitionsApi.getAll(subscriptions, "companies")).results;
  const named = labels.find((label) => label.label);
  const company = (await basicApi.getPage("companies", 1)).results[0].id;
  const subscription = (await basicApi.create(subscriptions, { properties: { subscription_name: "Node" }, associations: [] })).id;
  const types = [{ associationCategory: named.category, associationTypeId: named.typeId }];
  await crm.associations.v4.batchApi.create(subscriptions, "companies", { inputs: [{ _from: { id: subscription }, to: { id: company }, types }] });
  const pairs = (await crm.associations.v4.batchApi.getPage(subscriptions, "companies", { inputs: [{ id: subscription }] })).results;
  assert.equal(String(pairs[0].to[0].toObjectId), company);
  assert.ok(pairs[0].to[0].associationTypes.some((kind) => kind.label === named.label));

  await batchApi.archive(things, { inputs: [{ id: read.results[0].id }] });
  assert.equal((await basicApi.getPage(things, 100)).results.length, 2);
  await assert.rejects(basicApi.getById(things, read.results[0].id), { code: 404 });
  console.log("@hubspot/api-client: ok");
}

await { salesforce, hubspot }[process.argv[2]]();
