package redisadapter

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Signed messages are MessagePack that no JavaScript member acts upon: an array
// whose second element, where the packet of a broadcast would be, is nil.
//
//	["hmac1", nil, seal (40 bytes), payload (binary)]
//	seal: sender (8) number (8) time (8, Unix ms) tag (16), big-endian
//
// The tag is the beginning of HMAC-SHA256 over the sender, number and time, and
// the channel and payload, each behind its length in eight bytes. In an entry of
// a stream the seal is one more field, sig, in base64, and the tag is over the
// stream and the other fields that mean something. JavaScript members do not look
// at the field, so they act upon signed entries; Go nodes do not hear them.
const (
	sealedHead = "\x94\xa5hmac1\xc0\xc4\x28"
	sealedBin  = 0xc6 // followed by the payload's length in four bytes
	sealField  = "sig"

	stampSize = 24
	tagSize   = 16
	sealSize  = stampSize + tagSize

	sealedSize = len(sealedHead) + sealSize + 5 // without the payload

	minSecret = 16 // bytes
)

// freshness is how far the clocks of two nodes may differ, together with the time
// that a message is under way. What is older may be a repetition of something
// that nobody remembers.
const freshness = 2 * time.Minute

var (
	errDistrusted = errors.New("not to be trusted")

	errUnsigned = fmt.Errorf("%w: it is not signed: with Options.Secrets only Go nodes that have them can take part, Node.js nodes and emitters cannot", errDistrusted)
	errForged   = fmt.Errorf("%w: its signature is wrong: its sender has other Options.Secrets, or somebody has changed it", errDistrusted)
	errStale    = fmt.Errorf("%w: it was signed too long ago, or in the future: the clocks of the nodes differ, or somebody repeats it", errDistrusted)
	errRepeated = fmt.Errorf("%w: it was here before: somebody repeats it", errDistrusted)
	errSealed   = errors.New("it is signed, and this node has no Options.Secrets")
)

// signer signs what one adapter publishes, and checks what others did. The
// messages of one place must be signed in the order in which they leave.
type signer struct {
	keys   []*key // the first signs
	sender uint64
	number atomic.Uint64
}

// newSigner returns nil when there are no secrets.
func newSigner(secrets [][]byte) *signer {
	if len(secrets) == 0 {
		return nil
	}
	var b [8]byte
	rand.Read(b[:]) // never fails
	s := &signer{sender: binary.BigEndian.Uint64(b[:])}
	for _, secret := range secrets {
		s.keys = append(s.keys, newKey(secret))
	}
	return s
}

// checkSecrets refuses those that can be guessed.
func checkSecrets(secrets [][]byte) error {
	for i, secret := range secrets {
		if len(secret) < minSecret {
			return fmt.Errorf("Secrets[%d] has %d bytes, want at least %d random ones", i, len(secret), minSecret)
		}
	}
	return nil
}

// stamp is what makes a message different from all others.
type stamp struct {
	sender, number uint64
	at             int64 // Unix time in milliseconds
}

func (s stamp) append(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint64(dst, s.sender)
	dst = binary.BigEndian.AppendUint64(dst, s.number)
	return binary.BigEndian.AppendUint64(dst, uint64(s.at)) //nolint:gosec // read back in the same way
}

func readStamp(seal string) stamp {
	b := []byte(seal[:stampSize])
	return stamp{
		sender: binary.BigEndian.Uint64(b), number: binary.BigEndian.Uint64(b[8:]),
		at: int64(binary.BigEndian.Uint64(b[16:])), //nolint:gosec // written in the same way
	}
}

// seal returns the seal of a message, which consists of parts, at a place.
func (s *signer) seal(dst []byte, place string, parts ...string) []byte {
	start := len(dst)
	dst = stamp{s.sender, s.number.Add(1), time.Now().UnixMilli()}.append(dst)
	return append(dst, s.keys[0].tag(string(dst[start:]), place, parts)...)
}

// verify checks a seal and returns its stamp.
func (s *signer) verify(seal, place string, parts ...string) (stamp, error) {
	for _, k := range s.keys {
		if hmac.Equal(k.tag(seal[:stampSize], place, parts), []byte(seal[stampSize:])) {
			return readStamp(seal), nil
		}
	}
	return stamp{}, errForged
}

