// Package config reads the command line, the environment and a file, in this
// order of precedence, into one checked command.
package config

import (
	"log/slog"
	"time"

	redisadapter "github.com/dunlin-io/dunlin/adapter/redis"
)

// Command is what the program was asked to do: *Serve, *Dev, *Emit, *Bench,
// *DevRedis or *Version.
type Command interface{ command() }

func (*Serve) command()    {}
func (*Dev) command()      {}
func (*Emit) command()     {}
func (*Bench) command()    {}
func (*DevRedis) command() {}
func (*Version) command()  {}

// Bus is how the nodes of a cluster are joined.
type Bus struct {
	Config File `help:"Read options from this YAML or JSON file. Its keys are the names of the flags." placeholder:"FILE"`

	Redis   string            `help:"Redis that joins the nodes: redis://, rediss:// (TLS), unix://, redis+sentinel:// or redis+cluster://. Without it a node is alone." placeholder:"URL"`
	Adapter redisadapter.Mode `help:"How nodes talk through Redis, the same on all of them: classic, sharded (needs Redis 7), streams." default:"classic"`

	BusSecretFile []string `help:"Files with a secret each, of at least 16 random characters. The first signs what goes through Redis, and what none has signed is dropped, that of Node.js nodes too." placeholder:"FILE"`

	// BusSecrets are what is in the files.
	BusSecrets [][]byte `kong:"-"`
}

// Node is what serve and dev have in common. All durations are checked to be
// positive, all sizes are bytes.
type Node struct {
	Bus

	Path           string   `help:"Path that Socket.IO clients use." default:"/socket.io/"`
	Origins        []string `help:"Origins whose pages may use this server besides its own, such as https://app.example.com, https://*.example.com or http://localhost:*." placeholder:"ORIGIN"`
	AllowAnyOrigin bool     `help:"Let the pages of every origin use this server."`
	Credentials    bool     `help:"Let pages of --origins send cookies, which sticky load balancers need."`
	Transports     []string `help:"Transports that clients may use: polling, websocket." default:"polling,websocket"`

	PingInterval   time.Duration `help:"Time between two pings to a client." default:"25s"`
	PingTimeout    time.Duration `help:"Time in which a client must answer a ping." default:"20s"`
	UpgradeTimeout time.Duration `help:"Time in which an upgrade to WebSocket must be complete." default:"10s"`
	ConnectTimeout time.Duration `help:"Time in which a client must join a namespace." default:"45s"`
	RequestTimeout time.Duration `help:"Time in which other nodes must answer." default:"5s"`

	Recovery time.Duration `help:"How long a client may be away and still get back its session and the events that it missed: with --adapter streams on any node, otherwise on the same one. 0s: it does not." default:"0s"`

	MaxPayload int `help:"Bytes of the largest message that a client may send." default:"1000000"`
	MaxPending int `help:"Bytes that may wait for a client that reads slowly, before it is disconnected." default:"4194304"`

	ClientDir string `help:"Serve the official browser client from this folder of an npm installation: socket.io-client/dist or socket.io/client-dist." placeholder:"DIR"`

	DrainDelay      time.Duration `help:"Time between SIGTERM, when new sessions are refused and /readyz fails, and the closing of connections. Load balancers need it to notice." default:"0s"`
	ShutdownTimeout time.Duration `help:"Time in which connections must then be closed before they are cut." default:"10s"`

	LogFormat string `help:"Format of the log on standard error: text, json." default:"text"`
}

// Serve runs one node.
type Serve struct {
	Addr string `help:"Address to serve clients on. Port 0 chooses a free one." default:"127.0.0.1:3000"`

	Node

	AdminAddr     string     `help:"Address of a private listener for /livez, /readyz and /nodes." placeholder:"ADDR"`
	NodeName      string     `help:"Name of this node in logs, answers and the playground. Without it: the host's name." placeholder:"NAME"`
	SessionPrefix string     `help:"Session ids begin with this and a dot, so that a balancer can route by the sid parameter alone." placeholder:"PREFIX"`
	Playground    bool       `help:"Serve the demo page at / and the events that it uses."`
	TLSCert       string     `help:"Serve HTTPS with this certificate chain (PEM)." placeholder:"FILE"`
	TLSKey        string     `help:"Private key of --tls-cert (PEM)." placeholder:"FILE"`
	LogLevel      slog.Level `help:"Least important messages to log: debug, info, warn, error." default:"info"`

	// UntilStdinCloses makes a child of dev end with its parent, however that
	// ends.
	UntilStdinCloses bool `hidden:"" env:"-"`
}

