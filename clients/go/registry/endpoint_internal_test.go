package registry

import (
	"errors"
	"strings"
	"testing"
)

func TestOnlyThisMachineIsLocal(t *testing.T) {
	for endpoint, want := range map[string]bool{
		"127.0.0.1:7470":                  true,
		"127.9.9.9:7470":                  true,
		"localhost:7470":                  true,
		"localhost":                       true,
		"[::1]:7470":                      true,
		"[::1]":                           true,
		"dns:///localhost:7470":           true,
		"unix:/run/mreg.sock":             true,
		"unix-abstract:mreg":              true,
		"127.0.0.1:1,127.0.0.1:2":         true,
		"ipv4:127.0.0.1:1,127.0.0.1:2":    true,
		"127.0.0.1:1,10.0.0.1:2":          false,
		"10.0.0.1:7470":                   false,
		"registry:7470":                   false,
		"localhost.example.com:7470":      false,
		"127.0.0.1.example.com:7470":      false,
		"dns:///registry.example.com:443": false,
		"[2001:db8::1]:7470":              false,
		"":                                false,
	} {
		if got := isLocal(endpoint); got != want {
			t.Errorf("isLocal(%q) = %v", endpoint, got)
		}
	}
}

func TestAnEndpointBecomesATarget(t *testing.T) {
	for endpoint, want := range map[string]string{
		"registry:7470":              "dns:///registry:7470",
		"127.0.0.1:7470":             "dns:///127.0.0.1:7470",
		"[::1]:7470":                 "dns:///[::1]:7470",
		"dns:///registry:7470":       "dns:///registry:7470",
		"unix:/run/mreg.sock":        "unix:/run/mreg.sock",
		"ipv4:10.0.0.1:1,10.0.0.2:1": "ipv4:10.0.0.1:1,10.0.0.2:1",
		"10.0.0.1:1,10.0.0.2:1":      "ipv4:10.0.0.1:1,10.0.0.2:1",
		"[::1]:1,[::1]:2":            "ipv6:[::1]:1,[::1]:2",
	} {
		if got, err := targetOf(endpoint); got != want || err != nil {
			t.Errorf("targetOf(%q) = %q, %v", endpoint, got, err)
		}
	}
	for _, endpoint := range []string{"a:1,b:1", "10.0.0.1:1,[::1]:1", "10.0.0.1,10.0.0.2", "10.0.0.1:1,", "::1:1,::2:1"} {
		if got, err := targetOf(endpoint); !errors.Is(err, ErrInvalidArgument) {
			t.Errorf("targetOf(%q) = %q, %v", endpoint, got, err)
		}
	}
}

func TestStreamsAreNeverReplayedByGRPC(t *testing.T) {
	config := serviceConfig()
	for method, want := range map[string]bool{
		`"CreateModel"`: true, `"Resolve"`: true, `"ReportDeployment"`: true, `"ListAuditEntries"`: true,
		`"WriteUpload"`: false, `"ReadArtifact"`: false, `"Watch"`: false, `"ExportAuditEntries"`: false,
	} {
		if got := strings.Contains(config, method); got != want {
			t.Errorf("%s in the retry policy: %v", method, got)
		}
	}
}
