package dev

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"
)

// process is one run of this program as a child. It ends when its standard
// input does, and so never outlives its parent.
type process struct {
	cmd   *exec.Cmd
	ready chan struct{} // closed once it serves; announced is complete then
	done  chan struct{} // closed once it has ended; err says how
	err   error

	announced map[string]string // "ready" → URL, "admin" → URL
}

// start runs the program with args and, of our environment variables, only
// variable, if there is one. When ctx ends the child is asked to end, and killed
// after patience.
func start(ctx context.Context, program string, args []string, variable string, patience time.Duration, stderr io.Writer) (*process, error) {
	cmd := exec.CommandContext(ctx, program, append(args, "--until-stdin-closes")...)
	cmd.Stderr = stderr
	cmd.Env = cleanEnvironment()
	if variable != "" {
		cmd.Env = append(cmd.Env, variable)
	}
	// A Ctrl-C in the terminal is for the parent, which stops its children in
	// order.
	detach(cmd)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", program, err)
	}
	cmd.Cancel = stdin.Close
	cmd.WaitDelay = patience
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("listen to %s: %w", program, err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", program, err)
	}
	p := &process{cmd: cmd, ready: make(chan struct{}), done: make(chan struct{}), announced: make(map[string]string)}
	// listen ends with the child; who started it waits for done.
	go p.listen(stdout)
	return p, nil
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// listen reads what the child announces, until it has ended.
func (p *process) listen(stdout io.Reader) {
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		word, url, _ := strings.Cut(lines.Text(), " ")
		p.announced[word] = url
		if word == "ready" {
			close(p.ready)
			break // others read announced now
		}
	}
	_, _ = io.Copy(io.Discard, stdout)
	p.err = p.cmd.Wait()
	close(p.done)
}

// cleanEnvironment is the environment without our variables: what they say has
// been read, and is passed on as arguments.
func cleanEnvironment() []string {
	var env []string
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "DUNLIN_") {
			env = append(env, v)
		}
	}
	return env
}
