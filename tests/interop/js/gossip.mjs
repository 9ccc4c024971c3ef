// A js-libp2p node that gossips: commands and answers as JSON lines on stdin and stdout, as tests/node/p2p/crowd_process.py.
import { createInterface } from 'node:readline'
import { noise } from '@chainsafe/libp2p-noise'
import { yamux } from '@libp2p/yamux'
import { gossipsub } from '@libp2p/gossipsub'
import { identify } from '@libp2p/identify'
import { tcp } from '@libp2p/tcp'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'

const TOPIC = '/halle/heads/1'
const say = (facts) => process.stdout.write(JSON.stringify(facts) + '\n')
const now = () => (performance.timeOrigin + performance.now()) / 1000
const came = new Map()

const node = await createLibp2p({
  addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
  transports: [tcp()],
  connectionEncrypters: [noise()],
  streamMuxers: [yamux()],
  services: {
    identify: identify(),
    pubsub: gossipsub({ D: 6, Dlo: 4, Dhi: 12, heartbeatInterval: 1000, allowPublishToZeroTopicPeers: true, emitSelf: false })
  }
})
const pubsub = node.services.pubsub
pubsub.addEventListener('message', (event) => {
  const hex = Buffer.from(event.detail.data).toString('hex')
  if (!came.has(hex)) came.set(hex, now())
})
pubsub.subscribe(TOPIC)

const does = {
  connect: async ({ addr }) => { await node.dial(multiaddr(addr)) },
  announce: async ({ frames, pause_s }) => {
    const begun = now()
    for (let i = 0; i < frames.length; i++) {
      came.set(frames[i], now())
      await pubsub.publish(TOPIC, Buffer.from(frames[i], 'hex'))
      const wait = begun + (i + 1) * pause_s - now()
      if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait * 1000))
    }
    return begun
  },
  came: async () => Object.fromEntries(came),
  forget: async () => { came.clear() },
  usage: async () => {
    const { user, system } = process.cpuUsage()
    return { rss_mb: process.memoryUsage.rss() / 1048576, cpu_s: (user + system) / 1e6, fds: 0 }
  },
  mesh: async () => pubsub.getMeshPeers(TOPIC).length
}

const [addr] = node.getMultiaddrs()
const number = process.argv[2]
say({ event: 'ready', nodes: { [number]: { peer_id: node.peerId.toString(), addr: addr.toString() } } })
const lines = createInterface({ input: process.stdin })
lines.on('line', async (line) => {
  const request = JSON.parse(line)
  try {
    say({ id: request.id, result: (await does[request.do](request.args)) ?? null })
  } catch (error) {
    say({ id: request.id, error: 'js', kind: 'js', text: String(error) })
  }
})
lines.on('close', async () => { await node.stop(); process.exit(0) })
