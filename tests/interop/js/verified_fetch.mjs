// Fetch and verify through trustless gateways, over HTTP alone: one line of JSON in, one line of JSON out for each.
// verified_fetch.mjs GATEWAY|- ROUTER     "-" knows no gateway and has to be told of one by the router
import { createHash } from "node:crypto";
import { createInterface } from "node:readline";
import { createVerifiedFetch } from "@helia/verified-fetch";

const [gateway, router] = process.argv.slice(2);
const fetch = await createVerifiedFetch({
  gateways: gateway === "-" ? [] : [gateway],
  routers: [router],
  allowInsecure: true,
  allowLocal: true,
  libp2pConfig: { addresses: { listen: [] }, transports: [], connectionEncrypters: [], streamMuxers: [], peerDiscovery: [] },
});
for await (const line of createInterface({ input: process.stdin })) {
  const { url, headers } = JSON.parse(line);
  let found;
  try {
    const answer = await fetch(url, { headers, signal: AbortSignal.timeout(60_000) });
    const body = Buffer.from(await answer.arrayBuffer());
    found = {
      status: answer.status,
      type: answer.headers.get("content-type"),
      sha256: createHash("sha256").update(body).digest("hex"),
      size: body.length,
      text: body.length < 4096 ? body.toString("utf8") : "",
    };
  } catch (error) {
    found = { error: String(error?.errors?.map(String).join("; ") || error) };
  }
  process.stdout.write(`${JSON.stringify(found)}\n`);
}
await fetch.stop();
process.exit(0);
