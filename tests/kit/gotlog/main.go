// Checks checkpoints and proofs of a registry with Go's own implementation: golang.org/x/mod/sumdb/{note,tlog}.
// Reads one JSON document on stdin; exits with 1 and says why when anything is not as it should be.
package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

type inclusion struct {
	Index  int64    `json:"index"`
	Leaf   []byte   `json:"leaf"`
	Hashes [][]byte `json:"hashes"`
}

type document struct {
	VerifierKey string      `json:"verifier_key"`
	Note        string      `json:"note"`
	OldNote     string      `json:"old_note"`
	Inclusions  []inclusion `json:"inclusions"`
	Consistency [][]byte    `json:"consistency"`
}

func main() {
	var given document
	must(json.NewDecoder(os.Stdin).Decode(&given))
	verifier, err := note.NewVerifier(given.VerifierKey)
	must(err)
	size, root := head(given.Note, verifier)
	for _, each := range given.Inclusions {
		must(tlog.CheckRecord(hashes(each.Hashes), size, root, each.Index, tlog.RecordHash(each.Leaf)))
	}
	if given.OldNote != "" {
		oldSize, oldRoot := head(given.OldNote, verifier)
		must(tlog.CheckTree(hashes(given.Consistency), size, root, oldSize, oldRoot))
	}
	fmt.Printf("%d entries, %d proofs\n", size, len(given.Inclusions))
}

func head(text string, verifier note.Verifier) (int64, tlog.Hash) {
	opened, err := note.Open([]byte(text), note.VerifierList(verifier))
	must(err)
	lines := strings.Split(opened.Text, "\n")
	if len(lines) < 3 || lines[0] != verifier.Name() {
		must(fmt.Errorf("the note is no checkpoint of %s", verifier.Name()))
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	must(err)
	raw, err := base64.StdEncoding.DecodeString(lines[2])
	must(err)
	return size, hashes([][]byte{raw})[0]
}

func hashes(raw [][]byte) []tlog.Hash {
	made := make([]tlog.Hash, len(raw))
	for at, each := range raw {
		if copy(made[at][:], each) != tlog.HashSize {
			must(fmt.Errorf("a hash has %d bytes", len(each)))
		}
	}
	return made
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
