package differential_test

import (
	"testing"

	"github.com/dunlin-io/dunlin/core/parser"
)

// TestDifferencesStand asks about the example of each difference: what is none
// any more must go from the list.
func TestDifferencesStand(t *testing.T) {
	for _, codec := range []parser.Codec{parser.JSON(), parser.Msgpack()} {
		t.Run(codec.Name(), func(t *testing.T) {
			j := &judge{peer: startPeer(t), excused: map[string]int{}}
			for _, d := range differences(codec) {
				before := j.excused[d.name]
				findings, err := j.examine([]input{d.example})
				if err != nil {
					t.Fatal(err)
				}
				if findings[0] != nil {
					t.Errorf("%s: the example shows another difference: %s", d.name, findings[0])
				} else if j.excused[d.name] == before {
					t.Errorf("%s: the example %s does not differ (%s)", d.name, show(d.example), d.reason)
				}
			}
		})
	}
}

// faulty is a codec whose decoder spoils packets.
type faulty struct {
	parser.Codec
	spoil func(*parser.Packet)
}

func (c faulty) NewDecoder(l parser.Limits) parser.Decoder {
	return faultyDecoder{c.Codec.NewDecoder(l), c.spoil}
}

type faultyDecoder struct {
	parser.Decoder
	spoil func(*parser.Packet)
}

func (d faultyDecoder) Decode(f parser.Frame) (parser.Packet, bool, error) {
	p, ok, err := d.Decoder.Decode(f)
	if ok {
		d.spoil(&p)
	}
	return p, ok, err
}

// TestFaultsAreFound gives the comparison decoders with faults.
func TestFaultsAreFound(t *testing.T) {
	faults := map[string]func(*parser.Packet){
		"id cut to 32 bits": func(p *parser.Packet) { p.ID = uint64(uint32(p.ID)) },
		"namespace lost":    func(p *parser.Packet) { p.Namespace = "/" },
		"attachments swapped": func(p *parser.Packet) {
			if a := p.Payload.Attachments; len(a) == 2 {
				p.Payload.Attachments = [][]byte{a[1], a[0]}
			}
		},
		"payload lost": func(p *parser.Packet) {
			if p.Type == parser.Connect {
				p.Payload = parser.Payload{}
			}
		},
	}
	for _, codec := range []parser.Codec{parser.JSON(), parser.Msgpack()} {
		for name, spoil := range faults {
			t.Run(codec.Name()+"/"+name, func(t *testing.T) {
				j := &judge{peer: startPeer(t), excused: map[string]int{}}
				generate := generator(t, codec, usualSeed)
				var list []input
				for i := range uint64(2000) {
					in := generate(i)
					in.codec = faulty{codec, spoil}
					list = append(list, in)
				}
				findings, err := j.examine(list)
				if err != nil {
					t.Fatal(err)
				}
				for _, f := range findings {
					if f != nil {
						small := j.shrink(t, f)
						if len(small.in.String()) > len(f.in.String()) {
							t.Errorf("%s was made smaller: %s", show(f.in), show(small.in))
						}
						return
					}
				}
				t.Error("nothing was found")
			})
		}
	}
}
