// Package docs tests the documentation: README.md and the other pages at the
// top of the repository, and everything under docs/. It holds no code but tests.
//
// Every block fenced as go is compiled and vetted. There is no way to opt out:
// what is not meant to compile is fenced as text.
//
//   - A block that starts with a package clause is a whole file, as it is.
//   - Any other block is a fragment: declarations, or statements that stand in
//     a function body (which returns an error if the fragment returns a value).
//     A fragment need not use its variables. Packages are imported for it as
//     the table packages says, and names that it does not declare may come from
//     the table names: io is the server, socket a connected socket, and so on.
//     What is in neither table the fragment declares itself.
//
// In blocks fenced as sh, bash or console (there: the lines after "$ ") the
// commands that concern this repository are checked: make targets, packages
// given to go, and the subcommands, flags and environment of dunlin. Links lead
// to files and headings that exist.
package docs
