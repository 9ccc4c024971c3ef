// A Halle peer on js-libp2p, written from docs/spec alone.
//
// Commands come as JSON lines on stdin ({"id", "do", "args"}); answers and events go out as JSON lines on stdout.
import { createHash } from 'node:crypto'
import { createInterface } from 'node:readline'
import { noise } from '@chainsafe/libp2p-noise'
import * as dagCbor from '@ipld/dag-cbor'
import { circuitRelayServer, circuitRelayTransport } from '@libp2p/circuit-relay-v2'
import { gossipsub } from '@libp2p/gossipsub'
import { identify } from '@libp2p/identify'
import { mdns } from '@libp2p/mdns'
import { peerIdFromString } from '@libp2p/peer-id'
import { ping } from '@libp2p/ping'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import { CID } from 'multiformats/cid'
import * as raw from 'multiformats/codecs/raw'
import { sha256 } from 'multiformats/hashes/sha2'

const TOPIC = '/halle/heads/1'
const MESSAGE = '/halle/message/1'
const BLOCKS = '/halle/blocks/1'
const READING_MS = 15_000
// Streams of Halle may run over a relay, whose connections js-libp2p calls limited.
const ANYWHERE = { runOnLimitedConnection: true }

const say = (facts) => process.stdout.write(JSON.stringify(facts) + '\n')
const base64 = (bytes) => Buffer.from(bytes).toString('base64')
const bytesOf = (text) => new Uint8Array(Buffer.from(text ?? '', 'base64'))
const digestOf = (bytes) => createHash('sha256').update(bytes).digest('hex')
const digestIn = (cid) => Buffer.from(cid.multihash.digest).toString('hex')

// frames of spec 11, section 2
class Frames {
  constructor (stream) {
    this.stream = stream
    this.chunks = stream[Symbol.asyncIterator]()
    this.buffer = Buffer.alloc(0)
  }

  async fill () {
    const late = new Promise((_resolve, reject) => setTimeout(reject, READING_MS, new Error('peer-stalled')).unref())
    const { value, done } = await Promise.race([this.chunks.next(), late])
    if (done) throw new Error('peer-gone')
    this.buffer = Buffer.concat([this.buffer, value.subarray()])
  }

  async read (limit) {
    let size = 0
    for (let index = 0; ; index++) {
      if (index === 4) throw new Error('frame-prefix')
      if (this.buffer.length === index) await this.fill()
      size += (this.buffer[index] & 0x7f) * 128 ** index
      if (this.buffer[index] < 0x80) {
        this.buffer = this.buffer.subarray(index + 1)
        break
      }
    }
    if (size > limit) throw new Error('frame-too-large')
    while (this.buffer.length < size) await this.fill()
    const frame = this.buffer.subarray(0, size)
    this.buffer = this.buffer.subarray(size)
    return new Uint8Array(frame)
  }

  async write (payload) {
    const prefix = []
    let size = payload.length
    for (; size > 0x7f; size >>= 7) prefix.push(size & 0x7f | 0x80)
    if (!this.stream.send(Buffer.concat([Uint8Array.from([...prefix, size]), payload]))) await this.stream.onDrain()
  }
}

// A stream is closed when all went well and reset otherwise.
async function over (stream, talk) {
  try {
    const result = await talk(new Frames(stream))
    await stream.close()
    return result
  } catch (error) {
    stream.abort(error)
    throw error
  }
}

const blocks = new Map()
let refusal = ''

const servers = {
  // section 6
  [MESSAGE]: async (frames, peer) => {
    const envelope = await frames.read(262_144)
    say({ event: 'message', envelope: base64(envelope), peer })
    await frames.write(dagCbor.encode(refusal ? { ok: false, code: refusal, retry: false } : { ok: true }))
  },
  // section 5
  [BLOCKS]: async (frames) => {
    const { want } = dagCbor.decode(await frames.read(65_536))
    const here = want.filter((cid) => blocks.has(digestIn(cid)))
    for (const cid of here) await frames.write(Buffer.concat([cid.bytes, blocks.get(digestIn(cid))]))
    await frames.write(dagCbor.encode({ later: [], missing: want.filter((cid) => !here.includes(cid)) }))
  }
}

