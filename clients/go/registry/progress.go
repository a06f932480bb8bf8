package registry

// Phase is what is being done to a file.
type Phase string

// The phases of a transfer.
const (
	// PhaseHash reads a local file.
	PhaseHash Phase = "hash"
	// PhaseUpload sends it.
	PhaseUpload Phase = "upload"
	// PhaseAttach: the registry holds the bytes already; none are sent.
	PhaseAttach Phase = "attach"
	// PhaseDownload receives a file.
	PhaseDownload Phase = "download"
	// PhaseKept: the bytes are on this disk already; none are fetched.
	PhaseKept Phase = "kept"
)

// Progress is how far one file is. Done may fall when a cut stream resumes.
type Progress struct {
	// Phase it is in.
	Phase Phase
	// Path inside the version.
	Path string
	// Done and Size are bytes.
	Done, Size int64
}

// TransferOption is a setting of a push, pull, upload or download.
type TransferOption func(*transfer)

type transfer struct {
	report    func(Progress)
	parallel  int
	mediaType string
	draft     bool
	again     bool
}

const defaultParallel = 2

func transferOf(options []TransferOption) (transfer, error) {
	t := transfer{report: func(Progress) {}, parallel: defaultParallel}
	for _, option := range options {
		option(&t)
	}
	if t.parallel < 1 {
		return transfer{}, invalid("WithParallel(%d): at least one file at a time", t.parallel)
	}
	return t, nil
}

// WithProgress calls report as bytes move. It is called from several goroutines, and must be quick.
func WithProgress(report func(Progress)) TransferOption {
	return func(t *transfer) { t.report = report }
}

// WithParallel moves so many files at a time, 2 by default; each takes a few MiB of memory.
func WithParallel(files int) TransferOption { return func(t *transfer) { t.parallel = files } }

// WithMediaType declares the media type of an uploaded file.
func WithMediaType(name string) TransferOption { return func(t *transfer) { t.mediaType = name } }

// WithDraft leaves what is pushed a draft: more may be put into it before FinalizeVersion.
func WithDraft() TransferOption { return func(t *transfer) { t.draft = true } }

// WithNewVersion makes a push make another version, even if an equal push made one before.
func WithNewVersion() TransferOption { return func(t *transfer) { t.again = true } }
