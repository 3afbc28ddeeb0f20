package differential_test

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/dunlin-io/dunlin/core/parser"
)

// input is the messages that one connection receives, and by which codec.
type input struct {
	codec  parser.Codec
	frames []parser.Frame
}

func textInput(text string, attachments ...string) input {
	in := input{codec: parser.JSON(), frames: []parser.Frame{{Data: []byte(text)}}}
	for _, a := range attachments {
		in.frames = append(in.frames, parser.Frame{Binary: true, Data: []byte(a)})
	}
	return in
}

func msgpackInput(data string) input {
	return input{codec: parser.Msgpack(), frames: []parser.Frame{{Binary: true, Data: []byte(data)}}}
}

// String is a line of the peer's input.
func (in input) String() string {
	var line strings.Builder
	line.WriteString(in.codec.Name())
	for _, f := range in.frames {
		kind := " t"
		if f.Binary {
			kind = " b"
		}
		line.WriteString(kind + hex.EncodeToString(f.Data))
	}
	return line.String()
}

// answer is what the peer made of an input.
type answer struct {
	Packets []peerPacket
	Error   *string
	At      int // the message that Error is about
	Pending bool
}

func (a *answer) rejected() bool { return a.Error != nil }

type peerPacket struct {
	Type, ID, Data any
	Nsp            string
	Again          []string // as the peer encodes it
}

func (p *peerPacket) UnmarshalJSON(text []byte) (err error) {
	var raw struct {
		Type, Nsp, ID, Data any
		Again               []string
	}
	if err := json.Unmarshal(text, &raw); err != nil {
		return err
	}
	*p = peerPacket{Again: raw.Again}
	var isString bool
	if p.Nsp, isString = raw.Nsp.(string); !isString {
		return fmt.Errorf("namespace %v", raw.Nsp)
	}
	for _, v := range []struct {
		dst *any
		raw any
	}{{&p.Type, raw.Type}, {&p.ID, raw.ID}, {&p.Data, raw.Data}} {
		if *v.dst, err = fromView(v.raw); err != nil {
			return err
		}
	}
	return nil
}

func (p *peerPacket) frames() (frames []parser.Frame, err error) {
	for _, m := range p.Again {
		data, err := hex.DecodeString(m[1:])
		if err != nil {
			return nil, err
		}
		frames = append(frames, parser.Frame{Binary: m[0] == 'b', Data: data})
	}
	return frames, nil
}

// peer is a Node.js process that decodes with the npm packages.
type peer struct {
	in  io.Writer
	out *bufio.Reader
}

func startPeer(t *testing.T) *peer {
	t.Helper()
	const install = "install Node.js 20 and run: npm --prefix test/differential ci"
	if _, err := exec.LookPath("node"); err != nil {
		missing(t, install)
	}
	if _, err := os.Stat("node_modules/socket.io-msgpack-parser"); err != nil {
		missing(t, install)
	}
	cmd := exec.Command("node", "peer.mjs")
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close() // the end of its input ends it
		if err := cmd.Wait(); err != nil {
			t.Errorf("node: %v\n%s", err, complaints.Bytes())
		}
	})
	return &peer{in, bufio.NewReaderSize(out, 1<<20)}
}

func missing(t *testing.T, install string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(install)
	}
	t.Skip(install)
}

// ask lets the peer decode inputs.
func (p *peer) ask(inputs []input) ([]answer, error) {
	var lines strings.Builder
	for _, in := range inputs {
		lines.WriteString(in.String())
		lines.WriteByte('\n')
	}
	written := make(chan error, 1)
	// The write ends when the peer has read everything, which the loop below
	// waits for, or when the peer ends.
	go func() {
		_, err := io.WriteString(p.in, lines.String())
		written <- err
	}()
	answers := make([]answer, len(inputs))
	var failed error
	for i := range answers {
		line, err := p.out.ReadBytes('\n')
		if err == nil {
			err = json.Unmarshal(line, &answers[i])
		}
		if err != nil {
			failed = fmt.Errorf("answer to %s: %w", inputs[i], err)
			break
		}
	}
	if failed != nil {
		return nil, failed // the peer is out of step: the test ends, and the peer with it
	}
	return answers, errors.Join(<-written)
}
