// A Halle peer on go-libp2p, written from docs/spec alone.
//
// Commands come as JSON lines on stdin ({"id", "do", "args"}); answers and events go out as JSON lines on stdout.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p"
	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/client"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/relay"
	"github.com/libp2p/go-libp2p/p2p/protocol/ping"
	"github.com/libp2p/go-libp2p/p2p/security/noise"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
)

const topicName = "/halle/heads/1"

type args struct {
	Addr, Peer string
	Data       []byte
	Blocks     [][]byte
	Cids       []string
	Code       string
}

type peerNode struct {
	host   host.Host
	topic  *pubsub.Topic
	mu     sync.Mutex
	blocks map[string][]byte
	heads  map[string]head
	refuse string
}

var output sync.Mutex

func say(facts map[string]any) {
	line, _ := json.Marshal(facts)
	output.Lock()
	defer output.Unlock()
	os.Stdout.Write(append(line, '\n'))
}

// Streams of Halle may run over a relay, whose connections go-libp2p calls limited.
func limited(seconds int) (context.Context, context.CancelFunc) {
	ctx := network.WithAllowLimitedConn(context.Background(), "halle")
	return context.WithTimeout(ctx, time.Duration(seconds)*time.Second)
}

func (n *peerNode) do(name string, a args) (any, error) {
	ctx, cancel := limited(30)
	defer cancel()
	switch name {
	case "connect":
		info, err := peer.AddrInfoFromString(a.Addr)
		if err != nil {
			return nil, err
		}
		return info.ID.String(), n.host.Connect(ctx, *info)
	case "announce":
		return nil, n.topic.Publish(ctx, a.Data)
	case "mesh":
		return len(n.topic.ListPeers()), nil
	case "put":
		return n.put(a.Blocks), nil
	case "keep":
		return nil, n.keep(a.Data)
	case "refuse":
		n.refuse = a.Code
		return nil, nil
	case "reserve":
		info, err := peer.AddrInfoFromString(a.Addr)
		if err != nil {
			return nil, err
		}
		reservation, err := client.Reserve(ctx, n.host, *info)
		if err != nil {
			return nil, err
		}
		return reservation.Expiration.Unix(), nil
	}
	id, err := peer.Decode(a.Peer)
	if err != nil {
		return nil, err
	}
	switch name {
	case "ping":
		result := <-ping.Ping(ctx, n.host, id)
		return result.RTT.Seconds(), result.Error
	case "identified":
		protocols, err := n.host.Peerstore().GetProtocols(id)
		if err != nil {
			return nil, err
		}
		agent, _ := n.host.Peerstore().Get(id, "AgentVersion")
		return map[string]any{"protocols": protocols, "agent": agent}, nil
	case "disconnect":
		return nil, n.host.Network().ClosePeer(id)
	case "deliver":
		return n.deliver(ctx, id, a.Data)
	case "fetch":
		return n.fetch(ctx, id, a.Cids)
	case "sync":
		return n.sync(ctx, id)
	}
	return nil, errors.New("unknown command " + name)
}

func (n *peerNode) listen(sub *pubsub.Subscription) {
	for {
		message, err := sub.Next(context.Background())
		if err != nil {
			return
		}
		if message.ReceivedFrom != n.host.ID() {
			say(map[string]any{"event": "head", "frame": message.Data, "peer": message.ReceivedFrom.String()})
		}
	}
}

func options(addr string, relays bool) []libp2p.Option {
	chosen := []libp2p.Option{
		libp2p.ListenAddrStrings(addr), libp2p.Transport(tcp.NewTCPTransport), libp2p.Security(noise.ID, noise.New),
	}
	if relays {
		// A relay serves only when it believes that it is reachable; nobody confirms that on loopback.
		resources := relay.DefaultResources()
		resources.Limit = nil
		return append(chosen, libp2p.EnableRelayService(relay.WithResources(resources)), libp2p.ForceReachabilityPublic())
	}
	return chosen
}

func main() {
	addr := flag.String("listen", "/ip4/127.0.0.1/tcp/0", "address to listen on")
	relays := flag.Bool("relay", false, "relay for others")
	flag.Parse()
	started, err := libp2p.New(options(*addr, *relays)...)
	if err != nil {
		panic(err)
	}
	gossip, err := pubsub.NewGossipSub(context.Background(), started)
	if err != nil {
		panic(err)
	}
	topic, err := gossip.Join(topicName)
	if err != nil {
		panic(err)
	}
	sub, err := topic.Subscribe()
	if err != nil {
		panic(err)
	}
	n := &peerNode{host: started, topic: topic, blocks: map[string][]byte{}, heads: map[string]head{}}
	started.SetStreamHandler(messageProtocol, n.serveMessage)
	started.SetStreamHandler(blocksProtocol, n.serveBlocks)
	started.SetStreamHandler(syncProtocol, n.serveSync)
	go n.listen(sub)
	var addrs []string
	for _, a := range started.Addrs() {
		addrs = append(addrs, a.String()+"/p2p/"+started.ID().String())
	}
	say(map[string]any{"event": "ready", "peer_id": started.ID().String(), "addrs": addrs})
	n.obey()
	started.Close()
	say(map[string]any{"event": "closed", "seconds": 0})
}

func (n *peerNode) obey() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<24)
	for lines.Scan() {
		var request struct {
			ID   int
			Do   string
			Args args
		}
		if err := json.Unmarshal(lines.Bytes(), &request); err != nil {
			panic(err)
		}
		go func() {
			result, err := n.do(request.Do, request.Args)
			if err != nil {
				say(map[string]any{"id": request.ID, "error": err.Error(), "kind": "go", "text": err.Error()})
				return
			}
			say(map[string]any{"id": request.ID, "result": result})
		}()
	}
}
