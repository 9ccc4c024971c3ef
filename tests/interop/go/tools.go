//go:build tools

// Package tools names what is built from elsewhere, so that go.mod and go.sum pin it.
package tools

import _ "github.com/ipfs/kubo/cmd/ipfs"