const commands = {
  connect: async ({ addr }) => (await node.dial(multiaddr(addr))).remotePeer.toString(),
  announce: async ({ data }) => { await node.services.pubsub.publish(TOPIC, bytesOf(data)) },
  mesh: async () => node.services.pubsub.getSubscribers(TOPIC).length,
  refuse: async ({ code }) => { refusal = code },
  ping: async ({ peer }) => await node.services.ping.ping(peerIdFromString(peer)) / 1000,
  disconnect: async ({ peer }) => await node.hangUp(peerIdFromString(peer)),
  identified: async ({ peer }) => {
    const found = await node.peerStore.get(peerIdFromString(peer))
    return { protocols: found.protocols, agent: Buffer.from(found.metadata.get('AgentVersion') ?? '').toString() }
  },
  put: async ({ blocks: added }) => {
    const named = []
    for (const block of added.map(bytesOf)) {
      blocks.set(digestOf(block), block)
      named.push(CID.createV1(raw.code, await sha256.digest(block)).toString())
    }
    return named
  },
  deliver: async ({ peer, data }) =>
    await over(await node.dialProtocol(peerIdFromString(peer), MESSAGE, ANYWHERE), async (frames) => {
      await frames.write(bytesOf(data))
      return dagCbor.decode(await frames.read(4096))
    }),
  fetch: async ({ peer, cids }) =>
    await over(await node.dialProtocol(peerIdFromString(peer), BLOCKS, ANYWHERE), async (frames) => {
      await frames.write(dagCbor.encode({ want: cids.map((text) => CID.parse(text)) }))
      for (const found = {}; ;) {
        const frame = await frames.read(2_097_188)
        if (frame[0] !== 0x01) return found
        const cid = CID.decode(frame.subarray(0, 36))
        if (digestIn(cid) !== digestOf(frame.subarray(36))) throw new Error('cid-mismatch')
        found[cid.toString()] = base64(frame.subarray(36))
      }
    })
}

const options = JSON.parse(process.argv[2] ?? '{}')
const services = { identify: identify(), ping: ping(), pubsub: gossipsub() }
if (options.relay) services.relay = circuitRelayServer()
const node = await createLibp2p({
  addresses: { listen: [options.listen ?? '/ip4/127.0.0.1/tcp/0', ...(options.reserve ?? []).map((addr) => `${addr}/p2p-circuit`)] },
  transports: [tcp(), circuitRelayTransport()],
  connectionEncrypters: [noise()],
  streamMuxers: [yamux()],
  connectionGater: { denyDialMultiaddr: () => false }, // loopback is what the tests have
  peerDiscovery: options.mdns ? [mdns({ interval: 1000 })] : [],
  services
})
for (const [protocol, serve] of Object.entries(servers)) {
  await node.handle(protocol, (stream, connection) => {
    over(stream, async (frames) => await serve(frames, connection.remotePeer.toString())).catch((error) => {
      say({ event: 'failed-stream', protocol, text: String(error) })
    })
  }, ANYWHERE)
}
node.addEventListener('peer:discovery', ({ detail }) => {
  say({ event: 'discovered', peer: detail.id.toString(), addrs: detail.multiaddrs.map(String) })
})
node.services.pubsub.addEventListener('message', ({ detail }) => {
  if (detail.topic === TOPIC) say({ event: 'head', frame: base64(detail.data) })
})
node.services.pubsub.subscribe(TOPIC)
say({ event: 'ready', peer_id: node.peerId.toString(), addrs: node.getMultiaddrs().map(String) })

for await (const line of createInterface({ input: process.stdin })) {
  const { id, do: name, args } = JSON.parse(line)
  commands[name](args).then(
    (result) => say({ id, result: result ?? null }),
    (error) => say({ id, error: error.message, kind: 'js', text: String(error.stack) })
  )
}
await node.stop()
say({ event: 'closed', seconds: 0 })
process.exit(0)
