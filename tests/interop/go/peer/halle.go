package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/ipfs/go-cid"
	"github.com/ipld/go-ipld-prime"
	"github.com/ipld/go-ipld-prime/codec/dagcbor"
	"github.com/ipld/go-ipld-prime/datamodel"
	"github.com/ipld/go-ipld-prime/fluent/qp"
	cidlink "github.com/ipld/go-ipld-prime/linking/cid"
	"github.com/ipld/go-ipld-prime/node/basicnode"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/multiformats/go-multihash"
)

const (
	messageProtocol = protocol.ID("/halle/message/1")
	blocksProtocol  = protocol.ID("/halle/blocks/1")
	syncProtocol    = protocol.ID("/halle/sync/1")
	maxBlockFrame   = 2097188
	maxEnvelope     = 262144
	maxList         = 65536
	maxSync         = 262144
	readingTime     = 15 * time.Second
)

// frames of spec 11, section 2
type frames struct {
	stream network.Stream
	reader *bufio.Reader
}

func framed(stream network.Stream) *frames { return &frames{stream, bufio.NewReader(stream)} }

func (f *frames) read(limit int) ([]byte, error) {
	f.stream.SetReadDeadline(time.Now().Add(readingTime))
	size, err := binary.ReadUvarint(f.reader)
	if err != nil {
		return nil, err
	}
	if size > uint64(limit) {
		return nil, fmt.Errorf("frame-too-large: %d", size)
	}
	payload := make([]byte, size)
	_, err = io.ReadFull(f.reader, payload)
	return payload, err
}

func (f *frames) write(payload []byte) error {
	_, err := f.stream.Write(append(binary.AppendUvarint(nil, uint64(len(payload))), payload...))
	return err
}

func (n *peerNode) open(ctx context.Context, id peer.ID, name protocol.ID) (*frames, error) {
	stream, err := n.host.NewStream(ctx, id, name)
	if err != nil {
		return nil, err
	}
	return framed(stream), nil
}

// end closes a stream that went well and resets any other.
func (f *frames) end(err error) {
	if err != nil {
		f.stream.Reset()
		return
	}
	f.stream.Close()
}

func cbor(build func(datamodel.MapAssembler)) []byte {
	node, err := qp.BuildMap(basicnode.Prototype.Any, -1, build)
	if err != nil {
		panic(err)
	}
	encoded, err := ipld.Encode(node, dagcbor.Encode)
	if err != nil {
		panic(err)
	}
	return encoded
}

func links(cids []cid.Cid) qp.Assemble {
	return qp.List(-1, func(list datamodel.ListAssembler) {
		for _, c := range cids {
			qp.ListEntry(list, qp.Link(cidlink.Link{Cid: c}))
		}
	})
}

func linksIn(frame []byte, field string) ([]cid.Cid, error) {
	node, err := ipld.Decode(frame, dagcbor.Decode)
	if err != nil {
		return nil, err
	}
	list, err := node.LookupByString(field)
	if err != nil {
		return nil, err
	}
	var found []cid.Cid
	for items := list.ListIterator(); !items.Done(); {
		_, item, err := items.Next()
		if err != nil {
			return nil, err
		}
		link, err := item.AsLink()
		if err != nil {
			return nil, err
		}
		found = append(found, link.(cidlink.Link).Cid)
	}
	return found, nil
}

// section 6

func (n *peerNode) deliver(ctx context.Context, id peer.ID, envelope []byte) (answer any, err error) {
	f, err := n.open(ctx, id, messageProtocol)
	if err != nil {
		return nil, err
	}
	defer func() { f.end(err) }()
	if err = f.write(envelope); err != nil {
		return nil, err
	}
	frame, err := f.read(4096)
	if err != nil {
		return nil, err
	}
	node, err := ipld.Decode(frame, dagcbor.Decode)
	if err != nil {
		return nil, err
	}
	facts := map[string]any{}
	if value, err := node.LookupByString("ok"); err == nil {
		facts["ok"], _ = value.AsBool()
	}
	if value, err := node.LookupByString("code"); err == nil {
		facts["code"], _ = value.AsString()
	}
	return facts, nil
}

func (n *peerNode) serveMessage(stream network.Stream) {
	f := framed(stream)
	envelope, err := f.read(maxEnvelope)
	if err == nil {
		say(map[string]any{"event": "message", "envelope": envelope, "peer": stream.Conn().RemotePeer().String()})
		err = f.write(cbor(func(m datamodel.MapAssembler) {
			qp.MapEntry(m, "ok", qp.Bool(n.refuse == ""))
			if n.refuse != "" {
				qp.MapEntry(m, "code", qp.String(n.refuse))
				qp.MapEntry(m, "retry", qp.Bool(false))
			}
		}))
	}
	f.end(err)
}

// section 5

func (n *peerNode) put(blocks [][]byte) []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	var names []string
	for _, block := range blocks {
		hash, _ := multihash.Sum(block, multihash.SHA2_256, -1)
		c := cid.NewCidV1(cid.Raw, hash)
		n.blocks[string(c.Hash())] = block
		names = append(names, c.String())
	}
	return names
}

func (n *peerNode) fetch(ctx context.Context, id peer.ID, names []string) (found map[string][]byte, err error) {
	f, err := n.open(ctx, id, blocksProtocol)
	if err != nil {
		return nil, err
	}
	defer func() { f.end(err) }()
	var wanted []cid.Cid
	for _, name := range names {
		c, err := cid.Decode(name)
		if err != nil {
			return nil, err
		}
		wanted = append(wanted, c)
	}
	err = f.write(cbor(func(m datamodel.MapAssembler) { qp.MapEntry(m, "want", links(wanted)) }))
	found = map[string][]byte{}
	for err == nil {
		var frame []byte
		if frame, err = f.read(maxBlockFrame); err != nil {
			return nil, err
		}
		if len(frame) < 36 || frame[0] != 0x01 {
			_, err = linksIn(frame, "missing")
			return found, err
		}
		c, bad := cid.Cast(frame[:36])
		if bad != nil {
			return nil, bad
		}
		digest := sha256.Sum256(frame[36:])
		if !bytes.HasSuffix(c.Bytes(), digest[:]) {
			return nil, errors.New("cid-mismatch")
		}
		found[c.String()] = frame[36:]
	}
	return nil, err
}

func (n *peerNode) serveBlocks(stream network.Stream) {
	f := framed(stream)
	request, err := f.read(maxList)
	if err != nil {
		f.end(err)
		return
	}
	wanted, err := linksIn(request, "want")
	var missing []cid.Cid
	for _, c := range wanted {
		n.mu.Lock()
		block, here := n.blocks[string(c.Hash())]
		n.mu.Unlock()
		if !here {
			missing = append(missing, c)
		} else if err == nil {
			err = f.write(append(c.Bytes(), block...))
		}
	}
	if err == nil {
		err = f.write(cbor(func(m datamodel.MapAssembler) {
			qp.MapEntry(m, "later", links(nil))
			qp.MapEntry(m, "missing", links(missing))
		}))
	}
	f.end(err)
}
