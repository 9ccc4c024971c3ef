// A Helia with bitswap alone, driven by JSON lines: {"do": name, "args": […]} in, {"result"} or {"error"} out.

import { createHash } from 'node:crypto'
import { createInterface } from 'node:readline'

import { noise } from '@chainsafe/libp2p-noise'
import { withBitswap } from '@helia/bitswap'
import { withLibp2pLight } from '@helia/libp2p'
import { unixfs } from '@helia/unixfs'
import * as dagCbor from '@ipld/dag-cbor'
import { identify } from '@libp2p/identify'
import { ping } from '@libp2p/ping'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import { MemoryBlockstore } from 'blockstore-core'
import { createHeliaLight } from 'helia'
import { CID } from 'multiformats/cid'

const WAIT_MS = 60_000

const helia = withBitswap(withLibp2pLight(createHeliaLight({ blockstore: new MemoryBlockstore() }), {
  addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
  transports: [tcp()],
  connectionEncrypters: [noise()],
  streamMuxers: [yamux()],
  services: { identify: identify(), ping: ping() }
}))
const files = unixfs(helia)

async function bytesOf (pieces) {
  const parts = []
  for await (const piece of pieces) {
    parts.push(piece)
  }
  return Buffer.concat(parts)
}

async function block (cid) {
  const found = await helia.blockstore.get(CID.parse(cid), { signal: AbortSignal.timeout(WAIT_MS) })
  return found[Symbol.asyncIterator] == null ? Buffer.from(found) : bytesOf(found)
}

const sha256 = bytes => createHash('sha256').update(bytes).digest('hex')

const commands = {
  async connect (addr) {
    await helia.libp2p.dial(multiaddr(addr))
  },
  async block (cid) {
    return sha256(await block(cid))
  },
  async field (cid, name) {
    return dagCbor.decode(await block(cid))[name]
  },
  async file (cid) {
    return sha256(await bytesOf(files.cat(CID.parse(cid), { signal: AbortSignal.timeout(WAIT_MS) })))
  },
  async folder (cid) {
    const found = {}
    for await (const entry of files.ls(CID.parse(cid), { signal: AbortSignal.timeout(WAIT_MS) })) {
      found[entry.name] = entry.cid.toString()
    }
    return found
  },
  async put (cid, base64) {
    await helia.blockstore.put(CID.parse(cid), Buffer.from(base64, 'base64'))
  }
}

await helia.start()
const say = facts => process.stdout.write(JSON.stringify(facts) + '\n')
say({ result: helia.libp2p.getMultiaddrs().map(addr => addr.toString()) })
for await (const line of createInterface({ input: process.stdin })) {
  const { do: name, args } = JSON.parse(line)
  try {
    say({ result: (await commands[name](...args)) ?? null })
  } catch (error) {
    say({ error: `${error.name}: ${error.message}` })
  }
}
process.exit(0)
