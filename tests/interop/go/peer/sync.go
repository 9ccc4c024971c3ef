package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"

	"github.com/ipld/go-ipld-prime"
	"github.com/ipld/go-ipld-prime/codec/dagcbor"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
)

// A head as spec 4 orders it: by `issued`, then by the sha2-256 of its bytes. This peer keeps fewer than 32.
type head struct {
	issued uint64
	id     []byte
	frame  []byte
}

func (n *peerNode) keep(frame []byte) error {
	announcement, err := ipld.Decode(frame, dagcbor.Decode)
	if err != nil {
		return err
	}
	inner, err := announcement.LookupByString("head")
	if err != nil {
		return err
	}
	encoded, err := inner.AsBytes()
	if err != nil {
		return err
	}
	fields, err := ipld.Decode(encoded, dagcbor.Decode)
	if err != nil {
		return err
	}
	when, err := fields.LookupByString("issued")
	if err != nil {
		return err
	}
	issued, err := when.AsInt()
	id := sha256.Sum256(encoded)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.heads[string(id[:])] = head{uint64(issued), id[:], frame}
	return err
}

func (n *peerNode) sorted() []head {
	n.mu.Lock()
	defer n.mu.Unlock()
	var all []head
	for _, h := range n.heads {
		all = append(all, h)
	}
	slices.SortFunc(all, func(a, b head) int {
		if a.issued != b.issued {
			return int(a.issued) - int(b.issued)
		}
		return bytes.Compare(a.id, b.id)
	})
	return all
}

// varints of spec 4: most significant digit first

func varint(value uint64) []byte {
	out := []byte{byte(value & 0x7f)}
	for value >>= 7; value > 0; value >>= 7 {
		out = append([]byte{byte(value&0x7f) | 0x80}, out...)
	}
	return out
}

type message struct{ rest []byte }

func (m *message) take(count uint64) ([]byte, error) {
	if uint64(len(m.rest)) < count {
		return nil, errors.New("sync-malformed")
	}
	taken := m.rest[:count]
	m.rest = m.rest[count:]
	return taken, nil
}

func (m *message) number() (value uint64, err error) {
	for {
		digit, err := m.take(1)
		if err != nil {
			return 0, err
		}
		value = value<<7 | uint64(digit[0]&0x7f)
		if digit[0] < 0x80 {
			return value, nil
		}
	}
}

type bound struct {
	infinite bool
	time     uint64
	id       []byte
}

func (b bound) after(h head) bool {
	return b.infinite || h.issued < b.time || h.issued == b.time && bytes.Compare(h.id, b.id) < 0
}

func fingerprint(heads []head) []byte {
	var sum [32]byte
	for _, h := range heads {
		carry := 0
		for i := range sum {
			carry += int(sum[i]) + int(h.id[i])
			sum[i] = byte(carry)
			carry >>= 8
		}
	}
	digest := sha256.Sum256(append(sum[:], varint(uint64(len(heads)))...))
	return digest[:16]
}

func idList(heads []head) []byte {
	out := append(varint(2), varint(uint64(len(heads)))...)
	for _, h := range heads {
		out = append(out, h.id...)
	}
	return out
}

// first is the asker's first message: everything in one range without end.
func first(heads []head) []byte { return append([]byte{0x61, 0, 0}, idList(heads)...) }

