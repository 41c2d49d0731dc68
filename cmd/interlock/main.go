// Command interlock is all of Interlock: the server, its demo with a simulated
// Microsoft 365, the simulator alone, and the client commands that speak to a server.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/interlock-dev/interlock/internal/cli"
)

func main() {
	// SIGINT and SIGTERM stop commands gracefully; a second one ends them immediately.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	root := cli.Root(cli.IO{In: os.Stdin, Out: os.Stdout, Err: os.Stderr})
	root.AddCommand(serveCommand(), demoCommand(), simCommand(), migrateCommand(), bootstrapCommand(), doctorCommand(), auditCommand(), keyCommand(),
		userCommand(), workspaceCommand())
	os.Exit(cli.Execute(ctx, root))
}
