package engineio

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// query is what the protocol reads from the query of a request. Keys of the application are left alone.
type query struct {
	transport string
	sid       string
	version   string
	base64    bool
}

// parseQuery refuses a repeated key: two parsers could understand it differently.
func parseQuery(u *url.URL) (query, *Error) {
	values, _ := url.ParseQuery(u.RawQuery) // what cannot be parsed is the application's
	for _, key := range []string{"EIO", "transport", "sid", "t", "j", "b64"} {
		if len(values[key]) > 1 {
			return query{}, refuse(CodeBadRequest, "repeated query key "+key)
		}
	}
	if values.Has("j") {
		return query{}, refuse(CodeBadRequest, "JSONP is not supported")
	}
	b64 := values.Get("b64")
	return query{
		transport: values.Get("transport"), sid: values.Get("sid"), version: values.Get("EIO"),
		base64: b64 != "" && b64 != "0" && b64 != "false",
	}, nil
}

// isUpgrade reports whether r asks for a WebSocket.
func isUpgrade(r *http.Request) bool {
	return r.ProtoMajor == 1 && hasToken(r.Header["Connection"], "upgrade") && hasToken(r.Header["Upgrade"], "websocket")
}

// checkUpgrade refuses what is not a handshake of RFC 6455, section 4.2.1, before anything of the session is touched.
func checkUpgrade(w http.ResponseWriter, r *http.Request) *Error {
	version := r.Header["Sec-Websocket-Version"]
	key := r.Header["Sec-Websocket-Key"]
	switch {
	case r.Method != http.MethodGet:
		w.Header().Set("Allow", http.MethodGet)
		return refuseStatus(http.StatusMethodNotAllowed, "upgrade by "+r.Method)
	case !r.ProtoAtLeast(1, 1):
		return refuseStatus(http.StatusHTTPVersionNotSupported, "upgrade over "+r.Proto)
	case r.Host == "":
		return refuse(CodeBadRequest, "upgrade without a Host")
	case r.ContentLength != 0 || len(r.TransferEncoding) > 0:
		// The body would be read as frames.
		return refuse(CodeBadRequest, "upgrade with a body")
	case len(key) != 1 || !validKey(key[0]):
		return refuse(CodeBadRequest, "Sec-WebSocket-Key missing, repeated or malformed")
	case len(version) != 1:
		return refuse(CodeBadRequest, "Sec-WebSocket-Version missing or repeated")
	case version[0] != "13":
		w.Header().Set("Sec-WebSocket-Version", "13")
		return refuseStatus(http.StatusUpgradeRequired, "Sec-WebSocket-Version "+version[0])
	}
	return nil
}

func validKey(key string) bool {
	nonce, err := base64.StdEncoding.DecodeString(key)
	return err == nil && len(nonce) == 16
}

// hasToken reports whether one of the comma-separated values is token, in any case.
func hasToken(values []string, token string) bool {
	return slices.ContainsFunc(values, func(value string) bool {
		for part := range strings.SplitSeq(value, ",") {
			if strings.EqualFold(strings.TrimSpace(part), token) {
				return true
			}
		}
		return false
	})
}