// answer reads a message and writes the next one. The asker learns what to want and what the other side lacks.
func answer(received []byte, ours []head, asking bool) (next []byte, need [][]byte, have []head, err error) {
	m := &message{received}
	version, err := m.take(1)
	if err != nil || version[0] != 0x61 {
		return nil, nil, nil, errors.New("sync-version")
	}
	next, before := []byte{0x61}, uint64(0)
	for len(m.rest) > 0 {
		start := m.rest
		delta, err := m.number()
		if err != nil {
			return nil, nil, nil, err
		}
		size, err := m.number()
		if err != nil || size > 32 {
			return nil, nil, nil, errors.New("sync-malformed")
		}
		prefix, err := m.take(size)
		if err != nil {
			return nil, nil, nil, err
		}
		ends := bound{infinite: delta == 0, id: append(slices.Clone(prefix), make([]byte, 32-size)...)}
		if delta > 0 {
			before += delta - 1
			ends.time = before
		}
		wire := start[:len(start)-len(m.rest)]
		count := slices.IndexFunc(ours, func(h head) bool { return !ends.after(h) })
		if count < 0 {
			count = len(ours)
		}
		inside := ours[:count]
		ours = ours[count:]
		mode, err := m.number()
		if err != nil {
			return nil, nil, nil, err
		}
		payload := varint(0)
		switch mode {
		case 0:
		case 1:
			theirs, err := m.take(16)
			if err != nil {
				return nil, nil, nil, err
			}
			if !bytes.Equal(theirs, fingerprint(inside)) {
				payload = idList(inside)
			}
		case 2:
			theirs, err := m.ids()
			if err != nil {
				return nil, nil, nil, err
			}
			if !asking {
				payload = idList(inside)
				break
			}
			for _, id := range theirs {
				if !slices.ContainsFunc(inside, func(h head) bool { return bytes.Equal(h.id, id) }) {
					need = append(need, id)
				}
			}
			for _, h := range inside {
				if !slices.ContainsFunc(theirs, func(id []byte) bool { return bytes.Equal(h.id, id) }) {
					have = append(have, h)
				}
			}
		default:
			return nil, nil, nil, errors.New("sync-malformed")
		}
		next = append(append(next, wire...), payload...)
	}
	return next, need, have, nil
}

func (m *message) ids() (ids [][]byte, err error) {
	count, err := m.number()
	if err != nil || count > uint64(len(m.rest)/32) {
		return nil, errors.New("sync-malformed")
	}
	for range count {
		id, _ := m.take(32)
		ids = append(ids, id)
	}
	return ids, nil
}

// sync asks a peer; spec 11, section 4. One round is enough: what this peer has fits in a list of ids.
func (n *peerNode) sync(ctx context.Context, id peer.ID) (got int, err error) {
	f, err := n.open(ctx, id, syncProtocol)
	if err != nil {
		return 0, err
	}
	defer func() { f.end(err) }()
	if err = f.write(append([]byte{'R'}, first(n.sorted())...)); err != nil {
		return 0, err
	}
	reply, err := f.read(maxSync)
	if err != nil || len(reply) == 0 || reply[0] != 'R' {
		return 0, fmt.Errorf("sync-shape: %w", err)
	}
	_, need, have, err := answer(reply[1:], n.sorted(), true)
	if err != nil {
		return 0, err
	}
	if err = f.write(append([]byte{'W'}, bytes.Join(need, nil)...)); err != nil {
		return 0, err
	}
	if got, err = n.receive(f); err != nil {
		return got, err
	}
	if err = send(f, have); err != nil {
		return got, err
	}
	_, err = f.read(maxSync) // their E: they have processed what they lacked
	return got, err
}

func (n *peerNode) serveSync(stream network.Stream) {
	f := framed(stream)
	f.end(n.answerSync(f))
}

func (n *peerNode) answerSync(f *frames) error {
	for range 33 {
		request, err := f.read(maxSync)
		if err != nil || len(request) == 0 {
			return errors.New("sync-shape")
		}
		if request[0] == 'R' {
			next, _, _, err := answer(request[1:], n.sorted(), false)
			if err != nil {
				return err
			}
			if err := f.write(append([]byte{'R'}, next...)); err != nil {
				return err
			}
			continue
		}
		var wanted []head
		for _, h := range n.sorted() {
			if bytes.Contains(request[1:], h.id) {
				wanted = append(wanted, h)
			}
		}
		if err := send(f, wanted); err != nil {
			return err
		}
		if _, err := n.receive(f); err != nil {
			return err
		}
		return f.write([]byte{'E'})
	}
	return errors.New("sync-shape")
}

func send(f *frames, heads []head) error {
	for _, h := range heads {
		if err := f.write(append([]byte{'F'}, h.frame...)); err != nil {
			return err
		}
	}
	return f.write([]byte{'E'})
}

func (n *peerNode) receive(f *frames) (got int, err error) {
	for {
		frame, err := f.read(maxSync)
		if err != nil || len(frame) == 0 {
			return got, errors.New("sync-shape")
		}
		if frame[0] == 'E' {
			return got, nil
		}
		if err := n.keep(frame[1:]); err != nil {
			return got, err
		}
		say(map[string]any{"event": "synced", "frame": frame[1:]})
		got++
	}
}
