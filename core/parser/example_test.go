package parser_test

import (
	"fmt"
	"log"

	"github.com/dunlin-io/dunlin/core/parser"
)

// An event is encoded once; what arrives becomes Go values when it is asked for.
func Example() {
	type file struct {
		Name string `json:"name"`
		Data []byte `json:"data"`
	}
	args, err := parser.MakeEvent("upload", file{"a.bin", []byte{1, 2, 3}}, 42)
	if err != nil {
		log.Fatal(err)
	}
	codec := parser.JSON()
	frames, err := codec.Encode(&parser.Packet{Type: parser.Event, Namespace: "/chat", Payload: args.EventPayload()})
	if err != nil {
		log.Fatal(err)
	}
	decoder := codec.NewDecoder(parser.Limits{})
	for _, frame := range frames {
		if frame.Binary {
			fmt.Printf("binary %x\n", frame.Data)
		} else {
			fmt.Printf("text   %s\n", frame.Data)
		}
		packet, complete, err := decoder.Decode(frame)
		if err != nil {
			log.Fatal(err)
		}
		if !complete {
			continue
		}
		name, args, err := packet.Payload.Event()
		if err != nil {
			log.Fatal(err)
		}
		var f file
		var n int
		if err := args.Scan(&f, &n); err != nil {
			log.Fatal(err)
		}
		fmt.Println(name, f.Name, f.Data, n)
	}
	// Output:
	// text   51-/chat,["upload",{"name":"a.bin","data":{"_placeholder":true,"num":0}},42]
	// binary 010203
	// upload a.bin [1 2 3] 42
}
