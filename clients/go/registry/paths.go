package registry

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

const (
	maxPathBytes    = 1024
	maxPathSegments = 32
)

var reservedSegments = []string{".", "..", ".git"}

// unsafeRunes are control, format and separator characters: they hide what a path is.
var unsafeRunes = []*unicode.RangeTable{unicode.Cc, unicode.Cf, unicode.Cs, unicode.Zl, unicode.Zp}

// pathFault returns what is wrong with path as a path inside a version, empty when nothing is.
func pathFault(path string) string {
	switch {
	case path == "":
		return "must not be empty"
	case len(path) > maxPathBytes:
		return fmt.Sprintf("is longer than %d bytes of UTF-8", maxPathBytes)
	case !utf8.ValidString(path):
		return "is not UTF-8"
	case strings.ContainsFunc(path, func(r rune) bool { return unicode.In(r, unsafeRunes...) }):
		return "has a control, format or surrogate character"
	case strings.ContainsAny(path, `\:`):
		return "has a backslash or colon; use / between segments"
	}
	segments := strings.Split(path, "/")
	if len(segments) > maxPathSegments {
		return fmt.Sprintf("has more than %d segments", maxPathSegments)
	}
	for _, segment := range segments {
		if fault := segmentFault(segment); fault != "" {
			return fault
		}
	}
	return ""
}

func segmentFault(segment string) string {
	stem, _, _ := strings.Cut(strings.ToLower(segment), ".")
	switch {
	case segment == "":
		return "is absolute, or has an empty segment"
	case slices.Contains(reservedSegments, strings.ToLower(segment)):
		return fmt.Sprintf("has the reserved segment %q", segment)
	case isDevice(stem):
		return fmt.Sprintf("has the segment %q, a device on Windows", segment)
	case strings.HasSuffix(segment, "."), strings.HasSuffix(segment, " "), strings.HasPrefix(segment, " "):
		return fmt.Sprintf("has a segment with a leading space or trailing dot or space: %q", segment)
	}
	return ""
}

func isDevice(stem string) bool {
	switch stem {
	case "con", "prn", "aux", "nul":
		return true
	}
	return len(stem) == 4 && (strings.HasPrefix(stem, "com") || strings.HasPrefix(stem, "lpt")) &&
		stem[3] >= '1' && stem[3] <= '9'
}

// pathCollision returns, as a sentence, two of paths that some file system takes for one, or for a file and a directory;
// empty when there are none.
func pathCollision(paths []string) string {
	seen := map[string]string{}
	for _, path := range paths {
		folded := fold(path)
		if other, ok := seen[folded]; ok {
			return fmt.Sprintf("%q and %q differ only by case or Unicode form", path, other)
		}
		seen[folded] = path
	}
	for _, path := range paths {
		folded := fold(path)
		for at, char := range folded {
			if char != '/' {
				continue
			}
			if parent, ok := seen[folded[:at]]; ok {
				return fmt.Sprintf("%q and %q: one cannot be a directory and a file", path, parent)
			}
		}
	}
	return ""
}

func fold(path string) string {
	return norm.NFC.String(cases.Fold().String(norm.NFC.String(path)))
}

// CheckPaths fails with [ErrInvalidArgument] when paths cannot be those of the files of a version: each must mean the same
// file on every system, and no two may be one file on some. The rules are those of OpenSSF Model Signing, and Windows'
// reserved names. Every push and upload checks them.
func CheckPaths(paths []string) error {
	for _, path := range paths {
		if fault := pathFault(path); fault != "" {
			return invalid("the file %q %s; rename it and push again", path, fault)
		}
	}
	if fault := pathCollision(paths); fault != "" {
		return invalid("%s; rename one and push again", fault)
	}
	return nil
}

// checkServed refuses a file list that could write outside its directory or hide a file behind another.
func checkServed(files []FileDigest) error {
	var paths []string
	for _, file := range files {
		if fault := pathFault(file.Path); fault != "" {
			return damaged("the server sent the path %q, which %s; nothing was written", file.Path, fault)
		}
		if !digestForm.MatchString(file.SHA256) || file.Size < 0 {
			return damaged("the server sent no usable digest for %q; nothing was written", file.Path)
		}
		paths = append(paths, file.Path)
	}
	if fault := pathCollision(paths); fault != "" {
		return damaged("the server sent paths that collide: %s; nothing was written", fault)
	}
	return nil
}
