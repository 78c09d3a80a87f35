// Enqueues a batch for Darkroom inside a transaction of this program's own.
//
//	DARKROOM_DATABASE_URL=postgres://... go run . TOKEN PROMPT...
//
// With ROLLBACK=1 the transaction is rolled back at its end, and leaves nothing.
package main

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/jackc/pgx/v4"
)

type batch struct {
	Token string `json:"token"`
	Owner string `json:"owner"`
}

type request struct {
	Key    string `json:"key"`
	Prompt string `json:"prompt"`
}

func enqueue(ctx context.Context, tx pgx.Tx, token string, prompts []string) error {
	requests := make([]request, 0, len(prompts))
	for number, prompt := range prompts {
		requests = append(requests, request{Key: fmt.Sprintf("image-%d", number+1), Prompt: prompt})
	}
	_, err := tx.Exec(ctx, "SELECT darkroom_enqueue($1, $2)", batch{Token: token, Owner: "shop"}, requests)
	return err
}

func run(ctx context.Context, token string, prompts []string) error {
	connection, err := pgx.Connect(ctx, os.Getenv("DARKROOM_DATABASE_URL"))
	if err != nil {
		return err
	}
	defer connection.Close(ctx)
	tx, err := connection.Begin(ctx)
	if err != nil {
		return err
	}
	defer tx.Rollback(ctx) // does nothing after a commit
	// Here the program changes rows of its own.
	if err := enqueue(ctx, tx, token, prompts); err != nil {
		return err
	}
	if os.Getenv("ROLLBACK") == "1" {
		return tx.Rollback(ctx)
	}
	return tx.Commit(ctx)
}

func main() {
	if len(os.Args) < 3 {
		log.Fatal("usage: go run . TOKEN PROMPT...")
	}
	if err := run(context.Background(), os.Args[1], os.Args[2:]); err != nil {
		log.Fatal(err)
	}
}
