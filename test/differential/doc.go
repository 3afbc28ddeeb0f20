// Package differential compares the packet codecs of core/parser with the
// packages that JavaScript clients and servers use: socket.io-parser and
// socket.io-msgpack-parser, at the versions in package.json. It holds no code
// but tests.
//
// Inputs are made from the grammar of packets, from the golden vectors, and by
// damaging both; a seed makes the same inputs again. Each is decoded by both
// sides. What both accept is encoded by each and decoded by the other, and the
// results must be the same values: type, namespace, id, data with its binary
// parts, and how many attachments are still due.
//
// Where we differ on purpose, a difference says so with its reason, and with an
// example that must go on to differ. Any other difference fails the test, with
// the smallest input that still shows it.
//
//	npm --prefix test/differential ci
//	go test ./test/differential
//	DIFFERENTIAL_INPUTS=1000000 DIFFERENTIAL_SEED=7 go test ./test/differential
package differential
