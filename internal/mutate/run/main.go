// Command run breaks guarded places one at a time and shows which tests notice; see
// package mutate. It exits with 1 when a mutation survives, with 2 when one can't be run.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"time"

	"github.com/interlock-dev/interlock/internal/mutate"
)

func main() {
	only := flag.String("only", "", "regular expression for the names of the mutations to run; empty runs all")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	code := run(ctx, *only)
	stop()
	os.Exit(code)
}

func run(ctx context.Context, only string) int {
	pattern, err := regexp.Compile(only)
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutate: -only:", err)
		return 2
	}
	caught, survived := 0, 0
	err = mutate.Run(ctx, ".", mutate.Table, pattern, func(r mutate.Result) {
		what := "caught"
		if r.Caught {
			caught++
		} else {
			what, survived = "SURVIVED", survived+1
		}
		fmt.Printf("%-9s %-28s %s.%s (%s)\n", what, r.Name, r.Folder(), r.Test, r.Took.Round(100*time.Millisecond))
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutate:", err)
		return 2
	}
	fmt.Printf("%d caught, %d survived\n", caught, survived)
	if survived > 0 || caught == 0 {
		return 1
	}
	return 0
}
