package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/code"

	"github.com/registry-grpc/registry-grpc/clients/go/registry"
)

var variable = regexp.MustCompile(`\$\{([^}]*)\}`)

// step is one step of a case, its variables replaced.
type step map[string]any

func (s step) text(key string) string {
	switch value := s[key].(type) {
	case nil:
		return ""
	case string:
		return value
	default:
		return fmt.Sprint(value)
	}
}

func (s step) flag(key string, otherwise bool) bool {
	if value, ok := s[key].(bool); ok {
		return value
	}
	return otherwise
}

func (s step) number(key string, otherwise int64) (int64, error) {
	if s[key] == nil {
		return otherwise, nil
	}
	return strconv.ParseInt(s.text(key), 10, 64)
}

func (s step) texts(key string) []string {
	var found []string
	values, _ := s[key].([]any)
	for _, value := range values {
		found = append(found, fmt.Sprint(value))
	}
	return found
}

// defect is a failure of the driver itself.
type defect struct{ error }

func defectf(format string, arguments ...any) error { return defect{fmt.Errorf(format, arguments...)} }

// outcome does a step, whatever comes of it.
func (d *driver) outcome(given map[string]any) map[string]any {
	replaced, _ := d.replace(given).(map[string]any)
	reply, err := d.do(replaced)
	if err != nil {
		return failed(err)
	}
	plain, err := plainOf(reply)
	if err != nil {
		return failed(defect{err})
	}
	if saves, ok := given["save"].(map[string]any); ok {
		for name, path := range saves {
			d.saved[name] = find(plain, fmt.Sprint(path))
		}
	}
	return map[string]any{"reply": plain}
}

func (d *driver) do(s step) (any, error) {
	for name, verb := range d.verbs() {
		if _, ok := s[name]; !ok {
			continue
		}
		client, done, err := d.clientOf(s)
		if err != nil {
			return nil, err
		}
		defer done()
		ctx, cancel, err := deadlineOf(s)
		if err != nil {
			return nil, err
		}
		defer cancel()
		return verb(ctx, client, s)
	}
	return nil, defectf("no verb this driver knows in %v", s)
}

// clientOf returns the client of a step: that of the case, or another when the step says who or where.
func (d *driver) clientOf(s step) (*registry.Client, func(), error) {
	_, tokened := s["token"]
	_, elsewhere := s["endpoint"]
	client, done := d.client, func() {}
	if tokened || elsewhere {
		var options []registry.Option
		if tokened {
			options = append(options, registry.WithToken(s.text("token")))
		}
		if elsewhere {
			options = append(options, registry.WithEndpoint(s.text("endpoint")))
		}
		other, err := registry.New(options...)
		if err != nil {
			return nil, nil, err
		}
		client = other
		if _, watches := s["watch"]; !watches {
			done = func() { _ = other.Close() }
		}
	}
	if project := s.text("project"); project != "" {
		inside, err := client.InProject(project)
		if err != nil {
			return nil, nil, errors.Join(err, nothing(done))
		}
		client = inside
	}
	return client, done, nil
}

func nothing(done func()) error {
	done()
	return nil
}

func deadlineOf(s step) (context.Context, context.CancelFunc, error) {
	limit, err := s.number("timeout_ms", 0)
	if err != nil {
		return nil, nil, defectf("timeout_ms: %w", err)
	}
	if s["timeout_ms"] == nil {
		return context.Background(), func() {}, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(limit)*time.Millisecond)
	return ctx, cancel, nil
}

// replace puts saved values in the place of variables, everywhere in a value.
func (d *driver) replace(value any) any {
	switch value := value.(type) {
	case string:
		return d.replaceText(value)
	case []any:
		made := make([]any, len(value))
		for at, item := range value {
			made[at] = d.replace(item)
		}
		return made
	case map[string]any:
		made := map[string]any{}
		for key, item := range value {
			made[key] = item
			if key != "save" {
				made[key] = d.replace(item)
			}
		}
		return made
	}
	return value
}

func (d *driver) replaceText(text string) any {
	if whole := variable.FindStringSubmatch(text); whole != nil && whole[0] == text {
		if value, ok := d.lookUp(whole[1]); ok {
			return value
		}
		return text
	}
	return variable.ReplaceAllStringFunc(text, func(found string) string {
		if value, ok := d.lookUp(found[2 : len(found)-1]); ok {
			return fmt.Sprint(value)
		}
		return found
	})
}

func (d *driver) lookUp(name string) (any, bool) {
	if name == "now" {
		return time.Now().UTC().Format("2006-01-02T15:04:05.000000Z"), true
	}
	value, ok := d.saved[name]
	return value, ok
}

// find returns what is at a path such as `a.b.0.c`, nil when nothing is.
func find(value any, path string) any {
	for part := range strings.SplitSeq(path, ".") {
		switch inside := value.(type) {
		case map[string]any:
			value = inside[part]
		case []any:
			at, err := strconv.Atoi(part)
			if err != nil || at < 0 || at >= len(inside) {
				return nil
			}
			value = inside[at]
		default:
			return nil
		}
	}
	return value
}

// plainOf returns a reply as what JSON has: maps, lists, texts and exact numbers.
func plainOf(reply any) (any, error) {
	text, err := json.Marshal(reply)
	if err != nil {
		return nil, err
	}
	decoder := json.NewDecoder(strings.NewReader(string(text)))
	decoder.UseNumber()
	var plain any
	err = decoder.Decode(&plain)
	return plain, err
}

var kinds = []registry.Kind{
	registry.ErrNotFound, registry.ErrAlreadyExists, registry.ErrInvalidArgument, registry.ErrOutOfRange,
	registry.ErrConflict, registry.ErrFailedPrecondition, registry.ErrPermissionDenied, registry.ErrUnauthenticated,
	registry.ErrUnavailable, registry.ErrResourceExhausted, registry.ErrDeadlineExceeded, registry.ErrIntegrity,
	registry.ErrFeatureDisabled, registry.ErrInternal, registry.ErrCancelled, registry.ErrOther,
}

func failed(err error) map[string]any {
	failure, typed := errors.AsType[*registry.Error](err)
	if _, ours := errors.AsType[defect](err); ours || !typed {
		return map[string]any{"defect": err.Error()}
	}
	kind := "none"
	for _, each := range kinds {
		if errors.Is(err, each) {
			kind = string(each)
			break
		}
	}
	violations := []any{}
	for _, each := range failure.Violations {
		violations = append(violations, map[string]any{"subject": each.Subject, "description": each.Description})
	}
	metadata := map[string]any{}
	for key, value := range failure.Metadata {
		metadata[key] = value
	}
	return map[string]any{"error": map[string]any{
		"kind": kind, "code": code.Code(failure.Code).String(), "reason": failure.Reason, "metadata": metadata,
		"violations": violations, "retryAfter": failure.RetryAfter > 0,
	}}
}
