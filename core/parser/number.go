package parser

import (
	"math"
	"strconv"
)

// appendNumber appends f as JSON.stringify prints it: the shortest digits that
// give f back, an exponent only from 1e21 and below 1e-6, -0 as 0, and null for
// what JSON cannot express.
//
// See ECMA-262, "Number::toString".
func appendNumber(dst []byte, f float64, bits int) []byte {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return append(dst, "null"...)
	}
	if f == 0 {
		return append(dst, '0')
	}
	abs := math.Abs(f)
	small, large := 1e-6, 1e21
	if bits == 32 {
		small, large = float64(float32(small)), float64(float32(large))
	}
	if abs >= small && abs < large {
		return strconv.AppendFloat(dst, f, 'f', -1, bits)
	}
	dst = strconv.AppendFloat(dst, f, 'e', -1, bits)
	// Go writes e-07 where JavaScript writes e-7.
	if n := len(dst); dst[n-2] == '0' && (dst[n-3] == '-' || dst[n-3] == '+') {
		dst[n-2] = dst[n-1]
		dst = dst[:n-1]
	}
	return dst
}

// numericName returns f as a property name.
func numericName(f float64) string {
	switch {
	case math.IsNaN(f):
		return "NaN"
	case math.IsInf(f, 1):
		return "Infinity"
	case math.IsInf(f, -1):
		return "-Infinity"
	}
	return string(appendNumber(nil, f, 64))
}

// parseNumber reads a JSON number as JavaScript does: what is too large for a
// float64 is infinite.
func parseNumber(text []byte) float64 {
	// The only possible error is being out of range, and then f is right.
	f, _ := strconv.ParseFloat(string(text), 64)
	return f
}

// parseDigits reads a decimal number without sign. ok is false if text is empty,
// has other characters, or needs more than 64 bits.
func parseDigits(text []byte) (n uint64, ok bool) {
	for _, c := range text {
		digit := uint64(c - '0')
		if c < '0' || c > '9' || n > math.MaxUint64/10 || n*10 > math.MaxUint64-digit {
			return 0, false
		}
		n = n*10 + digit
	}
	return n, len(text) > 0
}
