// Prints what the AWS SDK for JavaScript makes of the files of each folder named, and of their mirrors.
// The first word is the folder that has the SDK.
const { createRequire } = require("node:module");
const path = require("node:path");

const [sdk, ...folders] = process.argv.slice(2);
const find = createRequire(path.join(sdk, "from.js"));
const { parseKnownFiles } = find("@smithy/core/config");
const { fromIni } = find("@aws-sdk/credential-provider-ini");

async function read(folder, which) {
  const configFilepath = path.join(folder, which, "config");
  const filepath = path.join(folder, which, "credentials");
  const init = { configFilepath, filepath, ignoreCache: true };
  const profiles = await parseKnownFiles(init);
  const keys = {};
  for (const [profile, { credential_process }] of Object.entries(profiles)) {
    if (which === "mirror" && credential_process) {
      keys[profile] = (await fromIni({ ...init, profile })()).accessKeyId;
    }
  }
  return { profiles, keys };
}

async function main() {
  const seen = {};
  for (const folder of folders) {
    seen[folder] = { original: await read(folder, "original"), mirror: await read(folder, "mirror") };
  }
  console.log(JSON.stringify(seen));
}

main();
