// Microsoft's own JavaScript clients against the simulator: @azure/identity for tokens,
// @microsoft/microsoft-graph-client for Graph. The first argument is the JSON line of simserver.
import assert from "node:assert/strict";
import { ClientCertificateCredential, ClientSecretCredential } from "@azure/identity";
import { BatchRequestContent, BatchResponseContent, Client, PageIterator } from "@microsoft/microsoft-graph-client";
import { TokenCredentialAuthenticationProvider } from "@microsoft/microsoft-graph-client/authProviders/azureTokenCredentials/index.js";

const sim = JSON.parse(process.argv[2]);
const options = { authorityHost: sim.url, disableInstanceDiscovery: true };
const scopes = ["https://graph.microsoft.com/.default"];

function graph(credential) {
  const authProvider = new TokenCredentialAuthenticationProvider(credential, { scopes });
  return Client.initWithMiddleware({ authProvider, baseUrl: sim.url, customHosts: new Set([new URL(sim.url).hostname]) });
}

async function control(method, path, body) {
  const res = await fetch(`${sim.url}/_sim/${path}`, {
    method, headers: { authorization: `Bearer ${sim.control}` }, body: body && JSON.stringify(body),
  });
  assert.equal(res.status, 200, `${method} ${path}: ${await res.clone().text()}`);
  return res.json();
}

async function everything(client, first) {
  const items = [];
  const iterator = new PageIterator(client, first, (item) => { items.push(item); return true; });
  await iterator.iterate();
  return { items, deltaLink: iterator.getDeltaLink() };
}

const client = graph(new ClientSecretCredential(sim.tenant, sim.app, sim.secret, options));

