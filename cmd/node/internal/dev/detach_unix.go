//go:build unix

package dev

import (
	"os/exec"
	"syscall"
)

// detach keeps the signals of the terminal from a child.
func detach(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }
