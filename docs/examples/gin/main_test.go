package main

import (
	"testing"

	"github.com/dunlin-io/dunlin/docs/examples/wiretest"
)

func TestSocketsBehindMiddleware(t *testing.T) { wiretest.Hello(t, routes) }