const proofs = {
  "a token by secret, and the organization": async () => {
    const org = await client.api("/organization").select("id,displayName").get();
    assert.deepEqual(org.value, [{ id: sim.tenant, displayName: "Conformance" }]);
  },
  "a token by certificate": async () => {
    const other = graph(new ClientCertificateCredential(sim.tenant, sim.app, { certificatePath: sim.certificate }, options));
    assert.equal((await other.api("/organization").get()).value[0].id, sim.tenant);
  },
  "a wrong secret surfaces as AADSTS7000215": async () => {
    const wrong = graph(new ClientSecretCredential(sim.tenant, sim.app, "wrong", options));
    await assert.rejects(wrong.api("/organization").get(), (e) => JSON.stringify(e, Object.getOwnPropertyNames(e)).includes("AADSTS7000215"));
  },
  "an unknown tenant is an error before any token": async () => {
    const nowhere = graph(new ClientSecretCredential("deadbeef-0000-4000-8000-000000000000", sim.app, sim.secret, options));
    await assert.rejects(nowhere.api("/organization").get());
  },
  "paging through the directory": async () => {
    const { items } = await everything(client, await client.api("/groups").top(60).get());
    assert.equal(new Set(items.map((g) => g.id)).size, sim.groups);
  },
  "paging through doubly encoded links": async () => {
    const many = await everything(client, await client.api("/deviceManagement/configurationPolicies").version("beta").get());
    const few = await everything(client, await client.api("/deviceManagement/configurationPolicies").version("beta").top(7).get());
    assert.ok(many.items.length > 100, `${many.items.length} policies`);
    assert.deepEqual(few.items.map((p) => p.id), many.items.map((p) => p.id));
  },
  "delta: a first round, then the changes": async () => {
    const round = await everything(client, await client.api("/groups/delta").select("displayName,members").get());
    assert.equal(new Set(round.items.map((g) => g.id)).size, sim.groups);
    const members = new Map();
    for (const g of round.items) members.set(g.id, (members.get(g.id) ?? 0) + (g["members@delta"]?.length ?? 0));
    assert.ok([...members.values()].includes(1500), "no group of 1,500 members came whole");
    const [first, second] = round.items;
    const [added] = await control("POST", `tenants/${sim.tenant}/groups`, [
      { op: "add", displayName: "Conformance", count: 2 },
      { op: "delete", id: first.id },
      { op: "purge", id: second.id },
    ]);
    const { items } = await everything(client, await client.api(round.deltaLink).get());
    const by = new Map(items.map((g) => [g.id, g]));
    assert.equal(by.get(added).displayName, "Conformance");
    assert.equal(by.get(added)["members@delta"].length, 2);
    assert.deepEqual(by.get(first.id)["@removed"], { reason: "changed" });
    assert.deepEqual(by.get(second.id)["@removed"], { reason: "deleted" });
    assert.equal(items.length, 3);
  },
  "a policy's settings by pages, with the names of their definitions": async () => {
    const { items } = await everything(client, await client.api("/deviceManagement/configurationPolicies").version("beta").get());
    const longest = items.reduce((a, b) => (a.settingCount > b.settingCount ? a : b));
    const first = await client.api(`/deviceManagement/configurationPolicies/${longest.id}/settings`).version("beta").expand("settingDefinitions").get();
    assert.equal(first.value.length, 25);
    const settings = await everything(client, first);
    assert.equal(settings.items.length, longest.settingCount);
    assert.ok(settings.items.every((s) => s.settingDefinitions[0].id === s.settingInstance.settingDefinitionId && s.settingDefinitions[0].displayName));
  },
  "a filter: created, changed, read, deleted": async () => {
    const filters = () => client.api("/deviceManagement/assignmentFilters").version("beta");
    const made = await filters().post({ displayName: "Conformance", platform: "iOS", rule: '(device.model -eq "iPad")', roleScopeTags: ["0"] });
    const one = () => client.api(`/deviceManagement/assignmentFilters/${made.id}`).version("beta");
    await one().patch({ displayName: "Changed" });
    assert.equal((await one().get()).displayName, "Changed");
    await one().delete();
    await assert.rejects(one().get(), (e) => e.statusCode === 404);
  },
  "a policy of the settings catalog: created, read, assigned, replaced, deleted": async () => {
    const policies = (path = "") => client.api(`/deviceManagement/configurationPolicies${path}`).version("beta");
    const setting = (id, value) => ({
      "@odata.type": "#microsoft.graph.deviceManagementConfigurationSetting",
      settingInstance: {
        "@odata.type": "#microsoft.graph.deviceManagementConfigurationSimpleSettingInstance", settingDefinitionId: id,
        simpleSettingValue: { "@odata.type": "#microsoft.graph.deviceManagementConfigurationIntegerSettingValue", value },
      },
    });
    const body = { name: "Conformance", platforms: "windows10", technologies: "mdm", roleScopeTagIds: ["0"], settings: [setting("a", 1), setting("b", 2)] };
    const made = await policies().post(body);
    const one = `/${made.id}`;
    assert.equal(made.settingCount, 2);
    const read = await policies(one).expand("settings").get();
    assert.deepEqual(read.settings.map((s) => s.settingInstance.simpleSettingValue.value), [1, 2]);
    const group = (await client.api("/groups").top(1).get()).value[0].id;
    const targets = [{ "@odata.type": "#microsoft.graph.groupAssignmentTarget", groupId: group }, { "@odata.type": "#microsoft.graph.allDevicesAssignmentTarget" }];
    await policies(`${one}/assign`).post({ assignments: targets.map((target) => ({ target })) });
    const { items } = await everything(client, await policies(`${one}/assignments`).get());
    assert.deepEqual(items.map((a) => a.target["@odata.type"]), targets.map((t) => t["@odata.type"]));
    await policies(one).put({ ...body, name: "Replaced", settings: [setting("c", 3)] });
    const after = await policies(one).expand("settings,assignments").get();
    assert.deepEqual([after.name, after.settingCount, after.settings[0].settingInstance.settingDefinitionId, after.assignments.length], ["Replaced", 1, "c", 2]);
    await assert.rejects(policies(one).patch({ settings: [] }), (e) => e.statusCode === 400 && e.message.includes("navigation property 'settings'"));
    await policies(one).delete();
    await assert.rejects(policies(one).get(), (e) => e.statusCode === 404);
  },
  "a compliance policy needs one block action": async () => {
    const policies = (path = "") => client.api(`/deviceManagement/deviceCompliancePolicies${path}`).version("beta");
    const body = { "@odata.type": "#microsoft.graph.iosCompliancePolicy", displayName: "Conformance", passcodeRequired: true };
    await assert.rejects(policies().post(body), (e) => e.statusCode === 400 && e.message.includes("one and only one block scheduled action"));
    const rules = [{ ruleName: "PasswordRequired", scheduledActionConfigurations: [{ actionType: "block", gracePeriodHours: 24 }] }];
    const made = await policies().post({ ...body, scheduledActionsForRule: rules });
    const read = await policies(`/${made.id}`).expand("scheduledActionsForRule($expand=scheduledActionConfigurations)").get();
    assert.equal(read.scheduledActionsForRule[0].scheduledActionConfigurations[0].gracePeriodHours, 24);
    assert.equal(read.passcodeRequired, true);
    await policies(`/${made.id}`).delete();
  },
  "a write whose answer is lost was made": async () => {
    await control("POST", "faults", { method: "POST", path: "/beta/deviceManagement/assignmentFilters", times: 1, action: { kind: "error_after" } });
    const filters = () => client.api("/deviceManagement/assignmentFilters").version("beta");
    // The client repeats what got a 504: a second filter with the same name.
    await filters().post({ displayName: "Twice", platform: "iOS", rule: "r" });
    await control("DELETE", "faults");
    const { items } = await everything(client, await filters().get());
    const twice = items.filter((f) => f.displayName === "Twice");
    assert.equal(twice.length, 2);
    for (const f of twice) await client.api(`/deviceManagement/assignmentFilters/${f.id}`).version("beta").delete();
  },
  "a refused call names the missing permissions": async () => {
    await assert.rejects(client.api("/deviceAppManagement/mobileApps").get(), (e) => e.statusCode === 403 && e.code === "Forbidden" && e.message.includes("DeviceManagementApps.Read.All"));
  },
  "a throttled call is tried again after Retry-After": async () => {
    const fault = await control("POST", "faults", { path: "/v1.0/organization", times: 1, action: { kind: "throttle", retryAfter: "1" } });
    assert.equal((await client.api("/organization").get()).value.length, 1);
    const [rule] = await control("GET", "faults");
    assert.deepEqual([rule.id, rule.fired], [fault, 1]);
    await control("DELETE", "faults");
  },
  "a batch of three": async () => {
    const content = new BatchRequestContent(["/groups?$top=1", "/organization", "/groups/none"].map((path, i) => ({
      id: String(i + 1), request: new Request(sim.url + "/v1.0" + path, { method: "GET" }),
    })));
    const responses = new BatchResponseContent(await client.api("/$batch").post(await content.getContent()));
    assert.deepEqual(["1", "2", "3"].map((id) => responses.getResponseById(id).status), [200, 200, 404]);
  },
};

let failed = 0;
for (const [name, prove] of Object.entries(proofs)) {
  try {
    await prove();
    console.log(`ok    ${name}`);
  } catch (e) {
    failed++;
    console.log(`FAIL  ${name}\n${e.stack ?? e}`);
  }
}
console.log(`${Object.keys(proofs).length - failed} passed, ${failed} failed`);
process.exit(failed ? 1 : 0);
