package parser

import "errors"

// What can be wrong with a packet, a payload or arguments. The errors that
// functions return wrap these with the particulars.
var (
	ErrType        = errors.New("unknown packet type")
	ErrNamespace   = errors.New("invalid namespace")
	ErrID          = errors.New("invalid acknowledgement id")
	ErrAttachments = errors.New("illegal attachments")       // a count or a placeholder that makes no sense
	ErrTooMany     = errors.New("too many attachments")      // over Limits.MaxAttachments
	ErrTooLarge    = errors.New("packet too large")          // over Limits.MaxPacketBytes
	ErrTooDeep     = errors.New("nested too deep")           // over Limits.MaxDepth
	ErrPayload     = errors.New("invalid payload")           // of the wrong kind for the packet's type
	ErrSyntax      = errors.New("malformed value")           // neither JSON nor MessagePack
	ErrUnexpected  = errors.New("unexpected message")        // text for binary, or binary for text
	ErrArgs        = errors.New("arguments missing")         // fewer than Scan was asked for
	ErrAmbiguous   = errors.New("object like a placeholder") // {"_placeholder":true} beside binary values
)
