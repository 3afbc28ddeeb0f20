package parser

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Check reports what is wrong with a decoded packet, with one of the errors of
// this package: its type, its namespace, its id, its payload, or what is over a
// limit. A packet that passes can be used without fear, whatever the peer sent:
// decoders that do not look for themselves call Check on what they are about to
// return. It reads every byte of the payload's text. Limits.MaxAttachments is
// for the default codec alone.
func (p *Packet) Check(l Limits) error {
	l = l.withDefaults()
	switch {
	case p.Type > ConnectError:
		return fmt.Errorf("%w %d", ErrType, p.Type)
	case !strings.HasPrefix(p.Namespace, "/"):
		return fmt.Errorf("%w %.20q", ErrNamespace, p.Namespace)
	case len(p.Namespace) > l.MaxNamespace:
		return fmt.Errorf("%w: %d bytes long", ErrNamespace, len(p.Namespace))
	case !utf8.ValidString(p.Namespace):
		return fmt.Errorf("%w: not UTF-8", ErrNamespace)
	case p.HasID && p.ID > MaxID:
		return fmt.Errorf("%w: %d", ErrID, p.ID)
	}
	text := p.Payload.JSON
	if err := checkPayload(p.Type, text); err != nil {
		return err
	}
	if len(text) > l.MaxPacketBytes {
		return fmt.Errorf("%w: %d bytes", ErrTooLarge, len(text))
	}
	if text != nil {
		if err := validate(text, l.MaxDepth); err != nil {
			return fmt.Errorf("%s: %w: %w", p.Type, ErrPayload, err)
		}
	}
	if p.Type == Event {
		if err := checkEvent(text); err != nil {
			return err
		}
	}
	return p.checkAttachments(l)
}

func (p *Packet) checkAttachments(l Limits) error {
	attachments := p.Payload.Attachments
	switch {
	case len(attachments) == 0:
		return nil
	case len(attachments) > maxAttachmentCount:
		return fmt.Errorf("%w: %d", ErrTooMany, len(attachments))
	case p.Payload.JSON == nil:
		return fmt.Errorf("%s: %w: attachments, but nothing refers to them", p.Type, ErrPayload)
	}
	refs := make([]int, len(attachments))
	for _, h := range findPlaceholders(p.Payload.JSON) {
		if h.num < 0 || h.num >= len(attachments) {
			return fmt.Errorf("%w: placeholder %d of %d", ErrAttachments, h.num, len(attachments))
		}
		refs[h.num]++
	}
	left := l.MaxPacketBytes - len(p.Payload.JSON)
	for i, a := range attachments {
		times := max(refs[i], 1)
		if len(a) > left/times {
			return fmt.Errorf("%w: attachment %d of %d bytes", ErrTooLarge, i, len(a))
		}
		left -= times * len(a)
	}
	return nil
}
