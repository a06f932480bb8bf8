package registry

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// DefaultProject is the project of a reference that names none.
const DefaultProject = "default"

const (
	scheme        = "mreg://"
	maxShownRunes = 200

	idPattern     = `[a-z0-9](?:[a-z0-9._-]{0,61}[a-z0-9])?`
	numberPattern = `[1-9][0-9]{0,17}`
	tailPattern   = `(?P<model>` + idPattern + `)(?:/(?P<number>` + numberPattern + `))?` +
		`(?:@(?:(?P<digest>sha256:[0-9a-f]{64})|(?P<pointer>[a-z](?:[a-z0-9._-]{0,61}[a-z0-9])?)))?`
)

var (
	idForm      = regexp.MustCompile(`\A` + idPattern + `\z`)
	projectForm = regexp.MustCompile(`\Aprojects/` + idPattern + `\z`)
	digestForm  = regexp.MustCompile(`\A[0-9a-f]{64}\z`)
	shortForm   = regexp.MustCompile(`\A(?:(?P<project>` + idPattern + `):)?` + tailPattern + `\z`)
	uriForm     = regexp.MustCompile(`\Amreg://(?:(?P<endpoint>(?:\[[0-9a-f:.]+\]|[A-Za-z0-9.-]+):[0-9]{1,5})/)?(?P<project>` + idPattern + `)/` + tailPattern + `\z`)
	versionForm = regexp.MustCompile(`\Aprojects/(?P<project>` + idPattern + `)/models/(?P<model>` + idPattern + `)(?:/versions/(?P<number>` + numberPattern + `))?\z`)
)

// Reference is what people type for a model or version. At most one of Number (perhaps with Digest), Digest and Pointer
// selects; none of them means the model, or its newest READY version.
type Reference struct {
	// Project is the id of the project.
	Project string
	// Model is the id of the model.
	Model string
	// Number of the version; 0 for none.
	Number int64
	// Digest is a manifest digest, `sha256:…`; with a number it is checked, alone it selects.
	Digest string
	// Pointer is a stage or alias id; a stage wins.
	Pointer string
	// Endpoint is `host:port`, only when the reference was a URI that named one.
	Endpoint string
}

// ParseReference returns what text stands for: `fraud`, `fraud/7`, `fraud@production`, `team:fraud/7@sha256:…` or
// `mreg://host:port/team/fraud`. An empty project means [DefaultProject]. It fails with [ErrInvalidArgument].
func ParseReference(text, project string) (Reference, error) {
	form := shortForm
	if strings.HasPrefix(text, scheme) {
		form = uriForm
	}
	found, ok := match(form, text)
	if !ok || (found.Number != 0 && found.Pointer != "") {
		return Reference{}, invalid("%q is not a reference; write model, model/7, model@production or "+
			"model/7@sha256:…, each optionally after `project:`, or mreg://project/model…", shown(text))
	}
	if found.Project == "" {
		found.Project = project
	}
	if found.Project == "" {
		found.Project = DefaultProject
	}
	return found, nil
}

// parseName returns the reference for the resource name of a model or version.
func parseName(name string) (Reference, bool) { return match(versionForm, name) }

func match(form *regexp.Regexp, text string) (Reference, bool) {
	groups := form.FindStringSubmatch(text)
	if groups == nil {
		return Reference{}, false
	}
	var found Reference
	for at, name := range form.SubexpNames() {
		switch name {
		case "project":
			found.Project = groups[at]
		case "model":
			found.Model = groups[at]
		case "number":
			// Eighteen digits at most: it fits.
			found.Number, _ = strconv.ParseInt(groups[at], 10, 64)
		case "digest":
			found.Digest = groups[at]
		case "pointer":
			found.Pointer = groups[at]
		case "endpoint":
			found.Endpoint = groups[at]
		}
	}
	return found, true
}

func shown(text string) string {
	if runes := []rune(text); len(runes) > maxShownRunes {
		return string(runes[:maxShownRunes]) + "…"
	}
	return text
}

// ModelName returns `projects/{project}/models/{model}`.
func (r Reference) ModelName() string {
	return "projects/" + r.Project + "/models/" + r.Model
}

// VersionName returns `projects/{project}/models/{model}/versions/{number}`, or [ErrInvalidArgument] without a number.
func (r Reference) VersionName() (string, error) {
	if r.Number == 0 {
		return "", invalid("%q names no version; write %s/NUMBER", r, r.Model)
	}
	return fmt.Sprintf("%s/versions/%d", r.ModelName(), r.Number), nil
}

// String returns the short form; the project only when it is not [DefaultProject].
func (r Reference) String() string {
	var text strings.Builder
	if r.Project != DefaultProject {
		text.WriteString(r.Project + ":")
	}
	text.WriteString(r.Model)
	if r.Number != 0 {
		fmt.Fprintf(&text, "/%d", r.Number)
	}
	if r.Digest != "" {
		text.WriteString("@" + r.Digest)
	} else if r.Pointer != "" {
		text.WriteString("@" + r.Pointer)
	}
	return text.String()
}
