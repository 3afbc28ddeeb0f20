package main

import (
	"testing"

	"github.com/dunlin-io/dunlin/core/socketio"
	"github.com/dunlin-io/dunlin/docs/examples/wiretest"
)

func TestChat(t *testing.T) {
	for _, transport := range wiretest.Transports {
		t.Run(transport, func(t *testing.T) {
			chat, err := newChat(socketio.Config{})
			if err != nil {
				t.Fatal(err)
			}
			url := wiretest.Serve(t, chat, chat)
			ada := wiretest.Dial(t, url, transport, nil)
			ada.Join(`{"token":"ada-secret"}`)
			ada.Send(`20["say",{"room":"lobby","text":"anybody?"}]`)
			ada.Expect(`30[{"error":{"code":"not_in_room","message":"join lobby first"}}]`)
			ada.Send(`21["join","lobby"]`)
			ada.Expect(`31[{"members":["ada"]}]`)

			bob := wiretest.Dial(t, url, transport, nil)
			bob.Join(`{"token":"bob-secret"}`)
			bob.Send(`20["join","lobby"]`)
			bob.Expect(`30[{"members":["ada","bob"]}]`)
			ada.Expect(`2["joined","lobby","bob"]`)

			bob.Send(`21["say",{"room":"lobby","from":"ada","text":"hello"}]`)
			said := `2["said",{"room":"lobby","from":"bob","text":"hello"}]`
			ada.Expect(said)
			bob.Expect(said)
			bob.Expect(`31[]`)

			bob.Send("1")
			ada.Expect(`2["left","lobby","bob"]`)
		})
	}
}

func TestStrangersStayOutside(t *testing.T) {
	for _, auth := range []string{``, `{"token":"eve"}`, `{"token":7}`, `{"token":""}`} {
		chat, err := newChat(socketio.Config{})
		if err != nil {
			t.Fatal(err)
		}
		c := wiretest.Dial(t, wiretest.Serve(t, chat, chat), "websocket", nil)
		c.Send("0" + auth)
		c.Expect(`4{"message":"not authorized","data":{"code":"E_TOKEN"}}`)
	}
}
