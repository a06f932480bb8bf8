// Command serving answers predictions with the model that is in production, and takes over the next one without dropping
// a request.
//
//	MREG_ENDPOINT=… MREG_TOKEN_FILE=… serving -model fraud -listen :8080
//	curl -d '{"inputs": [1, 2]}' localhost:8080/predict
package main

import (
	"context"
	"errors"
	"flag"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/registry-grpc/registry-grpc/clients/go/registry"
)

func main() {
	model := flag.String("model", "fraud", "model whose production version is served, with its project as project:model")
	listen := flag.String("listen", "127.0.0.1:8080", "where to listen")
	dir := flag.String("dir", "models", "directory for model files")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *model, *listen, *dir); err != nil {
		slog.Error("ended", "error", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, model, listen, dir string) error {
	client, err := registry.New()
	if err != nil {
		return err
	}
	defer func() { _ = client.Close() }()
	follower := &Follower{Client: client, Stage: model + "@production", Dir: dir}
	ctx, stop := context.WithCancelCause(ctx)
	go func() { stop(follower.Run(ctx)) }()

	server := &http.Server{Addr: listen, Handler: follower.Handler(), ReadHeaderTimeout: 5 * time.Second}
	go func() {
		<-ctx.Done()
		drain, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		_ = server.Shutdown(drain)
	}()
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		return cause
	}
	return nil
}