// Dev runs a cluster of child processes on one machine.
type Dev struct {
	Addr  string `help:"Address of the front door that balances over the nodes." default:"127.0.0.1:3000"`
	Nodes int    `help:"How many nodes." default:"3"`

	Node

	Playground bool       `help:"Serve the demo page at / and the events that it uses." default:"true" negatable:""`
	Restart    bool       `help:"Start a node, or the embedded Redis, again when it has died."`
	LogLevel   slog.Level `help:"Least important messages to log: debug, info, warn, error." default:"warn"`
}

// Emit acts on the sockets of a cluster from outside.
type Emit struct {
	Bus

	Namespace string   `help:"Namespace." default:"/" env:"-"`
	Room      []string `help:"Only members of this room, or the socket with this id. May be repeated: members of any of them." placeholder:"ROOM" sep:"none" env:"-"`
	Except    []string `help:"Not the members of this room. May be repeated." placeholder:"ROOM" sep:"none" env:"-"`
	Volatile  bool     `help:"Clients that cannot take the event at once miss it." env:"-"`
	Servers   bool     `help:"Emit to the servers themselves, not to clients." env:"-"`
	String    bool     `help:"Take arguments as strings, not as JSON." env:"-"`

	Join       []string `help:"Make the sockets join this room. May be repeated." placeholder:"ROOM" sep:"none" env:"-"`
	Leave      []string `help:"Make the sockets leave this room. May be repeated." placeholder:"ROOM" sep:"none" env:"-"`
	Disconnect bool     `help:"Disconnect the sockets, after everything else." env:"-"`

	Timeout time.Duration `help:"Time in which Redis must have taken everything." default:"5s" env:"-"`

	Event     string   `arg:"" optional:"" help:"Name of the event."`
	Arguments []string `arg:"" optional:"" name:"json" help:"Arguments of the event, each in JSON."`
}

// Bench measures a server from outside, and checks what it delivers.
type Bench struct {
	Clients   int           `help:"How many clients, up to 10000. They take turns over the addresses." default:"100" env:"-"`
	Rooms     int           `help:"How many rooms, for the scenario rooms." default:"10" env:"-"`
	InFlight  int           `help:"Messages of each emitting client that may be under way; the next one leaves when one has arrived everywhere. Without it and --rate: 1." placeholder:"N" env:"-"`
	Rate      int           `help:"Messages (connect: connections) a second in all, at fixed times, whatever the server does. Their latency counts from when they were due." placeholder:"N" env:"-"`
	Duration  time.Duration `help:"Time that is measured." default:"5s" env:"-"`
	Warmup    time.Duration `help:"Time before it that is not measured, only checked." default:"1s" env:"-"`
	Timeout   time.Duration `help:"Time in which a client must be connected, and after which what has not arrived is missing." default:"5s" env:"-"`
	Size      int           `help:"Bytes of a message's payload." default:"128" env:"-"`
	Binary    bool          `help:"Send payloads as binary attachments." env:"-"`
	JSON      bool          `name:"json" help:"Print the report as a line of JSON." env:"-"`
	Namespace string        `help:"Namespace, which must have the events of the playground." default:"/" env:"-"`
	Path      string        `help:"Path of the server." default:"/socket.io/" env:"-"`

	Scenario string   `arg:"" enum:"connect,idle,echo,broadcast,rooms,cluster" help:"connect, idle, echo, broadcast, rooms or cluster."`
	URLs     []string `arg:"" optional:"" name:"url" help:"Addresses of the server, one for each node. Without any: http://127.0.0.1:3000."`
}

// DevRedis runs the embedded Redis of dev.
type DevRedis struct {
	Addr             string `help:"Address to listen on." default:"127.0.0.1:0" env:"-"`
	UntilStdinCloses bool   `hidden:"" env:"-"`
}

// Version prints what was built.
type Version struct{}