// sealed returns the signed form of what is published on a channel.
func (s *signer) sealed(channel string, payload []byte) []byte {
	dst := make([]byte, 0, sealedSize+len(payload))
	dst = s.seal(append(dst, sealedHead...), channel, string(payload))
	dst = binary.BigEndian.AppendUint32(append(dst, sealedBin), uint32(len(payload))) //nolint:gosec // Options.MaxMessage is less
	return append(dst, payload...)
}

// open returns what sealed got, if nobody has changed it and it was not heard
// before.
func (s *signer) open(channel, message string, g *guard) (payload string, err error) {
	const head = sealedSize
	if !isSealed(message) || len(message) < head {
		return "", errUnsigned
	}
	seal, payload := message[len(sealedHead):len(sealedHead)+sealSize], message[head:]
	if message[head-5] != sealedBin || uint64(binary.BigEndian.Uint32([]byte(message[head-4:head]))) != uint64(len(payload)) {
		return "", errForged
	}
	st, err := s.verify(seal, channel, payload)
	if err != nil {
		return "", err
	}
	return payload, g.admit(st, time.Now().UnixMilli())
}

func isSealed(message string) bool { return strings.HasPrefix(message, sealedHead) }

// sealEntry returns the field that signs an entry of a stream.
func (s *signer) sealEntry(stream string, e *entry) string {
	return base64.StdEncoding.EncodeToString(s.seal(nil, stream, e.uid, e.namespace, e.kind, e.data, e.x))
}

// openEntry checks an entry. It may be old, so its time is compared with that at
// which Redis took it, which is a part of its id.
func (s *signer) openEntry(stream string, e *entry, id string, g *guard) error {
	st, err := s.verifyText(e.sig, stream, e.uid, e.namespace, e.kind, e.data, e.x)
	if err != nil {
		return err
	}
	ms, _, _ := strings.Cut(id, "-")
	taken, err := strconv.ParseInt(ms, 10, 64)
	if err != nil {
		return errForged
	}
	return g.admit(st, taken)
}

func (s *signer) verifyText(text, place string, parts ...string) (stamp, error) {
	if text == "" {
		return stamp{}, errUnsigned
	}
	seal, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(seal) != sealSize {
		return stamp{}, errForged
	}
	return s.verify(string(seal), place, parts...)
}

// sealSession returns the signed form of a session, which is base64.
func (s *signer) sealSession(key, value string) string {
	return value + "." + base64.StdEncoding.EncodeToString(s.seal(nil, key, value))
}

// openSession returns what sealSession got, however old it is: sessions expire by
// themselves.
func (s *signer) openSession(key, text string) (value string, err error) {
	value, seal, _ := strings.Cut(text, ".")
	_, err = s.verifyText(seal, key, value)
	return value, err
}

// key is a secret ready for use.
type key struct{ macs sync.Pool }

// mac is an HMAC that takes strings without copying all of them.
type mac struct {
	hash.Hash
	buffer [1024]byte
}

func newKey(secret []byte) *key {
	secret = append([]byte(nil), secret...)
	return &key{sync.Pool{New: func() any { return &mac{Hash: hmac.New(sha256.New, secret)} }}}
}

// tag returns the beginning of the HMAC.
func (k *key) tag(head, place string, parts []string) []byte {
	m := k.macs.Get().(*mac)
	defer k.macs.Put(m)
	m.Reset()
	m.write(head) // of fixed length
	m.part(place)
	for _, p := range parts {
		m.part(p)
	}
	return m.Sum(make([]byte, 0, sha256.Size))[:tagSize]
}

func (m *mac) part(s string) {
	_, _ = m.Write(binary.BigEndian.AppendUint64(m.buffer[:0], uint64(len(s))))
	m.write(s)
}

func (m *mac) write(s string) {
	for len(s) > 0 {
		n := copy(m.buffer[:], s)
		_, _ = m.Write(m.buffer[:n])
		s = s[n:]
	}
}
