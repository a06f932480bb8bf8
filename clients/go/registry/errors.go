package registry

import (
	"errors"
	"fmt"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Domain is the ErrorInfo domain of every error a registry raises.
const Domain = "registry-grpc"

// Kind is what went wrong, for errors.Is: errors.Is(err, registry.ErrNotFound).
type Kind string

// The kinds of errors.
const (
	// ErrNotFound: no such resource, or the caller may not know of it.
	ErrNotFound Kind = "NotFound"
	// ErrAlreadyExists: the id, label or alias is taken.
	ErrAlreadyExists Kind = "AlreadyExists"
	// ErrInvalidArgument: the request, or an argument of a function here, cannot be used.
	ErrInvalidArgument Kind = "InvalidArgument"
	// ErrOutOfRange: an offset or revision is not there.
	ErrOutOfRange Kind = "OutOfRange"
	// ErrConflict: somebody else was first; look again, then decide.
	ErrConflict Kind = "Conflict"
	// ErrFailedPrecondition: the resource is not in a state that allows it.
	ErrFailedPrecondition Kind = "FailedPrecondition"
	// ErrPermissionDenied: the caller lacks a permission.
	ErrPermissionDenied Kind = "PermissionDenied"
	// ErrUnauthenticated: no token, or one that does not count.
	ErrUnauthenticated Kind = "Unauthenticated"
	// ErrUnavailable: the registry, or what it stands on, does not answer.
	ErrUnavailable Kind = "Unavailable"
	// ErrResourceExhausted: a quota, rate or limit is reached.
	ErrResourceExhausted Kind = "ResourceExhausted"
	// ErrDeadlineExceeded: no answer in time.
	ErrDeadlineExceeded Kind = "DeadlineExceeded"
	// ErrIntegrity: bytes are not what their digest says: stored, sent, received or on this disk.
	ErrIntegrity Kind = "IntegrityError"
	// ErrFeatureDisabled: this server does not do that.
	ErrFeatureDisabled Kind = "FeatureDisabled"
	// ErrInternal: a defect of the server; report Error.RequestID.
	ErrInternal Kind = "InternalError"
	// ErrCancelled: the call was cancelled, here or by the server.
	ErrCancelled Kind = "Cancelled"
	// ErrOther: anything else.
	ErrOther Kind = "RegistryError"
)

// Error returns the kind's name.
func (k Kind) Error() string { return string(k) }

// Violation is one field, rule or resource that stands in the way.
type Violation struct {
	// Subject is the path of a field, the name of a rule or of a resource.
	Subject string
	// Description for people.
	Description string
}

// Error is how every call fails. Match on its Kind with errors.Is, or on Reason; never on the message.
type Error struct {
	// Kind of failure.
	Kind Kind
	// Code is the gRPC status.
	Code codes.Code
	// Reason is a name of the contract's ErrorReason without its prefix. Empty when the failure did not come from a
	// registry (no connection, a proxy) or was found on this side.
	Reason string
	// Message for people.
	Message string
	// Metadata of the reason; the contract lists the keys.
	Metadata map[string]string
	// Violations lists what stands in the way, where the reason has such a list.
	Violations []Violation
	// RetryAfter is how long the server asks to wait; zero when it does not.
	RetryAfter time.Duration
	// RequestID is under what the server knows the call.
	RequestID string

	cause error
	// final is an error after which nothing is tried again, whatever its kind: the client was closed.
	final bool
}

// Error returns the message with the reason.
func (e *Error) Error() string {
	if e.Reason == "" {
		return fmt.Sprintf("registry: %s: %s", e.Kind, e.Message)
	}
	return fmt.Sprintf("registry: %s: %s (%s)", e.Kind, e.Message, e.Reason)
}

// Is reports whether target is the kind of this error.
func (e *Error) Is(target error) bool {
	kind, ok := target.(Kind)
	return ok && kind == e.Kind
}

// Unwrap returns what is below: context.Canceled or context.DeadlineExceeded of the caller, an error of the file system.
func (e *Error) Unwrap() error { return e.cause }

// GRPCStatus lets status.FromError and status.Code read it.
func (e *Error) GRPCStatus() *status.Status { return status.New(e.Code, e.Message) }

// ReasonOf returns the contract's reason of an error, empty when it has none.
func ReasonOf(err error) string {
	if failure, ok := errors.AsType[*Error](err); ok {
		return failure.Reason
	}
	return ""
}

func invalid(format string, arguments ...any) *Error {
	return localError(ErrInvalidArgument, codes.InvalidArgument, format, arguments...)
}

func precondition(format string, arguments ...any) *Error {
	return localError(ErrFailedPrecondition, codes.FailedPrecondition, format, arguments...)
}

func unavailable(format string, arguments ...any) *Error {
	return localError(ErrUnavailable, codes.Unavailable, format, arguments...)
}

func late(format string, arguments ...any) *Error {
	return localError(ErrDeadlineExceeded, codes.DeadlineExceeded, format, arguments...)
}

func unauthenticated(format string, arguments ...any) *Error {
	return localError(ErrUnauthenticated, codes.Unauthenticated, format, arguments...)
}

// damaged is an integrity error without a reason of the contract: what came is not what was said to come.
func damaged(format string, arguments ...any) *Error {
	return localError(ErrIntegrity, codes.DataLoss, format, arguments...)
}

func mismatch(expected, actual, format string, arguments ...any) *Error {
	failure := damaged(format, arguments...)
	failure.Reason = "DIGEST_MISMATCH"
	failure.Metadata = map[string]string{"expected": expected, "actual": actual}
	return failure
}

// localError is an error of this side; a %w among the arguments is what it unwraps to.
func localError(kind Kind, code codes.Code, format string, arguments ...any) *Error {
	said := fmt.Errorf(format, arguments...)
	return &Error{Kind: kind, Code: code, Message: said.Error(), cause: errors.Unwrap(said)}
}
