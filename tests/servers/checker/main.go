// Checks what a transparency log gives out with other people's code: Go's sumdb/note and sumdb/tlog, and
// github.com/transparency-dev/formats. Reads one JSON document, prints "ok" and what it checked, or fails.
package main

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/transparency-dev/formats/log"
	fnote "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

type inclusion struct {
	Index, Size int64
	Root, Leaf  []byte
	Entry       []byte
	Proof       [][]byte
}

type consistency struct {
	Old, Size     int64
	OldRoot, Root []byte
	Proof         [][]byte
}

type document struct {
	Vkey         string
	Witnesses    []string
	Checkpoint   []byte
	Inclusions   []inclusion
	Consistences []consistency
}

func must(what string, err error) {
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", what, err)
		os.Exit(1)
	}
}

func hash(b []byte) tlog.Hash {
	var h tlog.Hash
	if len(b) != len(h) {
		must("hash", fmt.Errorf("%d bytes", len(b)))
	}
	copy(h[:], b)
	return h
}

func hashes(bs [][]byte) []tlog.Hash {
	var found []tlog.Hash
	for _, b := range bs {
		found = append(found, hash(b))
	}
	return found
}

func main() {
	var d document
	must("document", json.NewDecoder(os.Stdin).Decode(&d))
	own, err := note.NewVerifier(d.Vkey)
	must("log key", err)
	var witnesses []note.Verifier
	for _, vkey := range d.Witnesses {
		w, err := fnote.NewVerifierForCosignatureV1(vkey)
		must("witness key", err)
		witnesses = append(witnesses, w)
	}
	all, err := note.Open(d.Checkpoint, note.VerifierList(append([]note.Verifier{own}, witnesses...)...))
	must("note.Open", err)
	if len(all.Sigs) != 1+len(witnesses) || len(all.UnverifiedSigs) != 0 {
		must("signatures", fmt.Errorf("%d verified, %d not", len(all.Sigs), len(all.UnverifiedSigs)))
	}
	head, _, parsed, err := log.ParseCheckpoint(d.Checkpoint, own.Name(), own, witnesses...)
	must("log.ParseCheckpoint", err)
	if len(parsed.Sigs) != 1+len(witnesses) {
		must("cosignatures", fmt.Errorf("%d verified", len(parsed.Sigs)))
	}
	for _, sig := range parsed.Sigs[1:] {
		_, err := fnote.CoSigV1Timestamp(sig)
		must("cosignature time", err)
	}
	for _, p := range d.Inclusions {
		if tlog.RecordHash(p.Entry) != hash(p.Leaf) {
			must("leaf hash", fmt.Errorf("of leaf %d differs", p.Index))
		}
		must("inclusion", tlog.CheckRecord(hashes(p.Proof), p.Size, hash(p.Root), p.Index, hash(p.Leaf)))
	}
	for _, p := range d.Consistences {
		must("consistency", tlog.CheckTree(hashes(p.Proof), p.Size, hash(p.Root), p.Old, hash(p.OldRoot)))
	}
	fmt.Printf("ok size=%d inclusions=%d consistencies=%d cosignatures=%d\n", head.Size, len(d.Inclusions),
		len(d.Consistences), len(witnesses))
}
