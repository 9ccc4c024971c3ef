#!/usr/bin/env node
// Compiles the contracts and writes the committed artifacts. Same sources, same bytes, wherever it runs:
// the settings keep paths and metadata out of the bytecode.
//   node script/compile.mjs            write halle_contracts/artifacts and the test fixtures
//   node script/compile.mjs --out DIR  write both into DIR instead (the artifact test compares)
//   node script/compile.mjs --serve    compile changed sources, one request a line (the mutation test asks)
import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, relative, sep } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "..");
const solc = createRequire(import.meta.url)("solc");

const SETTINGS = {
  evmVersion: "cancun",
  optimizer: { enabled: true, runs: 1_000_000 },
  viaIR: false,
  metadata: { bytecodeHash: "none", appendCBOR: false },
};
const SHIPPED = ["Escrow", "DeliveryTracking", "Warranty", "ArbiterERC792", "SignatureValidator", "TestToken"];
const FIXTURES = ["Court", "NastyToken", "NastyReceiver", "SmartAccount", "ProxiedToken", "ProxyToken", "AuthorisingToken",
  "AccountFactory"];

function solidityFiles(folder) {
  return readdirSync(join(ROOT, folder), { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(".sol"))
    .map((entry) => relative(ROOT, join(entry.parentPath ?? entry.path, entry.name)).split(sep).join("/"))
    .sort();
}

function read(path) {
  const file = path.startsWith("@") ? join(ROOT, "node_modules", path) : join(ROOT, path);
  return readFileSync(file, "utf8");
}

function compile(paths) {
  const used = new Map(paths.map((path) => [path, read(path)]));
  const input = {
    language: "Solidity",
    sources: Object.fromEntries([...used].map(([path, content]) => [path, { content }])),
    settings: {
      ...SETTINGS,
      outputSelection: {
        "*": { "": ["ast"], "*": ["abi", "evm.bytecode.object", "evm.deployedBytecode.object",
          "evm.deployedBytecode.immutableReferences"] },
      },
    },
  };
  const load = (path) => {
    used.set(path, read(path));
    return { contents: used.get(path) };
  };
  const output = JSON.parse(solc.compile(JSON.stringify(input), { import: load }));
  // `at` is a field of the public ABI; the compiler is pinned, so that a later keyword does not matter.
  const problems = (output.errors ?? []).filter(
    (e) => e.severity === "error" || !e.message.includes('"at" will be promoted to keyword'));
  if (problems.length) {
    for (const problem of problems) process.stderr.write(problem.formattedMessage + "\n");
    process.exit(1);
  }
  return { contracts: output.contracts, names: immutableNames(output.sources), used };
}

// The compiler tells immutables apart by the number of their declaration.
function immutableNames(sources) {
  const names = {};
  const visit = (node) => {
    if (Array.isArray(node)) return node.forEach(visit);
    if (node === null || typeof node !== "object") return undefined;
    if (node.nodeType === "VariableDeclaration" && node.mutability === "immutable") names[node.id] = node.name;
    return Object.values(node).forEach(visit);
  };
  visit(Object.values(sources).map((source) => source.ast));
  return names;
}

// One hash over every source the compiler read, so that a stale artifact shows.
function hashSources(used) {
  const hash = createHash("sha256");
  for (const path of [...used.keys()].sort()) {
    hash.update(path + "\0" + createHash("sha256").update(used.get(path)).digest("hex") + "\n");
  }
  return hash.digest("hex");
}

function artifact(name, contracts, names, sourceHash) {
  const file = Object.keys(contracts).find((path) => !path.startsWith("@") && contracts[path][name]);
  const { abi, evm } = contracts[file][name];
  const immutables = Object.entries(evm.deployedBytecode.immutableReferences ?? {})
    .flatMap(([id, places]) => places.map(({ start, length }) => ({ name: names[id], start, length })));
  return {
    name,
    abi,
    bytecode: "0x" + evm.bytecode.object,
    runtime: "0x" + evm.deployedBytecode.object,
    immutables: immutables.sort((a, b) => a.start - b.start),
    sourceHash,
    compiler: solc.version(),
    settings: SETTINGS,
  };
}

function write(folder, wanted, { contracts, names, used }) {
  mkdirSync(folder, { recursive: true });
  const sourceHash = hashSources(used);
  for (const name of wanted) {
    const text = JSON.stringify(artifact(name, contracts, names, sourceHash), null, 1) + "\n";
    writeFileSync(join(folder, `${name}.json`), text);
    process.stdout.write(`${name}: ${Math.round(text.length / 1000)} kB\n`);
  }
}

// Three times as fast as the real settings; the code does the same and costs more gas.
const QUICK = { details: { yul: false, orderLiterals: true, deduplicate: true, peephole: true, jumpdestRemover: true,
  inliner: false, cse: false, constantOptimizer: false } };
// Larger than a contract may be when made quickly: made without the slow half of the optimizer instead.
const HALF = { enabled: true, runs: 1_000_000, details: { yul: false } };

// One request a line: {"path": a changed file, "content": its text, "want": names of contracts in src/, "quick": bool}.
// One answer a line: {name: creation bytecode}, or {} when it does not compile.
async function serve() {
  for await (const line of createInterface({ input: process.stdin })) {
    const { path, content, want, quick } = JSON.parse(line);
    const optimizer = !quick ? SETTINGS.optimizer : want.includes("Warranty") ? HALF : QUICK;
    const load = (file) => ({ contents: file === path ? content : read(file) });
    const files = want.map((name) => `src/${name}.sol`);
    const input = {
      language: "Solidity",
      sources: Object.fromEntries(files.map((file) => [file, { content: load(file).contents }])),
      settings: { ...SETTINGS, optimizer, outputSelection: Object.fromEntries(
        want.map((name) => [`src/${name}.sol`, { [name]: ["evm.bytecode.object"] }])) },
    };
    const output = JSON.parse(solc.compile(JSON.stringify(input), { import: load }));
    const failed = (output.errors ?? []).some((e) => e.severity === "error");
    const found = failed ? [] : want.map((name) =>
      [name, "0x" + output.contracts[`src/${name}.sol`][name].evm.bytecode.object]);
    process.stdout.write(JSON.stringify(Object.fromEntries(found)) + "\n");
  }
}

function writeAll() {
  const at = process.argv.indexOf("--out");
  const out = at > 0 ? process.argv[at + 1] : null;
  write(out ? join(out, "artifacts") : join(ROOT, "halle_contracts/artifacts"), SHIPPED, compile(solidityFiles("src")));
  write(out ? join(out, "fixtures") : join(ROOT, "../tests/contracts/fixtures"), FIXTURES,
    compile(solidityFiles("test/fixtures")));
}

await (process.argv.includes("--serve") ? serve() : writeAll());
