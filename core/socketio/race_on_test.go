//go:build race

package socketio_test

// raceDetector tells that this is a build with the race detector.
const raceDetector = true
