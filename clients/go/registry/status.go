package registry

import (
	"context"
	"errors"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

const requestIDKey = "x-request-id"

var kindByCode = map[codes.Code]Kind{
	codes.NotFound:           ErrNotFound,
	codes.AlreadyExists:      ErrAlreadyExists,
	codes.InvalidArgument:    ErrInvalidArgument,
	codes.OutOfRange:         ErrOutOfRange,
	codes.Aborted:            ErrConflict,
	codes.FailedPrecondition: ErrFailedPrecondition,
	codes.PermissionDenied:   ErrPermissionDenied,
	codes.Unauthenticated:    ErrUnauthenticated,
	codes.Unavailable:        ErrUnavailable,
	codes.ResourceExhausted:  ErrResourceExhausted,
	codes.DeadlineExceeded:   ErrDeadlineExceeded,
	codes.DataLoss:           ErrIntegrity,
	codes.Unimplemented:      ErrFeatureDisabled,
	codes.Internal:           ErrInternal,
	codes.Canceled:           ErrCancelled,
}

// kindByReason is where the status alone would say something else.
var kindByReason = map[string]Kind{
	"DIGEST_MISMATCH":  ErrIntegrity,
	"CHUNK_CHECKSUM":   ErrIntegrity,
	"ARTIFACT_CORRUPT": ErrIntegrity,
}

// ErrorFromStatus returns the error inside an answer, such as one result of BatchResolve.
func ErrorFromStatus(answer *statuspb.Status) *Error {
	return errorOf(status.FromProto(answer))
}

// errorFromCall returns the error of a failed call, nil for nil.
func errorFromCall(ctx context.Context, err error, trailer metadata.MD) *Error {
	if failure, ok := errors.AsType[*Error](err); ok || err == nil {
		return failure
	}
	failure := errorOf(status.Convert(err))
	if ids := trailer.Get(requestIDKey); len(ids) > 0 && failure.RequestID == "" {
		failure.RequestID = ids[0]
	}
	switch _, bounded := ctx.Deadline(); {
	case failure.Kind == ErrCancelled:
		failure.cause = ctx.Err()
	case failure.Kind == ErrDeadlineExceeded && bounded && failure.Reason == "":
		// The server may see the deadline pass a moment before this side does.
		failure.cause = context.DeadlineExceeded
	}
	return failure
}

func errorOf(answer *status.Status) *Error {
	failure := &Error{Code: answer.Code(), Message: answer.Message()}
	for _, detail := range answer.Details() {
		failure.note(detail)
	}
	failure.Kind = kindOf(failure.Code, failure.Reason)
	return failure
}

func kindOf(code codes.Code, reason string) Kind {
	if kind, ok := kindByReason[reason]; ok {
		return kind
	}
	if kind, ok := kindByCode[code]; ok {
		return kind
	}
	return ErrOther
}

func (e *Error) note(detail any) {
	switch detail := detail.(type) {
	case *errdetails.ErrorInfo:
		if detail.GetDomain() == Domain {
			e.Reason, e.Metadata = detail.GetReason(), detail.GetMetadata()
		}
	case *errdetails.RetryInfo:
		// To ask for no wait at all is still to ask; a zero would read as "did not ask".
		e.RetryAfter = max(detail.GetRetryDelay().AsDuration(), time.Nanosecond)
	case *errdetails.RequestInfo:
		e.RequestID = detail.GetRequestId()
	case *errdetails.BadRequest:
		for _, field := range detail.GetFieldViolations() {
			e.Violations = append(e.Violations, Violation{field.GetField(), field.GetDescription()})
		}
	case *errdetails.PreconditionFailure:
		for _, rule := range detail.GetViolations() {
			e.Violations = append(e.Violations, Violation{rule.GetSubject(), rule.GetDescription()})
		}
	case *errdetails.QuotaFailure:
		for _, quota := range detail.GetViolations() {
			e.Violations = append(e.Violations, Violation{quota.GetSubject(), quota.GetDescription()})
		}
	}
}
