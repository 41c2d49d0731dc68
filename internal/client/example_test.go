package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"

	"github.com/interlock-dev/interlock/internal/client"
	"github.com/interlock-dev/interlock/internal/op"
)

// Starts a sync and tells the four answers apart. A server of a few lines stands in for
// Interlock here.
func ExampleClient_Start() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer ilk_a-token" {
			http.Error(w, "{}", http.StatusUnauthorized)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusConflict) // scope_busy
		_ = json.NewEncoder(w).Encode(map[string]any{
			"outcome": "scope_busy", "title": "Inventory sync did not start",
			"reasons": []map[string]string{{"title": "Connection is in use"}}, "holder": map[string]string{"code": "K961D2"},
		}) // the client has gone
	}))
	defer server.Close()

	c, err := client.New(server.URL, "ilk_a-token", client.Options{})
	if err != nil {
		log.Fatal(err)
	}
	answer, err := c.Start(context.Background(), "kestrel", client.StartRequest{Operation: op.InventorySync})
	var problem *client.Problem
	switch {
	case errors.As(err, &problem):
		log.Fatal(problem.Status) // refused: no such tenant, no right, bad values
	case err != nil:
		log.Fatal(err) // no answer came, although the client asked again
	}
	switch answer.Outcome {
	case op.Accepted, op.Deduped:
		fmt.Println("follow run", answer.Run.Code)
	case op.ScopeBusy:
		fmt.Println("busy with run", answer.Holder.Code)
	case op.Blocked:
		fmt.Println("mend first:", answer.Reasons[0].Title)
	}
	// Output:
	// busy with run K961D2
}
