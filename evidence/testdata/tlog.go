// Checks a directory of C2SP tlog-tiles with Go's own packages. The tests build it.
package main

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const width = 256

type tiles struct{ root string }

func (t tiles) Height() int                         { return 8 }
func (t tiles) SaveTiles(_ []tlog.Tile, _ [][]byte) {}
func (t tiles) ReadTiles(all []tlog.Tile) ([][]byte, error) {
	var out [][]byte
	for _, tile := range all {
		// Go has the height in the name, and C2SP has not.
		name := strings.Replace(tile.Path(), "tile/8/", "tile/", 1)
		data, err := os.ReadFile(filepath.Join(t.root, name))
		if err != nil {
			return nil, err
		}
		out = append(out, data)
	}
	return out, nil
}

func number(n int64) string {
	text := fmt.Sprintf("%03d", n%1000)
	for n >= 1000 {
		n /= 1000
		text = fmt.Sprintf("x%03d/%s", n%1000, text)
	}
	return text
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(9)
	}
}

func main() {
	root, vkey := os.Args[1], os.Args[2]
	verifier, err := note.NewVerifier(vkey)
	must(err)
	text, err := os.ReadFile(filepath.Join(root, "checkpoint"))
	must(err)
	opened, err := note.Open(text, note.VerifierList(verifier))
	must(err)
	lines := strings.Split(opened.Text, "\n")
	size, err := strconv.ParseInt(lines[1], 10, 64)
	must(err)
	head, err := base64.StdEncoding.DecodeString(lines[2])
	must(err)
	tree := tlog.Tree{N: size}
	copy(tree.Hash[:], head)
	reader := tlog.TileHashReader(tree, tiles{root})
	for first := int64(0); first < size; first += width {
		count := size - first
		name := "tile/entries/" + number(first/width)
		if count < width {
			name += fmt.Sprintf(".p/%d", count)
		} else {
			count = width
		}
		bundle, err := os.ReadFile(filepath.Join(root, name))
		must(err)
		var indexes []int64
		for at := first; at < first+count; at++ {
			indexes = append(indexes, tlog.StoredHashIndex(0, at))
		}
		// This fails unless the tiles lead to the head's root.
		hashes, err := reader.ReadHashes(indexes)
		must(err)
		for at := int64(0); at < count; at++ {
			if len(bundle) < 2 || len(bundle) < 2+int(binary.BigEndian.Uint16(bundle)) {
				must(fmt.Errorf("entry %d is cut off", first+at))
			}
			length := int(binary.BigEndian.Uint16(bundle))
			if tlog.RecordHash(bundle[2:2+length]) != hashes[at] {
				must(fmt.Errorf("entry %d is not the one in the tree", first+at))
			}
			bundle = bundle[2+length:]
		}
		if len(bundle) != 0 {
			must(fmt.Errorf("something follows entry %d", first+count-1))
		}
	}
	// One proof as a client would ask for it.
	proof, err := tlog.ProveRecord(size, size-1, reader)
	must(err)
	hash, err := reader.ReadHashes([]int64{tlog.StoredHashIndex(0, size-1)})
	must(err)
	must(tlog.CheckRecord(proof, size, tree.Hash, size-1, hash[0]))
	fmt.Println("good", size)
}
